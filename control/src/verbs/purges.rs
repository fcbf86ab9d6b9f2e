//! Purges, from the API and from edges.

use super::{Control, Refused, resolve};
use crate::writer::Key;
use latencify_conf::{
    api::{PurgeReceipt, PurgeTarget},
    change::{
        Change, Epoch, EventId, KEY_BYTES_MAX, Mode, PURGE_TARGETS_MAX, ProcessId, SiteId, Target,
    },
    digest::Digest,
    path,
};
use std::time::Duration;
use uuid::Uuid;

/// The most bytes of a path, tag or URL in a purge.
pub const NAMED_BYTES_MAX: usize = 8 * 1024;

/// A purge that is in the log and folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purged {
    /// Its id.
    pub id: Uuid,
    /// Its entry.
    pub epoch: Epoch,
    /// Whether this is the answer to an earlier request.
    pub repeat: bool,
}

impl Control {
    /// Purges what users named.
    pub async fn purge(
        &self,
        by: &str,
        key: Option<Key>,
        targets: &[PurgeTarget],
        mode: Mode,
    ) -> Result<Purged, Refused> {
        if targets.is_empty() || targets.len() > PURGE_TARGETS_MAX {
            let count = targets.len();
            return Err(Refused::Invalid(format!(
                "a purge names 1 to {PURGE_TARGETS_MAX} targets, not {count}"
            )));
        }
        if let Some(earlier) = self.earlier(key.as_ref()).await? {
            return Ok(Purged {
                id: earlier.id,
                epoch: earlier.epoch,
                repeat: true,
            });
        }
        self.purge_named(by, key, targets, mode, None).await
    }

    /// Purges what a client named by `PURGE` to an edge, which has authorised it by its policy.
    pub async fn purge_from_edge(
        &self,
        process: ProcessId,
        site: SiteId,
        path: &str,
        mode: Mode,
        key: &str,
    ) -> Result<Purged, Refused> {
        let state = self.fleet.fold.state();
        let member = state.roster.get(&process).ok_or_else(|| {
            Refused::NotFound(format!(
                "process {process} is not in the fleet: attach first"
            ))
        })?;
        if site.0 == 0 || site > state.last_site {
            return Err(Refused::Invalid(format!("no site has the id {site}")));
        }
        if path.len() > NAMED_BYTES_MAX || key.len() > KEY_BYTES_MAX {
            return Err(Refused::Invalid("the path or the key is too long".into()));
        }
        let by = format!("edge:{}", member.edge);
        let target = Target::Url {
            site,
            path: path::normalise(path).into_owned(),
        };
        let request = Digest::of_parts([
            &site.0.to_be_bytes()[..],
            path.as_bytes(),
            &[u8::from(mode == Mode::Soft)],
        ]);
        let key = (!key.is_empty()).then(|| Key {
            name: format!("edge/{process}/{key}"),
            request,
        });
        self.append_purge(&by, key, vec![target], mode, None).await
    }

    /// The receipt of a purge; with `wait`, as soon as it is complete, or when the time is over.
    pub async fn receipt(&self, id: Uuid, wait: Duration) -> Result<PurgeReceipt, Refused> {
        let receipt = self.fleet.receipt(id, wait).await?;
        receipt.ok_or_else(|| Refused::NotFound(format!("there is no purge {id}")))
    }

    /// Resolves names to sites and purges them.
    pub(super) async fn purge_named(
        &self,
        by: &str,
        key: Option<Key>,
        targets: &[PurgeTarget],
        mode: Mode,
        event: Option<EventId>,
    ) -> Result<Purged, Refused> {
        let state = self.fleet.fold.state();
        // Everything is everything, whatever the policies say, or whether they can be read.
        let needs_names = targets
            .iter()
            .any(|target| !matches!(target, PurgeTarget::All(_)));
        let policies = if needs_names {
            self.policies
                .in_use(&self.fleet.store, &state, &self.fleet.said)
                .await?
        } else {
            Vec::new()
        };
        let targets = resolve::resolve(targets, &policies)?;
        self.append_purge(by, key, targets, mode, event).await
    }

    async fn append_purge(
        &self,
        by: &str,
        key: Option<Key>,
        targets: Vec<Target>,
        mode: Mode,
        event: Option<EventId>,
    ) -> Result<Purged, Refused> {
        let answer = self
            .write(
                by,
                key,
                Change::Purge {
                    mode,
                    targets,
                    event,
                },
            )
            .await?;
        Ok(Purged {
            id: answer.id,
            epoch: answer.epoch,
            repeat: answer.repeat,
        })
    }
}
