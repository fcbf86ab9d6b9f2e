//! What a run's word is worth: when it may promise an edge anything, and as of when it may call one fenced. Pure: the clock
//! comes from outside, and the simulation asks the same functions.
//!
//! # Two runs on one log
//! A log in Kafka can be followed by two runs of control at a time: the folder of one was copied while it lived, or it was
//! taken out of the log for dead, or the log was moved from under it. The newer run announces itself in the log at *a*. The
//! older one stops when it reads that; but it may be cut off from the log, and not from its edges.
//!
//! **What the older run promises ends.** It asks where the log ends at *t*, and folds up to there: it has read as of *t*. It
//! answers a heartbeat at *c* only if it has read as of some *t ≥ c − T*, and is announced still by what it has folded then.
//! The announcement was not in the log at *t*, or it would have been folded: *t < a*. So an edge that sent a heartbeat at
//! *s ≤ c* which the older run answered has a lease until *s + L ≤ c + L ≤ t + T + L < a + T + L*. The newer run calls nobody
//! fenced, and takes nobody out, whom an earlier run may have answered, before *a + T + L* (and a part in a hundred, for
//! clocks). *T* is the longest that any run which may live still has announced, and never less than its own.
//!
//! A run that was stopped (`SIGSTOP`) and wakes reads its clock last of all, behind what it goes by: it finds that it has
//! read too long ago, and asks first. The clock goes on while the machine sleeps; in a guest that its hypervisor pauses it
//! stands still, and a guest that is put back to a snapshot believes what it knew: stop such a run before another starts.
//!
//! **What the older run says ends as well.** It judges leases as of *t*, not of now. Whoever had none left then, by what
//! this run has answered, had none by any other: nobody else was announced. If it attaches to a newer run later, it is told
//! a head behind every purge that this run has folded before the announcement, and obeys that first.
//!
//! # What it rests on
//! The end that brokers tell is the end. A broker that leads no more and has not noticed can tell an older one to whoever
//! reaches that broker alone; three brokers, two in sync and no unclean election keep it from taking entries, not from that.
//!
//! # Rejected
//! - *Writing an entry every so often instead of asking*: it would be certain of the broker, too, and the log would grow by
//!   it for ever.
//! - *Answering heartbeats for as long as the log is away*: then no time is long enough for the newer run.

use crate::fold::State;
use latencify_conf::change::ReplicaId;
use std::time::Duration;

/// As of when a run has read its log to the end. Times are on the leases' clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsOf {
    /// For so long that counts; none: nobody else can follow the log, so there is nothing to miss in it.
    max: Option<Duration>,
    read: Option<Duration>,
}

impl AsOf {
    /// Of a log that nobody else can follow: it lies in the data folder, which is locked.
    pub fn always() -> Self {
        Self {
            max: None,
            read: None,
        }
    }

    /// Of a log that others may follow. It is not read yet.
    pub fn within(max: Duration) -> Self {
        Self {
            max: Some(max),
            read: None,
        }
    }

    /// At this moment it was asked where the log ends, and everything up to there is folded by now.
    pub fn read(&mut self, asked: Duration) {
        self.read = self.read.max(Some(asked));
    }

    /// For how long what was read counts; none: for ever.
    pub fn max(&self) -> Option<Duration> {
        self.max
    }

    /// How long ago the log was read to its end; none: not in this run, or nobody else can follow it.
    pub fn ago(&self, now: Duration) -> Option<Duration> {
        self.read.map(|read| now.saturating_sub(read))
    }

    fn holds(&self, now: Duration) -> bool {
        let is_fresh = |max| self.ago(now).is_some_and(|ago| ago <= max);
        self.max.is_none_or(is_fresh)
    }
}

/// Why a run promises nothing now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// It has not read the log to its end for longer than it may, or not at all yet.
    Unread,
    /// The log says that it was replaced, or taken out.
    Replaced,
}

/// What a run goes by. Taken before the state is read, and that before the clock: it speaks of what was folded when it was
/// taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// This run in the log; none: it is not announced, and nobody else can follow the log.
    pub run: Option<ReplicaId>,
    /// As of when it has read the log.
    pub as_of: AsOf,
}

impl Word {
    /// Whether it may promise an edge anything: welcome it, or answer a heartbeat.
    pub fn may_promise(&self, state: &State, now: Duration) -> Result<(), Withheld> {
        if !self.is_announced(state) {
            return Err(Withheld::Replaced);
        }
        if self.as_of.holds(now) {
            Ok(())
        } else {
            Err(Withheld::Unread)
        }
    }

    /// The moment as of which it may say whose lease is over.
    pub fn judges_at(&self, state: &State, now: Duration) -> Duration {
        if !self.is_announced(state) {
            return Duration::ZERO;
        }
        match self.as_of.max {
            None => now,
            Some(_) => self.as_of.read.unwrap_or_default().min(now),
        }
    }

    fn is_announced(&self, state: &State) -> bool {
        self.run.is_none_or(|run| state.replicas.contains_key(&run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::Announced;
    use latencify_conf::change::{Epoch, LogId, StoreId, StoreKind, StoreRef};
    use uuid::Uuid;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_run_promises_what_it_can_keep_and_judges_by_what_it_has_read() {
        let run = ReplicaId(Uuid::from_u128(1));
        let announced = Announced {
            name: "control".to_owned(),
            store: StoreRef {
                kind: StoreKind::Sqlite,
                id: StoreId(Uuid::nil()),
            },
            version: "1".to_owned(),
            joined: Epoch(2),
            unread_max: Some(at(10)),
        };
        let replaced = State::before(LogId(Uuid::nil()));
        let mut serves = replaced.clone();
        serves.replicas.insert(run, announced);
        let unread = AsOf::within(at(10));
        let mut read = unread;
        read.read(at(100));
        read.read(at(90)); // An answer that came late.
        let run = Some(run);
        let cases = [
            ("read just now", run, read, &serves, 100, Ok(()), 100),
            ("read a while ago", run, read, &serves, 110, Ok(()), 100),
            (
                "read too long ago",
                run,
                read,
                &serves,
                111,
                Err(Withheld::Unread),
                100,
            ),
            (
                "not read yet",
                run,
                unread,
                &serves,
                1,
                Err(Withheld::Unread),
                0,
            ),
            (
                "replaced",
                run,
                read,
                &replaced,
                100,
                Err(Withheld::Replaced),
                0,
            ),
            ("alone", run, AsOf::always(), &serves, 999, Ok(()), 999),
            (
                "alone, and the log takes no announcement",
                None,
                AsOf::always(),
                &replaced,
                999,
                Ok(()),
                999,
            ),
        ];
        for (name, run, as_of, state, now, may_promise, judges_at) in cases {
            let word = Word { run, as_of };
            assert_eq!(word.may_promise(state, at(now)), may_promise, "{name}");
            assert_eq!(word.judges_at(state, at(now)), at(judges_at), "{name}");
        }
    }
}
