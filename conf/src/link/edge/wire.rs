//! From what the edge means to what travels, and back.

use super::{Action, Fault, From};
use crate::{
    change::{Revision, SiteId},
    digest::Digest,
    link::{
        message,
        replica::{Report, Target},
    },
};
use bytes::Bytes;

/// A message to control.
pub fn send(message: From) -> Action {
    Action::Send(message::FromEdge {
        message: Some(message),
    })
}

/// A report as it travels.
pub fn write_report(report: &Report) -> From {
    let bytes = |what: &Option<(Revision, Digest)>| {
        what.map_or_else(Bytes::new, |(_, digest)| Bytes::copy_from_slice(&digest.0))
    };
    let revision = |what: &Option<(Revision, Digest)>| what.map_or(0, |(revision, _)| revision.0);
    From::Policy(message::PolicyReport {
        running: bytes(&report.running),
        revision: revision(&report.running),
        failed: bytes(&report.failed),
        failed_revision: revision(&report.failed),
        reason: report.reason.clone(),
    })
}

/// A target as it came.
pub fn read_target(target: message::PolicyTarget) -> Result<Target, Fault> {
    let digest = target.digest[..]
        .try_into()
        .map(Digest)
        .map_err(|_| Fault::Malformed("a digest is 32 bytes"))?;
    Ok(Target {
        revision: Revision(target.revision),
        digest,
        sites: target
            .sites
            .into_iter()
            .map(|site| (site.name, SiteId(site.id)))
            .collect(),
    })
}
