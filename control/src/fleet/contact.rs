//! What a replica knows of one edge process's lease: when it must have run out, and what was promised meanwhile. Pure.
//!
//! # Why a fence may be believed
//! The edge counts its lease from *sending* the heartbeat that was answered, the replica from *answering* it, which is
//! later: when the lease is over here, it is over there. What could break that is counted in:
//! - Clocks that run apart: the replica waits one part in [`DRIFT_PART`] longer.
//! - An earlier run of this replica may have answered a heartbeat a moment before it died: a process that this run has
//!   not heard of counts from this run's start, or from when the earlier one must have stopped answering, because it had
//!   not read the log or read that it is replaced (see [`word`](super::word)).
//! - The lease may have been longer then: what counts is the longest that the process was ever promised; and of those whom
//!   an earlier run may have answered, no less than the longest that any run has announced in the log: of what the process was
//!   promised, the store may have an older copy.
//! - An edge that serves from its store whatever happens is never fenced, nor one that never said what it does.
//!
//! When a fenced process is heard of again, it stays isolated until it obeys the head that this answer tells. So the
//! fence keeps holding for every purge up to that head ([`Contact::fenced_through`]).

use latencify_conf::{change::Epoch, link::message::WhenIsolated};
use std::time::Duration;

/// Clocks run apart by less than one part of so many.
pub const DRIFT_PART: u32 = 100;

/// What is known of one process's lease. Times are on the replica's clock, which counts while the machine sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    /// What it does with stored objects once its lease has run out; none: it has not said.
    when_isolated: Option<WhenIsolated>,
    /// The longest lease that it was promised.
    lease: Duration,
    /// When a heartbeat of it was answered last; none: not in this run.
    answered: Option<Duration>,
    /// Before this, it may hold a lease.
    held_until: Duration,
    /// Its lease had run out, and it stays isolated until it obeys this.
    fenced_through: Epoch,
}

impl Contact {
    /// A process of which the store, or nothing, remembers what it said: an earlier run may have answered it until
    /// `started`.
    pub fn remembered(
        when_isolated: Option<WhenIsolated>,
        lease: Duration,
        started: Duration,
    ) -> Self {
        Self {
            when_isolated,
            lease,
            answered: None,
            held_until: ends(started, lease),
            fenced_through: Epoch(0),
        }
    }

    /// An earlier run may have answered it until this later moment, and promised it such a lease.
    pub fn held_since(&mut self, started: Duration, lease: Duration) {
        let longest = self.lease.max(lease);
        self.held_until = self.held_until.max(ends(started, longest));
    }

    /// The process is about to be welcomed: it says what it does when isolated, and is promised a lease.
    pub fn greeted(&mut self, when_isolated: Option<WhenIsolated>, lease: Duration) {
        self.when_isolated = when_isolated;
        self.lease = self.lease.max(lease);
    }

    /// A heartbeat is about to be answered with this head, which must be as new as that of any receipt that has found
    /// the process fenced.
    pub fn answered(&mut self, now: Duration, head: Epoch) {
        if self.is_out(now) {
            self.fenced_through = self.fenced_through.max(head);
        }
        self.answered = Some(now);
        self.held_until = self.held_until.max(ends(now, self.lease));
    }

    /// The process starts over on another history: what it stayed isolated for is no epoch of this one.
    pub fn reset(&mut self) {
        self.fenced_through = Epoch(0);
    }

    /// Whether the lease must have run out.
    pub fn is_out(&self, now: Duration) -> bool {
        now > self.held_until
    }

    /// For how much longer it may hold a lease; none: the lease must have run out. Until then no operator takes the process
    /// out of the roster: receipts would no longer count on it while it serves what it has stored.
    pub fn left(&self, now: Duration) -> Option<Duration> {
        (!self.is_out(now)).then(|| self.held_until.saturating_sub(now))
    }

    /// When a heartbeat of it was answered last; none: not in this run.
    pub fn answered_at(&self) -> Option<Duration> {
        self.answered
    }

    /// When the lease must have run out, if nothing is answered until then.
    pub fn held_until(&self) -> Duration {
        self.held_until
    }

    /// Every purge up to here is fenced until it is acked.
    pub fn fenced_through(&self) -> Epoch {
        self.fenced_through
    }

    /// Whether the process serves nothing stored from before: it is cut off, or back and has acked too little, and does not
    /// serve all the same.
    pub fn is_fenced(&self, now: Duration, acked: Epoch) -> bool {
        let fences = matches!(
            self.when_isolated,
            Some(WhenIsolated::Revalidate | WhenIsolated::Refuse)
        );
        fences && (self.is_out(now) || self.fenced_through > acked)
    }

    /// What it does when isolated; none: it has not said.
    pub fn when_isolated(&self) -> Option<WhenIsolated> {
        self.when_isolated
    }

    /// The longest lease that it was promised.
    pub fn lease(&self) -> Duration {
        self.lease
    }
}

/// When a lease that was given at a moment must have run out.
pub(crate) fn ends(from: Duration, lease: Duration) -> Duration {
    from.saturating_add(lease)
        .saturating_add(lease / DRIFT_PART)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_lease_runs_out_a_little_later_here_than_at_the_edge() {
        let mut contact = Contact::remembered(None, LEASE, at(0));
        contact.greeted(Some(WhenIsolated::Revalidate), LEASE);
        contact.answered(at(100), Epoch(5));
        for (now, is_out) in [(100, false), (110, false), (111, true)] {
            assert_eq!(contact.is_out(at(now)), is_out, "{now}");
        }
        let at_the_edge = at(110);
        assert!(contact.held_until() > at_the_edge);
        assert_eq!(contact.left(at(109)), Some(Duration::from_millis(1_100)));
        assert_eq!(contact.left(at(111)), None);
    }

    #[test]
    fn a_run_that_has_just_started_waits_for_the_lease_that_an_earlier_one_gave() {
        // Promised a minute before, ten seconds now.
        let mut contact = Contact::remembered(
            Some(WhenIsolated::Refuse),
            Duration::from_mins(1),
            at(1_000),
        );
        assert!(!contact.is_out(at(1_059)));
        contact.greeted(Some(WhenIsolated::Refuse), LEASE);
        contact.answered(at(1_001), Epoch(5));
        assert!(
            !contact.is_out(at(1_059)),
            "an answer never shortens what was promised"
        );
        assert!(contact.is_out(at(1_062)));
        assert_eq!(contact.lease(), Duration::from_mins(1));
    }

    #[test]
    fn a_fence_holds_for_what_was_purged_before_the_edge_came_back() {
        let mut contact = Contact::remembered(None, LEASE, at(0));
        contact.greeted(Some(WhenIsolated::Revalidate), LEASE);
        contact.answered(at(1), Epoch(5));
        assert_eq!(contact.fenced_through(), Epoch(0), "its lease still ran");
        contact.answered(at(30), Epoch(7));
        contact.answered(at(31), Epoch(9));
        assert_eq!(contact.fenced_through(), Epoch(7));
        assert!(contact.is_fenced(at(31), Epoch(6)) && !contact.is_fenced(at(31), Epoch(7)));
        contact.reset();
        assert_eq!(contact.fenced_through(), Epoch(0));
    }
}
