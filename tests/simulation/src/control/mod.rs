//! A control replica: the shipped fold, link machine, admission, lease bookkeeping and judgement, in the order in which the shipped
//! sessions call them; its log, its database and its sockets are models.

pub mod receipts;
pub mod session;
pub mod store;
mod writes;

use crate::{
    event::{AppendResult, Event, Run},
    faults::Fault,
    log::Kind,
    network::StreamId,
    world::World,
};
use bytes::Bytes;
use latencify_cache::rules::Rules;
use latencify_conf::change::{Entry, Epoch, LeaveReason, ProcessId};
use latencify_control::fleet::contact::Contact;
use session::Session;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use store::{Settled, Store};
use uuid::Uuid;

/// How often what edges said is saved.
pub const SAVE_EVERY: Duration = Duration::from_secs(1);
/// Between two attempts of a removal of which nobody knows whether it was written.
const REMOVED_AGAIN: Duration = Duration::from_secs(1);

/// The replica's machine.
#[derive(Debug)]
pub struct Replica {
    /// Its disk.
    pub store: Store,
    /// The program; none: it is down.
    pub running: Option<Running>,
    /// Until then it stands still.
    pub paused_until: Duration,
    /// An older copy was put in place: it is not started before that, nor while its log can't be read.
    pub restored: Option<Duration>,
}

/// A run of the program.
#[derive(Debug)]
pub struct Running {
    /// Which.
    pub run: Run,
    /// Its streams.
    pub sessions: BTreeMap<StreamId, Session>,
    /// What processes said.
    pub said: BTreeMap<ProcessId, Epoch>,
    /// Whose word is not saved yet.
    pub unsaved: BTreeSet<ProcessId>,
    /// Their leases.
    pub contacts: BTreeMap<ProcessId, Contact>,
    /// The newest stream of each.
    pub connected: BTreeMap<ProcessId, StreamId>,
    /// Processes that are being taken out, and whether an entry of that is in doubt: none of them is promised anything.
    pub closed: BTreeMap<ProcessId, bool>,
    /// Who waits for the fold of an entry.
    pub waiters: BTreeMap<Uuid, Waiter>,
    fold_due: bool,
}

/// Who waits for the fold of an entry.
#[derive(Debug, Clone)]
pub enum Waiter {
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

/// An append on its way.
#[derive(Debug)]
pub struct Appended {
    /// The entry's name.
    pub id: Uuid,
    /// Its bytes.
    pub bytes: Bytes,
    /// How often it has been tried.
    pub answer_lost: bool,
}

impl Replica {
    /// A machine with that store, and no program.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            running: None,
            paused_until: Duration::ZERO,
            restored: None,
        }
    }

    /// The program, if that run of it is on.
    pub fn run(&mut self, run: Run) -> Option<&mut Running> {
        self.running.as_mut().filter(|running| running.run == run)
    }
}

impl<R: Rules> World<R> {
    /// The replica starts, with what its disk has.
    pub fn replica_start(&mut self) {
        if self.replica.running.is_some() {
            return;
        }
        if let Some(waits) = self.replica.restored {
            let until = waits.max(self.log.away_until);
            if self.now < until {
                return self.put(until.saturating_sub(self.now), Event::ReplicaStart);
            }
            self.replica.restored = None;
        }
        let run = self.new_run();
        let store = &self.replica.store;
        let lease = self.plan.lease;
        let contact = |process: &ProcessId| {
            let saved = store.said.get(process).copied().unwrap_or_default();
            let lease = lease.max(saved.lease);
            (
                *process,
                Contact::remembered(saved.when_isolated, lease, self.now),
            )
        };
        let running = Running {
            run,
            sessions: BTreeMap::new(),
            said: store
                .said
                .iter()
                .map(|(process, said)| (*process, said.acked))
                .collect(),
            unsaved: BTreeSet::new(),
            contacts: store.state.roster.keys().map(contact).collect(),
            connected: BTreeMap::new(),
            closed: BTreeMap::new(),
            waiters: BTreeMap::new(),
            fold_due: false,
        };
        self.replica.running = Some(running);
        let applied = self.replica.store.state.applied.0;
        self.tell("replica starts", &[run, applied], || {
            format!("run {run}, folded to {applied}")
        });
        self.put(SAVE_EVERY, Event::Second(run));
        self.catch_up();
        self.fold_soon();
    }

    /// Before it serves anybody, it folds the log to its end, if that can be read.
    fn catch_up(&mut self) {
        if self.now < self.log.away_until {
            return;
        }
        let records = self.log.after(self.replica.store.state.applied, usize::MAX);
        for settled in self.replica.store.fold(&records) {
            self.settled(&settled);
        }
    }

