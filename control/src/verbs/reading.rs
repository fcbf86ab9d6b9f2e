//! Policies as obeyed, by revision: what purge URLs are resolved by.

use super::Refused;
use crate::{
    fleet::SaidByEdges,
    fold::State,
    store::{Store, StoreError},
};
use latencify_conf::{
    bundle::Bundle,
    change::Revision,
    digest::Digest,
    policy::Policy,
    validate::{SiteIds, validate},
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeSet, VecDeque},
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
    /// The policies that a URL may mean: the head, what edges run, and what they may be changing to between the two.
    pub async fn in_use(
        &self,
        store: &Store,
        state: &State,
        said: &SaidByEdges,
    ) -> Result<Vec<Arc<Policy>>, Refused> {
        let Some(head) = &state.head else {
            return Ok(Vec::new());
        };
        let running: BTreeSet<Revision> = state
            .roster
            .keys()
            .filter_map(|process| said.get(*process).report.running)
            .map(|(revision, _)| revision)
            .collect();
        let oldest = running
            .first()
            .copied()
            .unwrap_or(head.revision)
            .min(head.revision);
        let changing = oldest.0.max(head.revision.0.saturating_sub(CHANGING_MAX))..=head.revision.0;
        let revisions: BTreeSet<Revision> = changing.map(Revision).chain(running).collect();
        let mut policies = Vec::with_capacity(revisions.len());
        for revision in revisions.into_iter().rev() {
            policies.extend(self.get(store, revision).await?);
        }
        Ok(policies)
    }

    /// A revision as obeyed; none when there is no such revision.
    async fn get(&self, store: &Store, revision: Revision) -> Result<Option<Arc<Policy>>, Refused> {
        if let Some(policy) = self.kept(revision) {
            return Ok(Some(policy));
        }
        let Some(row) = store.policy(revision).await? else {
            return Ok(None);
        };
        let head = row.head()?;
        let unreadable = |why: String| Refused::PolicyUnreadable { revision, why };
        // With the log in Kafka and a new data folder, entries are there and their files are not.
        let missing = "its files are not in this replica's store: submit them again";
        let blob = store
            .blob(head.digest)
            .await?
            .ok_or_else(|| unreadable(missing.to_owned()))?;
        let bundle = bundle_of(&blob)?;
        let sites = SiteIds::from_map(head.sites);
        let read = tokio::task::spawn_blocking(move || validate(&bundle, &sites)).await;
        let policy = read
            .map_err(|error| unreadable(error.to_string()))?
            .map_err(|errors| {
                unreadable(
                    errors
                        .first()
                        .map(|error| error.message.clone())
                        .unwrap_or_default(),
                )
            })?;
        let policy = Arc::new(policy);
        self.keep(revision, policy.clone());
        Ok(Some(policy))
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

/// The files of a policy, from the store.
pub async fn stored_bundle(store: &Store, digest: Digest) -> Result<Bundle, Refused> {
    let blob = store.blob(digest).await?.ok_or_else(|| {
        Refused::NotFound(format!(
            "the files of policy {digest} are not in this replica's store"
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
