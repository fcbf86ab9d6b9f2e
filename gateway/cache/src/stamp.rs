//! When a fetch began, in terms of what this edge obeyed then.

use latencify_conf::change::{Epoch, LogId};

/// What an edge obeyed when a fetch *began*: every mark up to here was known before the origin was asked, so the answer
/// can't be older than them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Stamp {
    /// The log that `epoch` belongs to; none while the edge stands alone.
    pub log: Option<LogId>,
    /// The last epoch obeyed.
    pub epoch: Epoch,
    /// The last local mark made on this edge (PURGE alone, unsafe methods).
    pub local: u64,
}

/// The newest mark that could match something: the part of a fill lock's slot that keeps a reader of after a purge
/// from waiting for a fetch of before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Newest {
    /// The log that `epoch` belongs to.
    pub log: Option<LogId>,
    /// The newest epoch among the marks and the floor; 0: none.
    pub epoch: Epoch,
    /// The newest local mark; 0: none.
    pub local: u64,
}

/// What a fetch takes with it when it begins, before the origin is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fetch {
    /// What the edge obeyed.
    pub stamp: Stamp,
    /// Its place in the order in which fetches began on this edge. Whatever it brings never replaces what a later one
    /// brought.
    pub generation: u64,
}
