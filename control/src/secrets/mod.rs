//! Secrets: set, listed, removed, sealed anew, and given to edges whose policy names them.
//!
//! A value lies sealed in the store *before* the entry that puts it in force is appended: the log holds names and numbers alone.
//! So a value is in force exactly if the log says so, and one whose entry was never written is dropped by the next. Nothing here
//! tells a value: neither a log line, nor an error, nor an answer of the API. Edges get them over the fleet link.

mod giving;
mod sealing;
#[cfg(test)]
mod tests;

pub use sealing::seal_anew;

use crate::{
    fold::{Head, State},
    seal::SealError,
    store::secrets::SealedValue,
    verbs::{Control, Refused},
    writer::Key,
};
use latencify_conf::{
    api::{SecretAccepted, SecretGone, SecretSummary, Secrets},
    change::{Change, Revision},
    document::text::{Name, Text as _},
    policy::SECRET_BYTES_MAX,
};
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// The most secrets of a fleet.
pub const SECRETS_MAX: usize = 10_000;
/// The most values of one secret whose entries are on their way.
const PENDING_MAX: u64 = 16;
/// Attempts at a number that nobody else has taken.
const NUMBERS_MAX: u32 = 8;

impl From<SealError> for Refused {
    fn from(error: SealError) -> Self {
        Self::Sealed(error)
    }
}

impl Control {
    /// Sets a secret, or gives it another value.
    pub async fn set_secret(
        &self,
        by: &str,
        key: Option<Key>,
        name: &str,
        value: Zeroizing<String>,
    ) -> Result<SecretAccepted, Refused> {
        Name::parse(name).map_err(|flaw| Refused::Invalid(flaw.to_string()))?;
        if value.is_empty() || value.len() > SECRET_BYTES_MAX {
            return Err(Refused::Invalid(format!(
                "the value of a secret has 1 to {SECRET_BYTES_MAX} bytes, this one has {}",
                value.len()
            )));
        }
        if let Some(earlier) = self.earlier(key.as_ref()).await? {
            let entry = self.fleet.store.entry(earlier.epoch()).await?;
            if let Some(Change::SecretChanged { name, version }) = entry.map(|entry| entry.change) {
                return Ok(SecretAccepted {
                    name,
                    version,
                    epoch: earlier.epoch(),
                });
            }
            return Err(Refused::KeyReused);
        }
        let state = self.fleet.fold.state();
        if state.secrets.len() >= SECRETS_MAX && !state.secrets.contains_key(name) {
            return Err(Refused::Conflict(format!(
                "there are {SECRETS_MAX} secrets, as many as may be: remove one first"
            )));
        }
        let version = self.keep_value(name, value.as_bytes()).await?;
        let change = Change::SecretChanged {
            name: name.to_owned(),
            version,
        };
        let answer = self.write(by, key, change).await?;
        self.forget_values(name, version).await;
        Ok(SecretAccepted {
            name: name.to_owned(),
            version,
            epoch: answer.epoch(),
        })
    }

    /// Seals a value under the next number of its secret.
    async fn keep_value(&self, name: &str, value: &[u8]) -> Result<u64, Refused> {
        let store = &self.fleet.store;
        for _ in 0..NUMBERS_MAX {
            let in_force = self.fleet.fold.state().secrets.get(name).copied();
            let (newest, count) = store.secret_versions(name).await?;
            let version = newest.max(in_force.unwrap_or(0)) + 1;
            if count > PENDING_MAX {
                // Those whose entries would have come to the log long ago.
                let still_pending = version.saturating_sub(PENDING_MAX / 2);
                store
                    .drop_secret_values(name, in_force.unwrap_or(0), still_pending)
                    .await?;
            }
            let context = SealedValue::context(name, version);
            let sealed = SealedValue {
                name: name.to_owned(),
                version,
                sealed: self.seal.seal(&context, value)?,
            };
            if store.keep_secret_value(sealed).await? {
                return Ok(version);
            }
        }
        Err(Refused::Conflict(
            "others set this secret at the same time: look at it, then try again".into(),
        ))
    }

    /// Every secret, without values.
    pub async fn list_secrets(&self) -> Result<Secrets, Refused> {
        let rows = self.fleet.store.secrets().await?;
        let stored = self.fleet.store.has_secret_values().await?;
        let uses = self.secret_uses(&self.fleet.fold.state()).await?;
        let secrets = rows.into_iter().map(|row| SecretSummary {
            used_by: uses.get(&row.name).cloned().unwrap_or_default(),
            stored: stored
                .get(&row.name)
                .is_some_and(|versions| versions.contains(&(row.version as u64))),
            name: row.name,
            version: row.version as u64,
            epoch: latencify_conf::change::Epoch(row.epoch as u64),
            by: row.by,
            at: row.at,
        });
        Ok(Secrets {
            secrets: secrets.collect(),
        })
    }

    /// Removes a secret that no policy of the fleet names.
    pub async fn remove_secret(&self, by: &str, name: &str) -> Result<SecretGone, Refused> {
        let state = self.fleet.fold.state();
        let Some(removed) = state.secrets.get(name).copied() else {
            return Err(Refused::NotFound(format!(
                "there is no secret {name:?}: `latencify secret list` shows those that there are"
            )));
        };
        if let Some(uses) = self.secret_uses(&state).await?.get(name) {
            return Err(Refused::Conflict(format!(
                "the policy names the secret {name:?} ({}): take it out of there first",
                uses.join(", ")
            )));
        }
        let head = state.head.as_ref();
        let change = Change::SecretRemoved {
            name: name.to_owned(),
            seen: head.map_or(Revision(0), |head| head.revision),
        };
        let answer = self.write(by, None, change).await?;
        self.forget_values(name, removed.saturating_add(1)).await;
        Ok(SecretGone {
            name: name.to_owned(),
            epoch: answer.epoch(),
        })
    }

    /// Values below this number are in force no more. If they can't be dropped now, the next change does it.
    async fn forget_values(&self, name: &str, below: u64) {
        let dropped = self.fleet.store.drop_secret_values(name, 0, below).await;
        if let Err(error) = dropped {
            tracing::warn!(%error, secret = name, "former values of a secret stay in the store, sealed, until it changes again");
        }
    }

    /// The names of all secrets.
    pub fn secret_names(&self) -> BTreeSet<String> {
        self.fleet.fold.state().secrets.keys().cloned().collect()
    }

    /// Where the policies that edges are to run name which secret.
    async fn secret_uses(&self, state: &State) -> Result<BTreeMap<String, Vec<String>>, Refused> {
        let mut uses: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for head in targets(state) {
            for (name, places) in self.policy_of(head).await?.secrets() {
                let known = uses.entry(name.0.to_string()).or_default();
                for place in places {
                    if !known.contains(&place) {
                        known.push(place);
                    }
                }
            }
        }
        Ok(uses)
    }
}

/// What edges are to run: the head, and during a rollout the revision that they come from.
fn targets(state: &State) -> impl Iterator<Item = &Head> {
    let stable = crate::rollout::stable(state);
    let head = state.head.as_ref();
    let other = stable.filter(|stable| head.is_none_or(|head| head.digest != stable.digest));
    head.into_iter().chain(other)
}
