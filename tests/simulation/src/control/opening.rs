//! How a replica comes to serve edges, as the shipped `presence` does it: not before everything is folded that was in the log
//! when it began, and, with a broker, not before it has announced itself there.

use super::{Running, SAVE_EVERY, Waiter, reading::Reading};
use crate::{
    event::{AppendResult, Event, Run},
    faults::Fault,
    focus::Focus,
    log::Kind,
    world::World,
};
use latencify_cache::rules::Rules;
use latencify_conf::change::{
    Change, LeaveReason, Replaces, ReplicaId, StoreId, StoreKind, StoreRef,
};
use latencify_control::{
    fleet::{Ahead, Hold, leases::Leases},
    fold::{Conflict, Outcome, replicas::on_store},
    log::Origin,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use uuid::Uuid;

/// Between two attempts to announce itself.
pub const AGAIN: Duration = Duration::from_secs(2);

/// Of a thousand announcements in doubt, so many are the last that the replica hears of.
const DIES_IN_DOUBT: u64 = 600;

/// The store of every run: copies of one data folder.
const HERE: StoreRef = StoreRef {
    kind: StoreKind::Sqlite,
    id: StoreId(Uuid::from_u128(3 << 64)),
};

/// How far a replica is from serving edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// The log is not read to where it ended when the replica began.
    CatchingUp,
    /// It has not read its own announcement.
    Announcing(ReplicaId),
    /// It serves edges, as this run.
    Serves(ReplicaId),
    /// The log has not taken its announcement: another run was quicker.
    Refused,
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
            Opening::CatchingUp | Opening::Announcing(_) | Opening::Refused => None,
        }
    }
}

impl<R: Rules> World<R> {
    /// The replica starts, with what its disk has.
    pub fn replica_start(&mut self) {
        if self.replica.running.is_some() {
            return;
        }
        self.replica.is_replaced = false;
        if self.now < self.replica.waits_until {
            let later = self.replica.waits_until.saturating_sub(self.now);
            return self.put(later, Event::ReplicaStart(self.replica.host));
        }
        // It has connections of its own: what held up an earlier run's may not hold up this one.
        if self.now < self.replica.cut.writes_until && self.random.permille(700) {
            self.replica.cut.writes_until = self.now;
        }
        let run = self.new_run();
        let (now, lease) = (self.now, self.plan.lease);
        let unread_max = self.unread_max(run);
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
            reading: Reading::new(unread_max),
            replaces: None,
            fold_due: false,
        };
        let applied = state.applied.0;
        self.replica.running = Some(running);
        self.tell("replica starts", &[run, applied], || {
            format!("run {run}, folded to {applied}")
        });
        self.put(SAVE_EVERY, Event::Second(run));
        self.put(Duration::ZERO, Event::AskEnd(run));
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
        let present = on_store(&self.replica.store.state.replicas, HERE);
        let Some(running) = self.replica.run(run) else {
            return;
        };
        match running.opening {
            Opening::CatchingUp if serves_at_once => running.opening = Opening::Serves(replica),
            Opening::CatchingUp if is_at_the_end => {
                running.opening = Opening::Announcing(replica);
                running.replaces = present;
                self.announce(run);
            }
            Opening::Announcing(_) if is_in_the_log => self.serves(replica),
            Opening::Serves(_) if !serves_at_once && !is_in_the_log => {
                self.fault(Fault::Replaced);
                self.replica_die(true);
                self.replica.is_replaced = true;
            }
            // It looks again who is there.
            Opening::Refused => {
                running.opening = Opening::Announcing(replica);
                running.replaces = present;
                self.announce(run);
            }
            Opening::CatchingUp | Opening::Announcing(_) | Opening::Serves(_) => {}
        }
    }

    /// Its announcement is folded.
    pub fn announcement_settled(&mut self, outcome: Outcome) {
        let Some(running) = &mut self.replica.running else {
            return;
        };
        let Opening::Announcing(replica) = running.opening else {
            return;
        };
        match outcome {
            Outcome::Conflict(Conflict::AlreadyJoined) | Outcome::Accepted | Outcome::Repeat(_) => {
                self.serves(replica);
            }
            Outcome::Conflict(_) => running.opening = Opening::Refused,
        }
    }

    /// Writes its announcement, again and again until it reads it: written twice, the second changes nothing.
    pub fn announce(&mut self, run: Run) {
        let Some(Opening::Announcing(replica)) =
            self.replica.run(run).map(|running| running.opening)
        else {
            return;
        };
        let (running, blindly) = (&self.replica.running, self.plan.breaks.announces_blindly);
        let replaces = running.as_ref().and_then(|running| running.replaces);
        let unread_max = self.unread_max(run);
        let change = Change::ReplicaJoined {
            replica,
            name: "control".into(),
            store: HERE,
            version: "simulated".into(),
            replaces: (!blindly).then_some(Replaces::of(replaces)),
            unread_max_ms: unread_max.map(|max| max.as_millis() as u64),
            lease_ms: Some(self.plan.lease.as_millis() as u64),
        };
        let entry = self.entry(None, None, "control", change);
        self.append(&entry, Waiter::Announcement);
    }

    /// The announcement was not taken, or nobody knows.
    pub fn announcement_failed(&mut self, run: Run, result: AppendResult) {
        let focus = self.plan.breaks.focus;
        let may_die = !self.calm && matches!(focus, None | Some(Focus::LateAnnouncements));
        if may_die && result == AppendResult::Unknown && self.random.permille(DIES_IN_DOUBT) {
            return self.put(Duration::ZERO, Event::ReplicaDies(run));
        }
        self.put(AGAIN, Event::Announce(run));
    }

    /// An entry that comes to the log after others of a later run: the fold says that nobody vouches for it any more.
    pub fn note_late_word(&mut self, settled: &super::store::Settled) {
        let fault = match (settled.folded.outcome, &settled.entry.change) {
            (Outcome::Conflict(Conflict::WriterGone), Change::EdgeJoined { .. }) => {
                Fault::JoinedLate
            }
            (Outcome::Conflict(Conflict::WriterGone), _) => Fault::WriterGone,
            (Outcome::Conflict(Conflict::OtherRun { .. }), _) => Fault::AnnouncedLate,
            _ => return,
        };
        self.fault(fault);
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
        if !self.log_takes() || self.random.permille(200) {
            return;
        }
        let why = LeaveReason::Stopped;
        let entry = self.entry(None, None, "control", Change::ReplicaLeft { replica, why });
        if let Ok(bytes) = entry.encode() {
            self.keep_record(run, bytes.into());
        }
    }
}
