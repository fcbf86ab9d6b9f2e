//! What the marks say about a stored object.

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
/// A dead verdict is not kept: a dead object leaves the cache.
#[derive(Debug, Default)]
pub struct Checked {
    counter: AtomicU64,
    /// Milliseconds since 1970 plus one; 0: not soft-purged.
    soft_since: AtomicU64,
}

impl Checked {
    /// The verdict given under exactly this counter, if there is one.
    pub fn verdict(&self, counter: u64) -> Option<Liveness> {
        if self.counter.load(Ordering::Acquire) != counter {
            return None;
        }
        // Marks are never taken back, so `soft_since` only goes from none to some; one that another thread stored
        // under a later counter is true as well.
        Some(match self.soft_since.load(Ordering::Relaxed) {
            0 => Liveness::Live,
            millis => Liveness::SoftPurged {
                since: SystemTime::UNIX_EPOCH + Duration::from_millis(millis - 1),
            },
        })
    }

    /// Remembers a verdict. `counter` must have been loaded before the marks were looked at.
    pub fn remember(&self, counter: u64, verdict: Liveness) {
        match verdict {
            Liveness::Dead(_) => return,
            Liveness::Live => {}
            Liveness::SoftPurged { since } => {
                let since = since
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default();
                self.soft_since
                    .store(since.as_millis() as u64 + 1, Ordering::Relaxed);
            }
        }
        self.counter.fetch_max(counter, Ordering::Release);
    }
}
