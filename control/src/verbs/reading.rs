//! Policies as obeyed, by revision: what purge URLs are resolved by.

use super::{Refused, resolve::InUse};
use crate::{
    fleet::Fleet,
    fold::{Head, State},
    rollout,
    store::{Store, StoreError},
};
use latencify_conf::{
    bundle::Bundle,
    change::{Revision, SiteId},
    digest::Digest,
    policy::Policy,
    validate::{SiteIds, validate},
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// Policies that are kept as obeyed; the least recently used goes.
const KEPT_MAX: usize = 32;
/// Revisions up to the head that some edge may be changing to, when the slowest edge runs an older one.
const CHANGING_MAX: u64 = 16;

type Kept = (Revision, Arc<Policy>);

/// Policies as obeyed. A clone is the same.
#[derive(Clone, Default)]
pub struct Policies {
    /// The most recently used last.
    kept: Arc<Mutex<VecDeque<Kept>>>,
}

impl Policies {
    /// The policies that a URL may mean: the newest, what edges run, what they may be changing to between the two; and, while one is
    /// rolled out or after it was returned, the revision that the others run.
    ///
    /// A member that has not said what it runs may run any of the [`CHANGING_MAX`] revisions before the newest: it starts
    /// from the policy that it saved. An older revision that can't be read is named by its sites; those that edges are to run
    /// must be read.
    pub async fn in_use(&self, fleet: &Fleet, state: &State) -> Result<InUse, Refused> {
        let newest = state.newest;
        if newest == Revision(0) {
            return Ok(InUse::default());
        }
        let targets = [state.head.as_ref(), rollout::stable(state)];
        let targets: BTreeSet<_> = targets
            .into_iter()
            .flatten()
            .map(|head| head.revision)
            .collect();
        let store = &fleet.store;
        let (mut running, mut oldest) = (targets.clone(), newest);
        for process in state.roster.keys() {
            let reported = fleet.said.get(*process).report.running;
            let revision = reported.map_or(Revision(1), |(revision, _)| revision);
            oldest = oldest.min(revision);
            running.extend(reported.map(|_| revision));
        }
        let changing = oldest.0.max(newest.0.saturating_sub(CHANGING_MAX))..=newest.0;
        let revisions: BTreeSet<Revision> = changing.map(Revision).chain(running).collect();
        let mut names = InUse::default();
        for revision in revisions.into_iter().rev() {
            if let Some(policy) = self.kept(revision) {
                names.policies.push(policy);
                continue;
            }
            let Some(row) = store.policy(revision).await? else {
                continue;
            };
            let Head { digest, sites, .. } = row.head()?;
            match read(store, digest, &sites).await? {
                Ok(policy) => {
                    self.keep(revision, policy.clone());
                    names.policies.push(policy);
                }
                Err(why) if targets.contains(&revision) => {
                    return Err(Refused::PolicyUnreadable { revision, why });
                }
                Err(why) => {
                    tracing::warn!(%revision, why, "an older policy can't be read: a purge takes all its sites");
                    fleet.metrics.policy_unread();
                    names.unread.push(sites);
                }
            }
        }
        Ok(names)
    }

    /// One revision as obeyed.
    pub async fn of_revision(
        &self,
        store: &Store,
        revision: &Head,
    ) -> Result<Arc<Policy>, Refused> {
        let Head {
            revision,
            digest,
            sites,
        } = revision;
        if let Some(policy) = self.kept(*revision) {
            return Ok(policy);
        }
        let policy =
            read(store, *digest, sites)
                .await?
                .map_err(|why| Refused::PolicyUnreadable {
                    revision: *revision,
                    why,
                })?;
        self.keep(*revision, policy.clone());
        Ok(policy)
    }

    fn kept(&self, revision: Revision) -> Option<Arc<Policy>> {
        let mut kept = self.kept.lock();
        let at = kept.iter().position(|(known, _)| *known == revision)?;
        let found = kept.remove(at)?;
        let policy = found.1.clone();
        kept.push_back(found);
        Some(policy)
    }

    fn keep(&self, revision: Revision, policy: Arc<Policy>) {
        let mut kept = self.kept.lock();
        kept.retain(|(known, _)| *known != revision);
        if kept.len() >= KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back((revision, policy));
    }
}

/// A policy as obeyed, or why this version can't read it.
async fn read(
    store: &Store,
    digest: Digest,
    sites: &BTreeMap<String, SiteId>,
) -> Result<Result<Arc<Policy>, String>, StoreError> {
    let Some(blob) = store.blob(digest).await? else {
        // With the log in Kafka and a new data folder, entries are there and their files are not.
        let missing = "its files are not in this replica's store: submit them again";
        return Ok(Err(missing.to_owned()));
    };
    let bundle = match bundle_of(&blob) {
        Ok(bundle) => bundle,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let sites = SiteIds::from_map(sites.clone());
    let validated = tokio::task::spawn_blocking(move || validate(&bundle, &sites)).await;
    Ok(match validated {
        Ok(Ok(policy)) => Ok(Arc::new(policy)),
        Ok(Err(errors)) => Err(errors
            .into_iter()
            .next()
            .map(|error| error.message)
            .unwrap_or_default()),
        Err(error) => Err(error.to_string()),
    })
}

/// The files of a policy, from the store.
pub async fn stored_bundle(store: &Store, digest: Digest) -> Result<Bundle, Refused> {
    let blob = store.blob(digest).await?.ok_or_else(|| {
        Refused::NotFound(format!(
            "the files of policy {digest} are not in this replica's store: submit the policy again"
        ))
    })?;
    Ok(bundle_of(&blob)?)
}

fn bundle_of(blob: &[u8]) -> Result<Bundle, StoreError> {
    serde_json::from_slice(blob).map_err(|error| StoreError::Damaged {
        what: "a policy",
        why: error.to_string(),
    })
}
