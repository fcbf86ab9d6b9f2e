//! Purges, from the API and from edges.

use super::{
    Control, Refused, limited,
    resolve::{self, InUse},
};
use crate::{identity::Caller, writer::Key};
use latencify_conf::{
    api::{PurgeReceipt, PurgeTarget},
    change::{
        Change, Epoch, EventId, KEY_BYTES_MAX, Mode, PURGE_TARGETS_MAX, ProcessId, Revision,
        SiteId, Target,
    },
    digest::Digest,
    path,
};
use std::{collections::BTreeSet, time::Duration};
use uuid::Uuid;

/// The most bytes of a host, path or URL in a purge.
pub const NAMED_BYTES_MAX: usize = 8 * 1024;

/// Resolutions of one purge: each but the first follows a policy that became the head meanwhile.
const RESOLUTIONS_MAX: usize = 8;

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

/// Where a client sent `PURGE` to.
#[derive(Debug, Clone, Copy)]
pub struct Location<'a> {
    /// As the edge routed it; empty from an edge that does not say.
    pub host: &'a str,
    /// In normal form.
    pub path: &'a str,
}

/// A purge, but for its targets.
pub(super) struct Purge<'a> {
    pub(super) by: &'a str,
    pub(super) key: Option<Key>,
    pub(super) mode: Mode,
    pub(super) event: Option<EventId>,
}

impl Control {
    /// Purges what users named.
    pub async fn purge(
        &self,
        caller: &Caller,
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
        let purge = Purge {
            by: caller.name(),
            key,
            mode,
            event: None,
        };
        self.purge_named(purge, targets, Some(caller)).await
    }

    /// Purges what a client named by `PURGE` to an edge, which has authorised it by its policy.
    pub async fn purge_from_edge(
        &self,
        process: ProcessId,
        site: SiteId,
        at: Location<'_>,
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
        let Location { host, path } = at;
        if host.len().max(path.len()) > NAMED_BYTES_MAX || key.len() > KEY_BYTES_MAX {
            return Err(Refused::Invalid(
                "the host, the path or the key is too long".into(),
            ));
        }
        let by = format!("edge:{}", member.edge);
        let path = path::normalise(path);
        let request = Digest::of_parts([
            &site.0.to_be_bytes()[..],
            host.as_bytes(),
            path.as_bytes(),
            &[u8::from(mode == Mode::Soft)],
        ]);
        let key = (!key.is_empty()).then(|| Key {
            name: format!("edge/{process}/{key}"),
            request,
        });
        let purge = Purge {
            by: &by,
            key,
            mode,
            event: None,
        };
        // The edge's site, and whatever the host means to other edges.
        self.append_resolved(&purge, |names| {
            let sites = names.of_host(host).into_iter().chain([site]);
            let targets: BTreeSet<_> = sites
                .map(|site| Target::Url {
                    site,
                    path: path.clone().into_owned(),
                })
                .collect();
            Ok(targets.into_iter().collect())
        })
        .await
    }

    /// The receipt of a purge; with `wait`, as soon as it is complete, or when the time is over.
    pub async fn receipt(&self, id: Uuid, wait: Duration) -> Result<PurgeReceipt, Refused> {
        let receipt = self.fleet.receipt(id, wait).await?;
        receipt.ok_or_else(|| Refused::NotFound(format!("there is no purge {id}")))
    }

    /// Resolves names to sites and purges them, if the caller may; none: it has been let in elsewhere.
    pub(super) async fn purge_named(
        &self,
        purge: Purge<'_>,
        targets: &[PurgeTarget],
        caller: Option<&Caller>,
    ) -> Result<Purged, Refused> {
        let may = |targets: &[Target], names: &InUse| {
            caller.map_or(Ok(()), |caller| limited::purges(caller, targets, names))
        };
        // Everything is everything, whatever the policies say, or whether they can be read.
        if targets
            .iter()
            .all(|target| matches!(target, PurgeTarget::All(_)))
        {
            let targets = resolve::resolve(targets, &InUse::default())?;
            may(&targets, &InUse::default())?;
            return self.append_purge(&purge, targets, None).await;
        }
        self.append_resolved(&purge, |names| {
            let targets = resolve::resolve(targets, names)?;
            may(&targets, names)?;
            Ok(targets)
        })
        .await
    }

    /// Resolves by the policies in use and appends, until no other policy has become the head in between: a fill under
    /// a site id that was not looked at may be older than the purge.
    async fn append_resolved(
        &self,
        purge: &Purge<'_>,
        resolve: impl Fn(&InUse) -> Result<Vec<Target>, Refused>,
    ) -> Result<Purged, Refused> {
        for _ in 0..RESOLUTIONS_MAX {
            let state = self.fleet.fold.state();
            let seen = state.newest;
            let names = self.policies.in_use(&self.fleet, &state).await?;
            let targets = resolve(&names)?;
            match self.append_purge(purge, targets, Some(seen)).await {
                Err(Refused::HeadMoved { .. }) => {}
                settled => return settled,
            }
        }
        Err(Refused::HeadMoves)
    }

    async fn append_purge(
        &self,
        purge: &Purge<'_>,
        targets: Vec<Target>,
        seen: Option<Revision>,
    ) -> Result<Purged, Refused> {
        let change = Change::Purge {
            mode: purge.mode,
            targets,
            event: purge.event.clone(),
            seen,
        };
        let answer = self.write(purge.by, purge.key.clone(), change).await?;
        Ok(Purged {
            id: answer.id,
            epoch: answer.epoch,
            repeat: answer.repeat,
        })
    }
}
