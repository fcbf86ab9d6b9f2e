//! What an edge says of itself.

use super::message;
use crate::{
    change::{Epoch, Position, ProcessId, Revision},
    digest::Digest,
};
use std::collections::BTreeMap;

/// An edge process as it introduced itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// This run of the edge.
    pub process: ProcessId,
    /// The operator's name for the edge.
    pub edge: String,
    /// What it obeys; none: nothing yet.
    pub position: Option<Position>,
    /// Its version.
    pub version: String,
    /// The newest head that it was told of the position's log; 0: none.
    pub told: Epoch,
    /// What it does with stored objects while it is isolated; none: something that this version does not know.
    pub when_isolated: Option<message::WhenIsolated>,
    /// Whether an ack of it means that the marks are on its disk.
    pub saves_marks: bool,
    /// What else it says of itself, for people.
    pub about: BTreeMap<String, String>,
}

/// What an edge runs, or why it does not run its target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What runs.
    pub running: Option<(Revision, Digest)>,
    /// What can't be built.
    pub failed: Option<(Revision, Digest)>,
    /// Why.
    pub reason: String,
}
