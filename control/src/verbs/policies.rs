//! Submitting and showing policies.

mod comparing;

use super::{Control, Refused, reading};
use crate::{store::entity::policies, writer::Key};
use latencify_conf::{
    api::{Policies, PolicyDetail, PolicyStatus, PolicySummary},
    bundle::{BUNDLE_BYTES_MAX, Bundle, File},
    change::{Change, Epoch, Plan, Revision},
    diff::PolicyDiff,
    digest::Digest,
    validate::{SiteIds, validate_knowing},
};
use std::collections::BTreeSet;

/// The most files of one policy.
pub const FILES_MAX: usize = 1000;
/// The most bytes of a file's name.
pub const FILE_NAME_BYTES_MAX: usize = 255;
/// The most bytes of a message.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// The most revisions of one list.
pub const LIST_MAX: u64 = 100;

/// A policy to become the head.
#[derive(Debug, Clone)]
pub struct Submission {
    /// All files.
    pub files: Vec<File>,
    /// Why.
    pub message: String,
    /// The head that the author saw; 0: none.
    pub base: Option<Revision>,
    /// Only check.
    pub dry_run: bool,
    /// How it reaches the fleet; none: all edges at once.
    pub plan: Option<Plan>,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// Its number; 0 for a dry run.
    pub revision: Revision,
    /// Its entry; 0 for a dry run.
    pub epoch: Epoch,
    /// Its digest.
    pub digest: Digest,
    /// What it changes of the head; of a dry run only.
    pub diff: Option<PolicyDiff>,
}

impl Control {
    /// Validates a policy and makes it the head.
    pub async fn submit_policy(
        &self,
        by: &str,
        key: Option<Key>,
        submission: Submission,
    ) -> Result<Submitted, Refused> {
        check_bounds(&submission)?;
        if let Some(plan) = &submission.plan {
            self.check_plan(plan)?;
        }
        if let Some(earlier) = self.earlier(key.as_ref()).await? {
            let submitted = self.submitted(earlier.epoch).await?;
            self.restore(&submitted, submission).await?;
            return Ok(submitted);
        }
        let bundle = Bundle::new(submission.files);
        let secrets = self.secret_names();
        let checked = tokio::task::spawn_blocking(move || {
            // Ids are the fold's to give; names are all that is needed here.
            let policy = validate_knowing(&bundle, &SiteIds::standalone(), Some(&secrets));
            (bundle, policy)
        });
        let (bundle, policy) = checked
            .await
            .map_err(|error| Refused::Invalid(format!("validation failed: {error}")))?;
        let policy = policy.map_err(Refused::PolicyInvalid)?;
        let digest = bundle.digest();
        if submission.dry_run {
            return Ok(Submitted {
                revision: Revision(0),
                epoch: Epoch(0),
                digest,
                diff: Some(self.differs_from_head(&policy).await?),
            });
        }
        self.keep(digest, &bundle).await?;
        let Submission { base, message, .. } = submission;
        let sites = policy.sites.iter();
        let sites = sites.map(|site| site.name.to_string()).collect();
        let change = match submission.plan {
            Some(plan) => Change::RolloutStarted {
                digest,
                sites,
                base,
                message,
                plan,
            },
            None => Change::Policy {
                digest,
                sites,
                base,
                message,
            },
        };
        let answer = self.write(by, key, change).await?;
        self.submitted(answer.epoch).await
    }

    /// A store that lost the files of a revision takes them again from a repeat of its submission.
    async fn restore(&self, submitted: &Submitted, repeat: Submission) -> Result<(), Refused> {
        let bundle = Bundle::new(repeat.files);
        if repeat.dry_run || bundle.digest() != submitted.digest {
            return Ok(());
        }
        self.keep(submitted.digest, &bundle).await
    }

    async fn keep(&self, digest: Digest, bundle: &Bundle) -> Result<(), Refused> {
        let blob =
            serde_json::to_vec(bundle).map_err(|error| Refused::Invalid(error.to_string()))?;
        Ok(self.fleet.store.put_blob(digest, blob).await?)
    }

    /// Revisions before a number (none: from the newest), newest first.
    pub async fn list_policies(
        &self,
        before: Option<Revision>,
        limit: u64,
    ) -> Result<Policies, Refused> {
        let head = self.head();
        let rows = self
            .fleet
            .store
            .policies(before, limit.clamp(1, LIST_MAX))
            .await?;
        let policies = rows
            .iter()
            .map(|row| summary(row, head))
            .collect::<Result<_, _>>()?;
        Ok(Policies { policies })
    }

