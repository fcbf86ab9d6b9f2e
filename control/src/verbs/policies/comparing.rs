//! What differs between revisions, and going back to an earlier one.

use super::{Control, MESSAGE_BYTES_MAX, Refused, Submission, Submitted};
use crate::{verbs::reading, writer::Key};
use latencify_conf::{
    api::{PoliciesCompared, PolicyRevert},
    change::Revision,
    diff::PolicyDiff,
    policy::Policy,
};

impl Control {
    /// What differs from one revision to another, as both are obeyed; none: the head.
    pub async fn compare_policies(
        &self,
        from: Option<Revision>,
        to: Option<Revision>,
    ) -> Result<PoliciesCompared, Refused> {
        let (from, to) = (
            self.revision(from).await?.head()?,
            self.revision(to).await?.head()?,
        );
        let store = &self.fleet.store;
        let before = self.policies.of_revision(store, &from).await?;
        let after = self.policies.of_revision(store, &to).await?;
        Ok(PoliciesCompared {
            from: from.revision,
            to: to.revision,
            diff: PolicyDiff::between(Some(&before), &after),
        })
    }

    /// What a policy would change of the head.
    pub(super) async fn differs_from_head(&self, policy: &Policy) -> Result<PolicyDiff, Refused> {
        let Some(head) = self.fleet.fold.state().head.clone() else {
            return Ok(PolicyDiff::between(None, policy));
        };
        let before = self.policies.of_revision(&self.fleet.store, &head).await?;
        Ok(PolicyDiff::between(Some(&before), policy))
    }

    /// Submits the files of an earlier revision as a new one, whose message says so.
    pub async fn revert_policy(
        &self,
        by: &str,
        key: Option<Key>,
        revision: Revision,
        revert: PolicyRevert,
    ) -> Result<Submitted, Refused> {
        let row = self.revision(Some(revision)).await?;
        let bundle = reading::stored_bundle(&self.fleet.store, row.head()?.digest).await?;
        let mut message = format!("revert to revision {revision}");
        if !revert.message.is_empty() {
            message = format!("{message}: {}", revert.message);
        }
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(Refused::Invalid(format!(
                "the message is longer than {MESSAGE_BYTES_MAX} bytes"
            )));
        }
        let submission = Submission {
            files: bundle.files().to_vec(),
            message,
            base: revert.base,
            dry_run: false,
            plan: None,
        };
        self.submit_policy(by, key, submission).await
    }
}
