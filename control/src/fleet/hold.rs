//! Receipts of a run that may stand on an older copy of its data. Pure.
//!
//! A data folder that was put back to an older copy looks like any other. With the log in it, edges that joined later are in
//! no roster, and may hold a lease of the run before: a purge that is accepted now does not count on them. When those
//! leases have run out, such an edge uses nothing that it has stored, until it has joined and been told a head as new as
//! the purge. So the receipts of a run's own purges are complete at the earliest one lease after its start.
//!
//! With the log in Kafka the roster is in the log, and nobody is served before that is folded to its end: nothing has to be
//! waited for. Unless the log was begun by `migrate-log`, which wrote what some data folder had; then a new data folder
//! waits, too. Until a run on the new log has said in it that it has waited for whoever followed the old one.
//!
//! An edge that runs with `--when-isolated serve`, joined after the copy was made and is cut off uses what it has stored
//! however long anybody waits: no hold helps against it, and no receipt of this run names it.
//!
//! # Rejected
//! - *Telling copies apart*, by inodes, change times or a mark of a clean stop: copies over the files, snapshots of a file
//!   system and a machine that was put back keep all of them.
//! - *A hold in an empty data folder, too*: another log, another fleet. What a former fleet's edges serve, no receipt of
//!   this one speaks of.

use super::contact;
use crate::{fold::State, log::Origin};
use latencify_conf::change::Epoch;
use std::time::Duration;

/// Until when receipts are held back, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Those of purges behind this: the roster of earlier ones is the one that they were accepted with.
    after: Epoch,
    /// On the leases' clock.
    until: Duration,
}

impl Hold {
    /// The hold of a run that began at `started` with this state, and knows of no longer lease than `lease`.
    pub fn new(
        log: Origin,
        log_is_here: bool,
        state: &State,
        lease: Duration,
        started: Duration,
    ) -> Option<Self> {
        let was_moved = !state.absent.knows_all(log.from);
        let is_old = state.applied > Epoch(0);
        (was_moved || log_is_here && is_old).then(|| Self {
            after: state.applied,
            until: contact::ends(started, lease),
        })
    }

    /// The same hold, of edges that may have been promised such leases until this later moment.
    pub fn held_since(self, lease: Duration, started: Duration) -> Self {
        Self {
            until: self.until.max(contact::ends(started, lease)),
            ..self
        }
    }

    /// For how much longer the receipt of a purge can't be complete; none: it can be.
    pub fn left(&self, purge: Epoch, now: Duration) -> Option<Duration> {
        (purge > self.after && now <= self.until).then(|| self.until.saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latencify_conf::change::{LogId, Moved};
    use uuid::Uuid;

    const LEASE: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_run_whose_data_may_be_older_waits_for_the_leases_that_it_does_not_know() {
        let log = LogId(Uuid::nil());
        let own = Origin { log, from: None };
        let entries = 5;
        let moved = Origin {
            log,
            from: Some(Moved { log, entries }),
        };
        let mut folded = State::before(log);
        folded.applied = Epoch(7);
        let empty = State::before(log);
        let mut waited_before = folded.clone();
        waited_before.absent.none_since = Epoch(entries + 1);
        let mut waited = folded.clone();
        waited.absent.none_since = Epoch(entries + 2);
        for (name, origin, log_is_here, state, holds) in [
            ("the log is here", own, true, &folded, true),
            ("it was begun just now", own, true, &empty, false),
            ("the log is in Kafka", own, false, &folded, false),
            ("it was moved there", moved, false, &folded, true),
            ("a new store there", moved, false, &empty, true),
            (
                "somebody has waited, before it was moved",
                moved,
                false,
                &waited_before,
                true,
            ),
            ("somebody has waited there", moved, false, &waited, false),
        ] {
            let hold = Hold::new(origin, log_is_here, state, LEASE, at(100));
            assert_eq!(hold.is_some(), holds, "{name}");
        }
        let hold = Hold::new(own, true, &folded, LEASE, at(100)).unwrap();
        assert_eq!(hold.left(Epoch(7), at(100)), None, "an earlier run's purge");
        assert_eq!(
            hold.left(Epoch(8), at(105)),
            Some(Duration::from_millis(5_100))
        );
        assert_eq!(hold.left(Epoch(8), at(111)), None);
    }
}