    /// One revision with its files; none: the head.
    pub async fn show_policy(&self, revision: Option<Revision>) -> Result<PolicyDetail, Refused> {
        let row = self.revision(revision).await?;
        let bundle = reading::stored_bundle(&self.fleet.store, row.head()?.digest).await?;
        Ok(PolicyDetail {
            summary: summary(&row, self.head())?,
            files: bundle.files().to_vec(),
        })
    }

    /// Who runs a revision; none: the head.
    pub async fn policy_status(&self, revision: Option<Revision>) -> Result<PolicyStatus, Refused> {
        let row = self.revision(revision).await?;
        let revision = Revision(row.revision as u64);
        let edges = self.edges();
        let running = edges
            .iter()
            .filter(|edge| edge.policy.revision == Some(revision))
            .count();
        let failed = edges
            .iter()
            .filter(|edge| edge.policy.failed == Some(revision))
            .count();
        let pending = edges.len().saturating_sub(running + failed);
        Ok(PolicyStatus {
            revision,
            digest: row.digest,
            edges,
            running,
            failed,
            pending,
        })
    }

    fn head(&self) -> Option<Revision> {
        self.fleet
            .fold
            .state()
            .head
            .as_ref()
            .map(|head| head.revision)
    }

    async fn revision(&self, revision: Option<Revision>) -> Result<policies::Model, Refused> {
        let Some(revision) = revision.or_else(|| self.head()) else {
            return Err(Refused::NotFound(
                "there is no policy yet: submit one".into(),
            ));
        };
        let row = self.fleet.store.policy(revision).await?;
        row.ok_or_else(|| match self.head() {
            Some(head) => Refused::NotFound(format!(
                "there is no revision {revision}; the newest is {head}"
            )),
            None => Refused::NotFound(format!(
                "there is no revision {revision}, and no policy yet: submit one"
            )),
        })
    }

    async fn submitted(&self, epoch: Epoch) -> Result<Submitted, Refused> {
        let row = self.fleet.store.policy_at(epoch).await?;
        let row =
            row.ok_or_else(|| Refused::NotFound(format!("no policy stands at epoch {epoch}")))?;
        let head = row.head()?;
        Ok(Submitted {
            revision: head.revision,
            epoch,
            digest: head.digest,
            diff: None,
        })
    }
}

fn summary(row: &policies::Model, head: Option<Revision>) -> Result<PolicySummary, Refused> {
    let revision = Revision(row.revision as u64);
    Ok(PolicySummary {
        revision,
        epoch: Epoch(row.epoch as u64),
        digest: row.digest.clone(),
        by: row.by.clone(),
        at: row.at.clone(),
        message: row.message.clone(),
        sites: row.head()?.sites.into_keys().collect(),
        head: head == Some(revision),
    })
}

fn check_bounds(submission: &Submission) -> Result<(), Refused> {
    let invalid = |text: String| Err(Refused::Invalid(text));
    let bytes: usize = submission
        .files
        .iter()
        .map(|file| file.name.len() + file.text.len())
        .sum();
    if submission.files.is_empty() || submission.files.len() > FILES_MAX {
        return invalid(format!(
            "a policy is 1 to {FILES_MAX} files, not {}",
            submission.files.len()
        ));
    }
    if bytes > BUNDLE_BYTES_MAX {
        return invalid(format!(
            "the files hold {bytes} bytes, more than {BUNDLE_BYTES_MAX}: split the policy"
        ));
    }
    if submission.message.len() > MESSAGE_BYTES_MAX {
        return invalid(format!(
            "the message is longer than {MESSAGE_BYTES_MAX} bytes"
        ));
    }
    let mut names = BTreeSet::new();
    for File { name, .. } in &submission.files {
        let parts_are_plain = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if name.len() > FILE_NAME_BYTES_MAX || !parts_are_plain || name.contains(['\\', '\0']) {
            return invalid(format!(
                "the file name {name:?} is not a plain relative path"
            ));
        }
        if !names.insert(name) {
            return invalid(format!("the file name {name:?} is there twice"));
        }
    }
    Ok(())
}
