//! From what the edge means to what travels, and back.

use super::{Action, Fault, From};
use crate::{
    change::{Octets, Revision, SiteId},
    digest::Digest,
    link::{
        message,
        replica::{Report, Target},
        snapshot::{KID_BYTES_MAX, Signed},
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

fn read_signed(target: &message::PolicyTarget) -> Result<Option<Signed>, Fault> {
    if target.kid.is_empty() {
        return Ok(None);
    }
    let unfit = Fault::Malformed("a target's key is 32 bytes, its signature 64");
    let public_key = target.public_key[..].try_into().ok();
    let signature = target.signature[..].try_into().ok();
    let both = public_key
        .zip(signature)
        .filter(|_| target.kid.len() <= KID_BYTES_MAX);
    let (public_key, signature) = both.ok_or(unfit)?;
    Ok(Some(Signed {
        kid: target.kid.clone(),
        public_key: Octets(public_key),
        signature: Octets(signature),
    }))
}

/// A target as it came.
pub fn read_target(target: message::PolicyTarget) -> Result<Target, Fault> {
    let digest = target.digest[..]
        .try_into()
        .map(Digest)
        .map_err(|_| Fault::Malformed("a digest is 32 bytes"))?;
    let signed = read_signed(&target)?;
    Ok(Target {
        signed,
        revision: Revision(target.revision),
        digest,
        sites: target
            .sites
            .into_iter()
            .map(|site| (site.name, SiteId(site.id)))
            .collect(),
    })
}
