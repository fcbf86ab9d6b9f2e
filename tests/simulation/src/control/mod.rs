//! A control replica: the shipped fold, link machine, admission, leases, fences, receipts and holds, in the order in which the
//! shipped sessions and verbs call them; its log, its database and its sockets are models.
//!
//! - [`opening`]: it catches up with the log and announces itself, and then serves edges. [`appending`]: the way into the log.
//! - [`others`]: which other runs may answer edges, and for how long.
//! - [`reading`]: as of when it has read the log to its end, which its promises rest on.
//! - [`machines`]: one run, or several on copies of one data folder.
//! - [`session`], [`greeting`]: an edge's stream. [`removing`]: the operator takes a process out. [`census`]: who stands how.
//! - [`writes`], [`receipts`]: what writers ask. [`store`]: what is on its disk.

pub mod appending;
mod census;
mod greeting;
pub mod machines;
mod opening;
mod others;
mod reading;
pub mod receipts;
mod removing;
pub mod session;
pub mod store;
mod writes;

use crate::{
    event::{Event, Run},
    lies::Lie,
    log::Kind,
    network::StreamId,
    world::World,
};
use latencify_cache::rules::Rules;
use latencify_conf::change::{Epoch, ProcessId, ReplicaId};
use latencify_control::fleet::{Ahead, Hold, leases::Leases};
use machines::{Cut, Host};
use opening::Opening;
use reading::Reading;
use session::Session;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use store::{Settled, Store};
use uuid::Uuid;

/// How often what edges said is saved.
pub const SAVE_EVERY: Duration = Duration::from_secs(1);

/// The replica's machine.
#[derive(Debug)]
pub struct Replica {
    /// Its disk.
    pub store: Store,
    /// The program; none: it is down.
    pub running: Option<Running>,
    /// Until then it stands still.
    pub paused_until: Duration,
    /// An older copy of a broker's log was put in place: the operator does not start it before that.
    pub waits_until: Duration,
    /// Which.
    pub host: Host,
    /// What it can't reach of a broker.
    pub cut: Cut,
    /// Its run has read that another took its place, and stays ended.
    pub is_replaced: bool,
}

/// A run of the program.
pub struct Running {
    /// Which.
    pub run: Run,
    /// How far it is from serving edges.
    pub opening: Opening,
    /// Its streams.
    pub sessions: BTreeMap<StreamId, Session>,
    /// What processes said.
    pub said: BTreeMap<ProcessId, Epoch>,
    /// Whose word is not saved yet.
    pub unsaved: BTreeSet<ProcessId>,
    /// Their leases.
    pub leases: Leases,
    /// Who obeys more than the log has.
    pub ahead: Ahead,
    /// What receipts have to wait for.
    pub hold: Option<Hold>,
    /// The newest stream of each.
    pub connected: BTreeMap<ProcessId, StreamId>,
    /// Processes that are being taken out, and whether an entry of that is in doubt.
    pub removals: BTreeMap<ProcessId, bool>,
    /// Who waits for the fold of an entry.
    pub waiters: BTreeMap<Uuid, Waiter>,
    /// What it knows of the log's end.
    reading: Reading,
    /// Whom it found announced when it announced itself.
    replaces: Option<ReplicaId>,
    fold_due: bool,
}

/// Who waits for the fold of an entry.
#[derive(Debug, Clone)]
pub enum Waiter {
    /// The replica itself, which announces itself.
    Announcement,
    /// A stream whose peer joins.
    Join(StreamId),
    /// A writer's request.
    Writer {
        /// Which.
        writer: usize,
        /// Which attempt of it.
        attempt: u64,
    },
    /// An operator, who takes a process out.
    Removal(ProcessId),
    /// Nobody.
    Nobody,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

impl Replica {
    /// A machine with that store, and no program.
    pub fn new(host: Host, store: Store) -> Self {
        Self {
            store,
            running: None,
            paused_until: Duration::ZERO,
            waits_until: Duration::ZERO,
            host,
            cut: Cut::default(),
            is_replaced: false,
        }
    }

    /// Whether that run is on here.
    pub fn has(&self, run: Run) -> bool {
        self.running
            .as_ref()
            .is_some_and(|running| running.run == run)
    }

