//! What a replica has for an edge: its terms, the policy, the entries of the log.

use crate::{
    change::{Position, Revision, SiteId},
    digest::Digest,
    link::snapshot::Signed,
};
use bytes::Bytes;
use std::collections::BTreeMap;

/// What the replica promises in its `Welcome`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Cut off for longer, the edge is isolated. Milliseconds.
    pub lease_ms: u32,
    /// How often the edge speaks when it has nothing to say. Milliseconds.
    pub heartbeat_ms: u32,
    /// The replica's name, for people.
    pub replica: String,
}

/// The policy that the fleet should run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its number.
    pub revision: Revision,
    /// Its digest.
    pub digest: Digest,
    /// The ids of its sites.
    pub sites: BTreeMap<String, SiteId>,
    /// Who vouches for it; none: nobody, or it has been looked at.
    pub signed: Option<Signed>,
}

/// An accepted entry between its neighbours on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The position before it.
    pub previous: Position,
    /// The position that it makes.
    pub position: Position,
    /// Its bytes.
    pub entry: Bytes,
}

/// What the log says about the place where an edge stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// The newest accepted entry.
    pub head: Position,
    /// The position that the log has at the edge's epoch; none: no accepted entry stands there.
    pub known: Option<Position>,
    /// The policy that the fleet should run.
    pub target: Option<Target>,
}