    /// The replica dies. Its streams break, and the kernel says so where packets pass.
    pub fn replica_die(&mut self, cleanly: bool) {
        if cleanly {
            self.sessions_stop();
            self.save_said();
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
        if self.log.kind == Kind::Broker && self.now < self.log.away_until {
            let again = self.log.away_until.saturating_sub(self.now);
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
        self.sessions_follow();
        if is_more {
            self.fold_soon();
        }
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
            Some(Waiter::Nobody) | None => {}
        }
    }

    /// Appends an entry. Its writer hears when it is folded, or of what became of the append.
    pub fn append(&mut self, entry: &Entry, waiter: Waiter) {
        let Some(running) = &mut self.replica.running else {
            return;
        };
        let Ok(bytes) = entry.encode() else { return };
        let (id, run) = (entry.id, running.run);
        running.waiters.insert(id, waiter);
        let (reaches, answer_lost) = match self.log.kind {
            Kind::Embedded => (self.random.millis(0..8), false),
            Kind::Broker => {
                let lost = self.random.permille(self.plan.rates.append_unknown);
                (self.random.millis(1..20), lost)
            }
        };
        let bytes = Bytes::from(bytes);
        self.put(
            reaches,
            Event::Commit(
                run,
                Appended {
                    id,
                    bytes,
                    answer_lost,
                },
            ),
        );
    }

    /// The append takes effect, or does not.
    pub fn commit(&mut self, run: Run, append: Appended) {
        let Appended {
            id,
            bytes,
            answer_lost,
        } = append;
        let is_alive = self.replica.run(run).is_some();
        let result = match self.log.kind {
            // The transaction dies with the replica.
            Kind::Embedded if !is_alive => return self.fault(Fault::AppendLost),
            Kind::Broker if self.now < self.log.away_until => {
                if self.random.permille(500) {
                    AppendResult::Refused
                } else {
                    AppendResult::Unknown
                }
            }
            Kind::Broker if answer_lost => {
                if self.random.permille(700) {
                    self.keep_record(bytes);
                }
                AppendResult::Unknown
            }
            _ => {
                self.keep_record(bytes);
                AppendResult::Done
            }
        };
        if result == AppendResult::Unknown {
            self.fault(Fault::AppendUnknown);
        }
        self.put(self.plan.blink, Event::Heard(run, id, result));
        self.fold_soon();
    }

    fn keep_record(&mut self, bytes: Bytes) {
        let gap = if self.random.permille(100) {
            self.random.of(1..4)
        } else {
            0
        };
        let epoch = self.log.append(bytes.clone(), gap);
        if epoch <= self.passes {
            self.fault(Fault::Fork);
        }
        self.oracle.appended(epoch, &bytes, self.now, self.branch);
        self.tell("appended", &[epoch.0], || format!("epoch {epoch}"));
    }

    /// The replica hears what became of an append.
    pub fn heard(&mut self, run: Run, id: Uuid, result: AppendResult) {
        if result == AppendResult::Done {
            return;
        }
        let Some(running) = self.replica.run(run) else {
            return;
        };
        match running.waiters.remove(&id) {
            Some(Waiter::Join(stream)) => self.session_fails(stream),
            Some(Waiter::Writer { writer, attempt }) => self.write_failed(writer, attempt),
            Some(Waiter::Removal(process)) => {
                let closed = running.closed.entry(process).or_default();
                *closed |= result == AppendResult::Unknown;
                if *closed {
                    self.put(REMOVED_AGAIN, Event::RemoveAgain(run, process));
                } else {
                    self.open_again(process);
                }
            }
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
        self.fold_soon();
        self.put(SAVE_EVERY, Event::Second(run));
    }

    fn save_said(&mut self) {
        let Some(running) = &mut self.replica.running else {
            return;
        };
        for process in std::mem::take(&mut running.unsaved) {
            let saved = self.replica.store.said.entry(process).or_default();
            saved.acked = running.said.get(&process).copied().unwrap_or_default();
        }
    }

    /// A second follower folds the same log at its own pace.
    pub fn shadow(&mut self) {
        let most = self.random.of(1..32) as usize;
        let records = self.log.after(self.shadow.state.applied, most);
        for settled in self.shadow.fold(&records) {
            self.oracle.folded(&settled, self.branch);
        }
        let again = self.random.millis(50..3000);
        self.put(again, Event::Shadow);
    }

    /// The operator takes a process out of the roster, as the shipped verb lets him.
    pub fn remove(&mut self, process: ProcessId) {
        if self.may_remove(process)
            && let Some(running) = &mut self.replica.running
        {
            running.closed.insert(process, false);
            self.fault(Fault::EdgeRemoved);
            self.append_left(process, LeaveReason::Removed, Waiter::Removal(process));
        }
    }

    /// An entry of which nobody knows whether it was written may take effect at any time: until one is folded, the process
    /// stays closed.
    pub fn remove_again(&mut self, run: Run, process: ProcessId) {
        if self.replica.run(run).is_some() {
            self.append_left(process, LeaveReason::Removed, Waiter::Removal(process));
        }
    }

    fn open_again(&mut self, process: ProcessId) {
        if let Some(running) = &mut self.replica.running {
            running.closed.remove(&process);
        }
    }
}
