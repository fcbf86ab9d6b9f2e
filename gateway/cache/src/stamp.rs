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

/// A place in both orders in which marks are made, within one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Floor {
    pub(crate) epoch: Epoch,
    pub(crate) local: u64,
}

/// The newest mark that could match something: what keeps a reader of after a purge from waiting for a fetch of before it.
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

impl Stamp {
    /// Its place in its log.
    pub(crate) fn place(&self) -> Floor {
        Floor {
            epoch: self.epoch,
            local: self.local,
        }
    }

    /// The same, at a place that is nowhere earlier.
    pub(crate) fn lifted(self, to: Floor) -> Self {
        Self {
            log: self.log,
            epoch: self.epoch.max(to.epoch),
            local: self.local.max(to.local),
        }
    }
}

impl Floor {
    /// Whether it lies above a stamp, in either order.
    pub(crate) fn is_above(self, stamp: &Stamp) -> bool {
        stamp.epoch < self.epoch || stamp.local < self.local
    }

    /// The lower of both, in each order.
    pub(crate) fn min(self, other: Self) -> Self {
        Self {
            epoch: self.epoch.min(other.epoch),
            local: self.local.min(other.local),
        }
    }

    /// The higher of both, in each order.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            epoch: self.epoch.max(other.epoch),
            local: self.local.max(other.local),
        }
    }
}

impl Newest {
    /// Whether nothing here is newer than what the other one covers.
    pub fn is_covered_by(&self, other: &Self) -> bool {
        self.log == other.log && self.epoch <= other.epoch && self.local <= other.local
    }

    /// This, or the other where that is later; of the other's log.
    pub(crate) fn or_later(self, other: Self) -> Self {
        Self {
            log: other.log,
            epoch: self.epoch.max(other.epoch),
            local: self.local.max(other.local),
        }
    }
}