    /// The program, if that run of it is on.
    pub fn run(&mut self, run: Run) -> Option<&mut Running> {
        self.running.as_mut().filter(|running| running.run == run)
    }
}

impl<R: Rules> World<R> {
    /// Reads the log a moment from now, if it is not about to.
    pub fn fold_soon(&mut self) {
        let delay = match self.log.kind {
            Kind::Embedded => self.random.millis(0..3),
            Kind::Broker => self.random.millis(1..40),
        };
        if let Some(running) = &mut self.replica.running
            && !std::mem::replace(&mut running.fold_due, true)
        {
            let run = running.run;
            self.put(delay, Event::Fold(run));
        }
    }

    /// Reads the log and folds what is new.
    pub fn fold(&mut self, run: Run) {
        let Some(running) = self.replica.run(run) else {
            return;
        };
        running.fold_due = false;
        if !self.log_answers() {
            let again = self
                .log_answers_at()
                .saturating_sub(self.now)
                .min(SAVE_EVERY);
            if let Some(running) = &mut self.replica.running {
                running.fold_due = true;
            }
            return self.put(again, Event::Fold(run));
        }
        let most = self.random.of(1..64) as usize;
        let records = self.log.after(self.replica.store.state.applied, most);
        let is_more = records.len() == most;
        for settled in self.replica.store.fold(&records) {
            self.settled(&settled);
        }
        self.opens_further(run);
        if self.replica.run(run).is_none() {
            return;
        }
        self.is_at_the_end(run);
        self.sessions_follow();
        if is_more {
            self.fold_soon();
        }
    }

    /// Whether the replica can read the log now.
    pub fn log_answers(&self) -> bool {
        self.now >= self.log_answers_at()
    }

    fn log_answers_at(&self) -> Duration {
        match self.log.kind {
            Kind::Embedded => Duration::ZERO,
            Kind::Broker => self.log.away_until.max(self.replica.cut.reads_until),
        }
    }

    /// Whether the log takes now what the replica writes.
    pub fn log_takes(&self) -> bool {
        let until = self.log.away_until.max(self.replica.cut.writes_until);
        self.log.kind == Kind::Embedded || self.now >= until
    }

    fn settled(&mut self, settled: &Settled) {
        self.oracle.folded(settled, self.branch);
        let outcome = settled.folded.outcome.as_str();
        self.tell("folded", &[settled.epoch.0, outcome.len() as u64], || {
            format!(
                "epoch {} {outcome}: {:?}",
                settled.epoch, settled.entry.change
            )
        });
        self.note_late_word(settled);
        let waiter = self
            .replica
            .running
            .as_mut()
            .and_then(|running| running.waiters.remove(&settled.entry.id));
        match waiter {
            Some(Waiter::Join(stream)) => self.joined(stream),
            Some(Waiter::Writer { writer, attempt }) => {
                self.write_settled(writer, attempt, settled);
            }
            Some(Waiter::Removal(process)) => self.open_again(process),
            Some(Waiter::Announcement) => self.announcement_settled(settled.folded.outcome),
            Some(Waiter::Nobody) | None => {}
        }
    }

    /// The replica's housekeeping: silent edges, what edges said, the log.
    pub fn second(&mut self, run: Run) {
        if self.replica.run(run).is_none() {
            return;
        }
        self.end_silent();
        self.save_said();
        self.take_census();
        self.fold_soon();
        self.put(SAVE_EVERY, Event::Second(run));
    }

    fn save_said(&mut self) {
        let Some(running) = &mut self.replica.running else {
            return;
        };
        for process in std::mem::take(&mut running.unsaved) {
            let acked = running.said.get(&process).copied().unwrap_or_default();
            self.replica.store.said.insert(process, acked);
        }
        let state = &self.replica.store.state;
        running.leases.forget_all_but(state);
        running.ahead.forget_all_but(|| state.clone().into());
    }

    /// A second follower folds the same log at its own pace.
    pub fn shadow(&mut self) {
        let most = self.random.of(1..32) as usize;
        let mut records = self.log.after(self.shadow.state.applied, most);
        if self.lies(Lie::RecordsMissed) && records.len() > 1 {
            records.remove(0);
        }
        for settled in self.shadow.fold(&records) {
            self.oracle.folded(&settled, self.branch);
        }
        let again = self.random.millis(50..3000);
        self.put(again, Event::Shadow);
    }
}
