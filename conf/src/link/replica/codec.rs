//! From messages to what they mean, and back; whatever comes from an edge is bounded here.

use super::{Peer, Report, Target};
use crate::{
    change::{Epoch, LogId, Position, ProcessId, Revision, SiteId},
    digest::Digest,
    link::message::{self, to_edge::Message as To},
};
use bytes::Bytes;
use uuid::Uuid;

/// The most characters of an edge's name.
pub const EDGE_NAME_CHARS_MAX: usize = 100;
/// The most things that an edge says of itself.
pub const ABOUT_MAX: usize = 32;
/// The most bytes of one name or value among them, and of a version.
pub const ABOUT_BYTES_MAX: usize = 500;
/// The most bytes of the reason why a policy can't be built; what is longer is cut off.
pub const REASON_BYTES_MAX: usize = 16 * 1024;

/// A position as it travels.
pub fn write_position(position: &Position) -> message::Position {
    message::Position {
        log: Bytes::copy_from_slice(position.log.0.as_bytes()),
        epoch: position.epoch.0,
        hash: Bytes::copy_from_slice(&position.hash.0),
    }
}

/// A position as it came; none when its parts have the wrong length.
pub fn read_position(position: &message::Position) -> Option<Position> {
    Some(Position {
        log: LogId(Uuid::from_slice(&position.log).ok()?),
        epoch: Epoch(position.epoch),
        hash: read_digest(&position.hash)?,
    })
}

/// A policy target as it travels.
pub(super) fn write_target(target: &Target) -> To {
    let site = |(name, id): (&String, &SiteId)| message::policy_target::Site {
        name: name.clone(),
        id: id.0,
    };
    let signed = target.signed.as_ref();
    let octets = |bytes: Option<&[u8]>| bytes.map_or_else(Bytes::new, Bytes::copy_from_slice);
    To::Target(message::PolicyTarget {
        revision: target.revision.0,
        digest: Bytes::copy_from_slice(&target.digest.0),
        sites: target.sites.iter().map(site).collect(),
        kid: signed.map_or_else(String::new, |signed| signed.kid.clone()),
        public_key: octets(signed.map(|signed| &signed.public_key.0[..])),
        signature: octets(signed.map(|signed| &signed.signature.0[..])),
    })
}

fn read_digest(bytes: &[u8]) -> Option<Digest> {
    bytes.try_into().ok().map(Digest)
}

/// A peer as it introduced itself, or what is wrong with that.
pub(super) fn read_hello(hello: message::Hello) -> Result<Peer, &'static str> {
    let process = Uuid::from_slice(&hello.process).map_err(|_| "the process must be 16 bytes")?;
    if !is_edge_name(&hello.edge) {
        return Err("an edge's name is 1 to 100 letters, digits, dots, hyphens and underscores");
    }
    let position = match &hello.position {
        None => None,
        Some(position) => Some(
            read_position(position).ok_or("a position is a log of 16 and a hash of 32 bytes")?,
        ),
    };
    let long = |text: &String| text.len() > ABOUT_BYTES_MAX;
    if hello.about.len() > ABOUT_MAX
        || hello
            .about
            .iter()
            .any(|(name, value)| long(name) || long(value))
    {
        return Err("an edge says at most 32 things of itself, of 500 bytes each");
    }
    if long(&hello.version) {
        return Err("a version is at most 500 bytes");
    }
    Ok(Peer {
        process: ProcessId(process),
        edge: hello.edge,
        position,
        when_isolated: message::WhenIsolated::try_from(hello.when_isolated).ok(),
        saves_marks: hello.saves_marks,
        told: Epoch(hello.told),
        version: hello.version,
        about: hello.about.into_iter().collect(),
    })
}

/// Whether an edge may be called so: it is a path segment of the API and a label of metrics.
pub fn is_edge_name(name: &str) -> bool {
    (1..=EDGE_NAME_CHARS_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// A report as it came, or what is wrong with it.
pub(super) fn read_report(report: message::PolicyReport) -> Result<Report, &'static str> {
    let digest = |bytes: &[u8], revision: u64| match bytes {
        [] => Ok(None),
        bytes => read_digest(bytes)
            .map(|digest| Some((Revision(revision), digest)))
            .ok_or("a digest is 32 bytes"),
    };
    let mut reason = report.reason;
    let cut = (0..=REASON_BYTES_MAX.min(reason.len()))
        .rev()
        .find(|&at| reason.is_char_boundary(at))
        .unwrap_or(0);
    reason.truncate(cut);
    Ok(Report {
        running: digest(&report.running, report.revision)?,
        failed: digest(&report.failed, report.failed_revision)?,
        reason,
    })
}
