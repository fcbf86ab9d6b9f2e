//! What edges are given.

use super::targets;
use crate::{
    fold::Head,
    store::secrets::SealedValue,
    verbs::{Control, Refused},
};
use latencify_conf::{digest::Digest, policy::Policy};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The value of a secret, for an edge.
pub struct Given {
    /// The secret's name.
    pub name: String,
    /// The number of its value.
    pub version: u64,
    /// Its value.
    pub value: Zeroizing<Vec<u8>>,
}

impl Control {
    /// The secrets that a policy names, by its digest: one that edges are to run, or that one of them says it runs. What this
    /// store does not have is left out, and told here.
    pub async fn secrets_of(&self, digest: Digest) -> Result<Vec<Given>, Refused> {
        let state = self.fleet.fold.state();
        let target = targets(&state).find(|head| head.digest == digest).cloned();
        let head = match target {
            Some(head) => head,
            None => self.head_that_runs(digest).await?,
        };
        let policy = self.policy_of(&head).await?;
        let mut given = Vec::new();
        for name in policy.secrets().into_keys() {
            let name = name.0.to_string();
            let Some(version) = self.fleet.fold.state().secrets.get(&name).copied() else {
                continue;
            };
            let Some(stored) = self.fleet.store.secret_value(&name, version).await? else {
                tracing::error!(
                    secret = name,
                    version,
                    "the value of a secret is not in this store, so edges can't have it: set it again with `latencify secret set`"
                );
                continue;
            };
            let context = SealedValue::context(&name, version);
            given.push(Given {
                value: self.seal.unseal(&context, &stored.sealed)?,
                name,
                version,
            });
        }
        Ok(given)
    }

    /// A revision that some edge says it runs.
    async fn head_that_runs(&self, digest: Digest) -> Result<Head, Refused> {
        let state = self.fleet.fold.state();
        let reported = state.roster.keys().find_map(|process| {
            let running = self.fleet.said.get(*process).report.running;
            running.filter(|(_, runs)| *runs == digest)
        });
        let row = match reported {
            Some((revision, _)) => self.fleet.store.policy(revision).await?,
            None => None,
        };
        let head = row.map(|row| row.head()).transpose()?;
        let head = head.filter(|head| head.digest == digest);
        head.ok_or_else(|| {
            Refused::NotFound(format!("policy {digest} is not one that edges are to run"))
        })
    }

    /// A revision as it is obeyed.
    pub(super) async fn policy_of(&self, head: &Head) -> Result<Arc<Policy>, Refused> {
        self.policies.of_revision(&self.fleet.store, head).await
    }
}
