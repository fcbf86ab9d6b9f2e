//! What an edge says of itself, and what its driver shall do.

use super::Fault;
use crate::{
    change::{Entry, Position, ProcessId},
    link::{
        message::{self, WhenIsolated},
        replica::Target,
    },
};

/// What an edge says of itself in every `Hello`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// The operator's name for the edge.
    pub edge: String,
    /// This run of it.
    pub process: ProcessId,
    /// Of the program.
    pub version: String,
    /// For people.
    pub about: Vec<(String, String)>,
    /// What it does with stored objects while it is isolated.
    pub when_isolated: WhenIsolated,
    /// Its acks mean that the marks are on disk.
    pub saves_marks: bool,
}

/// What the driver shall do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send this to control.
    Send(message::FromEdge),
    /// What the edge has stored may be older than marks that it never saw: raise every floor to this position, then say
    /// that it is applied.
    Reset {
        /// Deliveries follow from here.
        start: Position,
    },
    /// Apply a verified entry, then say that its position is applied.
    Apply {
        /// What changes.
        entry: Box<Entry>,
        /// Where it stands.
        position: Position,
    },
    /// This is the policy to run; it replaces earlier targets. Nothing here waits for it.
    Target(Target),
    /// Close the stream. What was sent before need not go out.
    Disconnect(Fault),
}
