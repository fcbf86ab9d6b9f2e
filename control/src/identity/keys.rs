//! Keys that access tokens are signed with: made when the first login needs one, sealed in the store, announced in the log,
//! replaced by time or by command.
//!
//! A key signs only once the log says that it is believed. An earlier key is believed for [`OVERLAP`] more, until every token
//! that it signed has expired; then its private half is destroyed and the log says so.

use super::{Error, Identity, now_ms};
use crate::{
    fold::Trust,
    store::{StoreError, entity::signing_keys},
    verbs::Refused,
};
use aws_lc_rs::{
    encoding::AsDer as _,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use jsonwebtoken::EncodingKey;
use latencify_conf::{
    api::{Jwk, Jwks, KeyRotated},
    change::{Change, KeyUse, Octets, PublicKey},
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// So long a key signs.
pub const SIGNS_FOR: Duration = Duration::from_hours(30 * 24);
/// So long a key is believed after the next one has come: longer than any token that it signed.
pub const OVERLAP: Duration = Duration::from_hours(1);
/// Between two looks whether a key is due.
const LOOK: Duration = Duration::from_mins(1);
/// Who rotates by time, in the log.
const BY_TIME: &str = "control";

/// The key that signs.
#[derive(Default)]
pub struct Ring {
    active: tokio::sync::Mutex<Option<Active>>,
}

#[derive(Clone)]
struct Active {
    kid: String,
    key: EncodingKey,
}

impl Identity {
    /// The keys that access tokens may be signed with.
    pub fn jwks(&self) -> Jwks {
        let trust = self.trust();
        let keys = trust
            .keys_for(KeyUse::Tokens)
            .map(|(kid, key)| Jwk::ed25519(kid, &key.public_key));
        Jwks {
            keys: keys.collect(),
        }
    }

    /// The name and the key that sign now; one is made if there is none.
    pub(super) async fn signing_key(&self, by: &str) -> Result<(String, EncodingKey), Error> {
        let mut active = self.inner.ring.active.lock().await;
        let believed = |kid: &str| self.trust().keys.contains_key(kid);
        if let Some(active) = active.as_ref().filter(|active| believed(&active.kid)) {
            return Ok((active.kid.clone(), active.key.clone()));
        }
        let rows = self.store().signing_keys().await?;
        let found = match rows.into_iter().find(|row| believed(&row.kid)) {
            Some(row) => self.opened(&row)?,
            None => self.make_key(by).await?,
        };
        *active = Some(found.clone());
        Ok((found.kid, found.key))
    }

    /// Another key signs from now on.
    pub async fn rotate_keys(&self, by: &str, retire_earlier: bool) -> Result<KeyRotated, Error> {
        let mut active = self.inner.ring.active.lock().await;
        let before: Vec<_> = self
            .trust()
            .keys_for(KeyUse::Tokens)
            .map(|(kid, _)| kid.clone())
            .collect();
        let made = self.make_key(by).await?;
        let kid = made.kid.clone();
        *active = Some(made);
        let mut retired = Vec::new();
        if retire_earlier {
            for kid in before {
                self.retire(by, &kid).await?;
                retired.push(kid);
            }
        }
        Ok(KeyRotated { kid, retired })
    }

    /// Rotates keys whose time has come, until `stop`.
    pub async fn keep_keys(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            if let Err(error) = self.look_at_keys(now_ms()).await {
                tracing::warn!(%error, "the keys of access tokens could not be looked after; it is tried again");
            }
        }
    }

    /// One look: a key that has signed for long enough is replaced, and those before it are retired when nothing that they
    /// signed counts any more.
    pub(super) async fn look_at_keys(&self, now_ms: i64) -> Result<(), Error> {
        let rows = self.store().signing_keys().await?;
        let (believed, unknown): (Vec<_>, Vec<_>) = {
            let trust = self.trust();
            rows.into_iter()
                .partition(|row| trust.keys.contains_key(&row.kid))
        };
        let overlap = OVERLAP.as_millis() as i64;
        // Made, and never heard of in the log, or retired there.
        for row in unknown {
            if row.created_ms + overlap < now_ms {
                self.store().remove_signing_key(&row.kid).await?;
            }
        }
        let Some((newest, earlier)) = believed.split_first() else {
            return Ok(());
        };
        if newest.created_ms + SIGNS_FOR.as_millis() as i64 <= now_ms {
            self.rotate_keys(BY_TIME, false).await?;
        } else if newest.created_ms + overlap <= now_ms {
            for row in earlier {
                self.retire(BY_TIME, &row.kid).await?;
            }
        }
        Ok(())
    }

    /// Seals the keys anew whose sealing key is not the newest.
    pub async fn reseal_keys(&self) -> Result<usize, Error> {
        let mut resealed = 0;
        for row in self.store().signing_keys().await? {
            let anew = self
                .inner
                .control
                .seal
                .reseal(&context(&row.kid), &row.sealed);
            if let Some(sealed) = anew.map_err(|error| damaged(&error))? {
                self.store().reseal_signing_key(&row.kid, sealed).await?;
                resealed += 1;
            }
        }
        Ok(resealed)
    }

    fn trust(&self) -> std::sync::Arc<Trust> {
        self.inner.control.fleet.fold.state().trust.clone()
    }

    async fn make_key(&self, by: &str) -> Result<Active, Error> {
        let made =
            make().ok_or_else(|| Refused::Invalid("the system has no random octets".into()))?;
        let sealed = self
            .inner
            .control
            .seal
            .seal(&context(&made.kid), &made.pkcs8)
            .map_err(|error| damaged(&error))?;
        // First the store: a key that the log announces and nobody has would be of no use.
        self.store()
            .add_signing_key(signing_keys::Model {
                kid: made.kid.clone(),
                sealed,
                public_key: made.public_key.0.to_vec(),
                created_ms: now_ms(),
            })
            .await?;
        let change = Change::KeyAdded {
            kid: made.kid.clone(),
            purpose: KeyUse::Tokens,
            public_key: made.public_key,
            vouched_by: None,
        };
        self.inner.control.write(by, None, change).await?;
        tracing::info!(kid = made.kid, "access tokens are signed with a new key");
        Ok(Active {
            key: EncodingKey::from_ed_der(&made.pkcs8),
            kid: made.kid,
        })
    }

    async fn retire(&self, by: &str, kid: &str) -> Result<(), Error> {
        let change = Change::KeyRetired {
            kid: kid.to_owned(),
        };
        self.inner.control.write(by, None, change).await?;
        self.store().remove_signing_key(kid).await?;
        tracing::info!(kid, "a key of access tokens is retired");
        Ok(())
    }

    fn opened(&self, row: &signing_keys::Model) -> Result<Active, Error> {
        let pkcs8 = self
            .inner
            .control
            .seal
            .unseal(&context(&row.kid), &row.sealed)
            .map_err(|error| damaged(&error))?;
        Ok(Active {
            kid: row.kid.clone(),
            key: EncodingKey::from_ed_der(&pkcs8),
        })
    }
}

struct Made {
    kid: String,
    pkcs8: zeroize::Zeroizing<Vec<u8>>,
    public_key: PublicKey,
}

fn make() -> Option<Made> {
    let pair = Ed25519KeyPair::generate().ok()?;
    let public_key = Octets(pair.public_key().as_ref().try_into().ok()?);
    let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'static> = pair.as_der().ok()?;
    let random = rand::random::<u64>();
    Some(Made {
        kid: format!("t{random:016x}"),
        pkcs8: zeroize::Zeroizing::new(pkcs8.as_ref().to_vec()),
        public_key,
    })
}

fn context(kid: &str) -> String {
    format!("token-key/{kid}")
}

fn damaged(error: &crate::seal::SealError) -> Error {
    StoreError::Damaged {
        what: "a signing key",
        why: error.to_string(),
    }
    .into()
}
