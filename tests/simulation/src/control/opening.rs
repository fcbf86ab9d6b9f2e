//! How a replica comes to serve edges, as the shipped `presence` does it: not before everything is folded that was in the log
//! when it began, and, with a broker, not before it has announced itself there.

use super::{Running, SAVE_EVERY, Waiter};
use crate::{
    event::{AppendResult, Event, Run},
    faults::Fault,
    log::Kind,
    world::World,
};
use latencify_cache::rules::Rules;
use latencify_conf::change::{Change, LeaveReason, ReplicaId, StoreId, StoreKind, StoreRef};
use latencify_control::{
    fleet::{Ahead, Hold, leases::Leases},
    fold::{Conflict, Outcome},
    log::Origin,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use uuid::Uuid;

/// Between two attempts to announce itself.
const AGAIN: Duration = Duration::from_secs(2);

/// How far a replica is from serving edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// The log is not read to where it ended when the replica began.
    CatchingUp,
    /// It has not read its own announcement.
    Announcing(ReplicaId),
    /// It serves edges, as this run.
    Serves(ReplicaId),
}

impl Running {
    /// Whether edges may attach.
    pub fn serves_edges(&self) -> bool {
        matches!(self.opening, Opening::Serves(_))
    }

    /// This run's id in the log, once it is there.
    pub fn announced(&self) -> Option<ReplicaId> {
        match self.opening {
            Opening::Serves(replica) => Some(replica),
            Opening::CatchingUp | Opening::Announcing(_) => None,
        }
    }
}

impl<R: Rules> World<R> {
    /// The replica starts, with what its disk has.
    pub fn replica_start(&mut self) {
        if self.replica.running.is_some() {
            return;
        }
        if self.now < self.replica.waits_until {
            let later = self.replica.waits_until.saturating_sub(self.now);
            return self.put(later, Event::ReplicaStart);
        }
        let run = self.new_run();
        let (now, lease) = (self.now, self.plan.lease);
        let store = &self.replica.store;
        let state = &store.state;
        let promises = store.promises.iter();
        let of_roster = promises.filter(|(process, _)| state.roster.contains_key(process));
        let leases = Leases::remembered(
            of_roster.map(|(process, promise)| (*process, *promise)),
            now,
        );
        let longest = store.promises.values().map(|promise| promise.lease).max();
        let origin = Origin {
            log: self.log.id,
            from: self.log.from,
        };
        let is_here = self.log.kind == Kind::Embedded;
        let hold = Hold::new(
            origin,
            is_here,
            state,
            longest.unwrap_or_default().max(lease),
            now,
        );
        // An ack of what is not folded here is none of this history.
        let said = store
            .said
            .iter()
            .filter(|(_, acked)| **acked <= state.position.epoch);
        let running = Running {
            run,
            opening: Opening::CatchingUp,
            sessions: BTreeMap::new(),
            said: said.map(|(process, acked)| (*process, *acked)).collect(),
            unsaved: BTreeSet::new(),
            leases,
            ahead: Ahead::default(),
            hold: hold.filter(|_| !self.plan.breaks.without_hold),
            connected: BTreeMap::new(),
            removals: BTreeMap::new(),
            waiters: BTreeMap::new(),
            fold_due: false,
        };
        let applied = state.applied.0;
        self.replica.running = Some(running);
        self.tell("replica starts", &[run, applied], || {
            format!("run {run}, folded to {applied}")
        });
        self.put(SAVE_EVERY, Event::Second(run));
        if self.log_answers() {
            self.catch_up();
        } else {
            self.fault(Fault::StartedWhileLogAway);
        }
        self.opens_further(run);
        self.fold_soon();
    }

    /// Before it serves anybody, it folds the log to its end.
    fn catch_up(&mut self) {
        let records = self.log.after(self.replica.store.state.applied, usize::MAX);
        for settled in self.replica.store.fold(&records) {
            self.settled(&settled);
        }
    }

