//! What the marks say about a stored object.

use crate::stamp::Floor;
use latencify_conf::change::Epoch;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

/// Whether an object may be served, as far as purges decide; freshness (RFC 9111) is another question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// No mark matches.
    Live,
    /// A soft purge matches: stale from then on, whatever its lifetime says.
    SoftPurged {
        /// When it became stale, on the clock of the marks.
        since: SystemTime,
    },
    /// Never to be served again, stale or not.
    Dead(Death),
}

/// Why an object is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Its fetch began under another log.
    OtherLog,
    /// Its fetch began before the floor.
    BelowFloor,
    /// A hard purge named its path.
    PurgedUrl,
    /// A hard purge named a prefix of its path.
    PurgedPrefix,
    /// A hard purge named one of its tags.
    PurgedTag,
    /// A hard purge named its site.
    PurgedSite,
    /// A hard purge named everything.
    PurgedAll,
}

impl Liveness {
    /// Whether no body of it may be served.
    pub fn is_dead(self) -> bool {
        matches!(self, Self::Dead(_))
    }
}

impl Death {
    /// The stable name, as headers, records and metrics show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OtherLog => "other_log",
            Self::BelowFloor => "below_floor",
            Self::PurgedUrl => "purged_url",
            Self::PurgedPrefix => "purged_prefix",
            Self::PurgedTag => "purged_tag",
            Self::PurgedSite => "purged_site",
            Self::PurgedAll => "purged_all",
        }
    }
}

/// The last verdict on one object and the counter of the marks that it was given under. While that counter stands
/// still, the verdict stands.
///
/// And how far it is *settled*: that all marks up to some place were looked at, and what they said is kept here, so that
/// they need not be asked, or be kept, for this object again. A sweep settles whatever is stored.
///
/// A dead verdict is not kept: a dead object leaves the cache.
#[derive(Debug)]
pub struct Checked {
    counter: AtomicU64,
    /// Milliseconds since 1970; [`NEVER`]: not soft-purged.
    soft_since: AtomicU64,
    settled_epoch: AtomicU64,
    settled_local: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl Default for Checked {
    fn default() -> Self {
        Self {
            counter: AtomicU64::new(0),
            soft_since: AtomicU64::new(NEVER),
            settled_epoch: AtomicU64::new(0),
            settled_local: AtomicU64::new(0),
        }
    }
}

impl Checked {
    /// The verdict given under exactly this counter, if there is one.
    pub fn verdict(&self, counter: u64) -> Option<Liveness> {
        if self.counter.load(Ordering::Acquire) != counter {
            return None;
        }
        // Marks are never taken back, so `soft_since` only goes from never to some time, and to an earlier one; what
        // another thread stored under a later counter is true as well.
        Some(self.kept())
    }

    /// Remembers a verdict. `counter` must have been loaded before the marks were looked at. Returns the verdict together
    /// with what was settled before.
    pub fn remember(&self, counter: u64, verdict: Liveness) -> Liveness {
        if verdict.is_dead() {
            return verdict;
        }
        self.keep(verdict);
        self.counter.fetch_max(counter, Ordering::Release);
        self.kept()
    }

    /// How far it is settled.
    pub(crate) fn settled(&self) -> Floor {
        Floor {
            epoch: Epoch(self.settled_epoch.load(Ordering::Acquire)),
            local: self.settled_local.load(Ordering::Acquire),
        }
    }

    /// All marks up to `to` were looked at, and this is what they said.
    pub(crate) fn settle(&self, verdict: Liveness, to: Floor) {
        // First what they said, so that nobody believes them asked without it.
        self.keep(verdict);
        self.settled_epoch.fetch_max(to.epoch.0, Ordering::Release);
        self.settled_local.fetch_max(to.local, Ordering::Release);
    }

    /// What it knows, for another record of the same identity and stamp.
    pub(crate) fn copy(&self) -> Self {
        // First how far, then what was said up to there: the other way round, it could be believed asked without it.
        let settled = self.settled();
        let counter = self.counter.load(Ordering::Acquire);
        Self {
            counter: AtomicU64::new(counter),
            soft_since: AtomicU64::new(self.soft_since.load(Ordering::Relaxed)),
            settled_epoch: AtomicU64::new(settled.epoch.0),
            settled_local: AtomicU64::new(settled.local),
        }
    }

    fn keep(&self, verdict: Liveness) {
        if let Liveness::SoftPurged { since } = verdict {
            let since = since
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
            self.soft_since
                .fetch_min(since.as_millis() as u64, Ordering::Relaxed);
        }
    }

    fn kept(&self) -> Liveness {
        match self.soft_since.load(Ordering::Relaxed) {
            NEVER => Liveness::Live,
            millis => Liveness::SoftPurged {
                since: SystemTime::UNIX_EPOCH + Duration::from_millis(millis),
            },
        }
    }
}