    /// Takes the next steps towards serving edges, and stops when the log says that another run has taken this one's place.
    pub fn opens_further(&mut self, run: Run) {
        let answers = self.log_answers();
        let serves_at_once = self.plan.breaks.serves_an_old_fold;
        let replica = ReplicaId(Uuid::from_u128((2 << 64) | u128::from(run)));
        let is_at_the_end = answers && self.log.head() <= self.replica.store.state.applied;
        let is_in_the_log = self.replica.store.state.replicas.contains_key(&replica);
        let Some(running) = self.replica.run(run) else {
            return;
        };
        match running.opening {
            Opening::CatchingUp if serves_at_once => running.opening = Opening::Serves(replica),
            Opening::CatchingUp if is_at_the_end => {
                running.opening = Opening::Announcing(replica);
                self.announce(run);
            }
            Opening::Announcing(_) if is_in_the_log => {
                running.opening = Opening::Serves(replica);
                self.tell("replica serves", &[run], || format!("run {run}"));
            }
            Opening::Serves(_) if !serves_at_once && !is_in_the_log => {
                self.replica_die(true);
                let back = self.random.millis(50..6000);
                self.put(back, Event::ReplicaStart);
            }
            Opening::CatchingUp | Opening::Announcing(_) | Opening::Serves(_) => {}
        }
    }

    /// Writes its announcement, again and again until it reads it: written twice, the second changes nothing.
    pub fn announce(&mut self, run: Run) {
        let Some(Opening::Announcing(replica)) =
            self.replica.run(run).map(|running| running.opening)
        else {
            return;
        };
        let change = Change::ReplicaJoined {
            replica,
            name: "control".into(),
            store: StoreRef {
                kind: StoreKind::Sqlite,
                id: StoreId(Uuid::from_u128(3 << 64)),
            },
            version: "simulated".into(),
        };
        let entry = self.entry(None, None, "control", change);
        self.append(&entry, Waiter::Announcement);
    }

    /// The announcement was not taken, or nobody knows.
    pub fn announcement_failed(&mut self, run: Run, _result: AppendResult) {
        self.put(AGAIN, Event::Announce(run));
    }

    /// An entry that comes to the log after others of a later run: the fold says that nobody vouches for it any more.
    pub fn note_late_word(&mut self, settled: &super::store::Settled) {
        if matches!(
            settled.folded.outcome,
            Outcome::Conflict(Conflict::WriterGone)
        ) {
            self.fault(Fault::WriterGone);
        }
    }

    /// The replica dies. Its streams break, and the kernel says so where packets pass.
    pub fn replica_die(&mut self, cleanly: bool) {
        if cleanly {
            self.sessions_stop();
            self.save_said();
            self.leave_the_log();
        }
        let Some(running) = self.replica.running.take() else {
            return;
        };
        self.tell("replica ends", &[running.run], || {
            format!("run {}, cleanly: {cleanly}", running.run)
        });
        for stream in running.sessions.into_keys() {
            if let Some(known) = self.network.streams.get_mut(&stream) {
                known.lost |= !cleanly;
            }
            let notices = self.random.millis(1..300);
            self.put(notices, Event::EdgeNotices(stream));
        }
    }

    /// On a clean stop it says so in the log, if that takes it in time.
    fn leave_the_log(&mut self) {
        let replicas = &self.replica.store.state.replicas;
        let running = self.replica.running.as_ref();
        let Some((run, replica)) = running
            .and_then(|running| Some((running.run, running.announced()?)))
            .filter(|(_, replica)| replicas.contains_key(replica))
        else {
            return;
        };
        if !self.log_answers() || self.random.permille(200) {
            return;
        }
        let why = LeaveReason::Stopped;
        let entry = self.entry(None, None, "control", Change::ReplicaLeft { replica, why });
        if let Ok(bytes) = entry.encode() {
            self.keep_record(run, bytes.into());
        }
    }
}
