//! The operator takes a process out of the roster, as the shipped verb lets him: when its lease must have run out, and with nothing
//! promised to it from then until no entry of that can take effect later.

use super::Waiter;
use crate::{
    event::{AppendResult, Event, Run},
    faults::Fault,
    focus::Focus,
    world::World,
};
use latencify_cache::rules::Rules;
use latencify_conf::change::{Change, LeaveReason, ProcessId};
use std::time::Duration;

/// Between two attempts of a removal of which nobody knows whether it was written.
const AGAIN: Duration = Duration::from_secs(1);
/// Of a thousand removals in doubt, so many are the last that the replica hears of.
const DIES_IN_DOUBT: u64 = 900;

impl<R: Rules> World<R> {
    /// The operator takes a process out of the roster, if he may.
    /// Says whether he began to.
    pub fn remove(&mut self, process: ProcessId) -> bool {
        let (now, lease, breaks) = (self.now, self.plan.lease, self.plan.breaks);
        let is_there = self.replica.store.state.roster.contains_key(&process);
        let Some(running) = &mut self.replica.running else {
            return false;
        };
        let is_free = !running.connected.contains_key(&process)
            && !running.removals.contains_key(&process)
            && running.serves_edges();
        if !is_there || !is_free || running.leases.close(process, lease, now).is_err() {
            return false;
        }
        if breaks.promises_the_removed {
            running.leases.open(process);
        }
        running.removals.insert(process, false);
        self.fault(Fault::EdgeRemoved);
        self.append_removal(process);
        true
    }

    /// An entry of which nobody knows whether it was written may take effect at any time: until one is folded, the process
    /// stays closed.
    pub fn remove_again(&mut self, run: Run, process: ProcessId) {
        if self.replica.run(run).is_some() {
            self.append_removal(process);
        }
    }

    fn append_removal(&mut self, process: ProcessId) {
        let replicas = &self.replica.store.state.replicas;
        let running = self.replica.running.as_ref();
        let announced = running
            .and_then(super::Running::announced)
            .filter(|replica| replicas.contains_key(replica));
        let change = Change::EdgeLeft {
            process,
            why: LeaveReason::Removed,
            replica: announced.filter(|_| !self.plan.breaks.removals_outlive_their_run),
        };
        let entry = self.entry(None, None, "operator", change);
        self.append(&entry, Waiter::Removal(process));
    }

    /// The log did not take the entry, or did not say.
    pub fn removal_failed(&mut self, run: Run, process: ProcessId, result: AppendResult) {
        let Some(running) = self.replica.run(run) else {
            return;
        };
        let is_in_doubt = running.removals.entry(process).or_default();
        *is_in_doubt |= result == AppendResult::Unknown;
        if *is_in_doubt {
            // Whoever would vouch for it dies meanwhile, and nobody does when it comes to the log.
            let focus = self.plan.breaks.focus;
            let may_die = !self.calm && matches!(focus, None | Some(Focus::LateWords));
            let dies = if focus.is_none() { DIES_IN_DOUBT } else { 500 };
            if may_die && self.random.permille(dies) {
                return self.put(Duration::ZERO, Event::ReplicaDies(run));
            }
            self.put(AGAIN, Event::RemoveAgain(run, process));
        } else {
            self.open_again(process);
        }
    }

    /// No entry of the removal takes effect any more.
    pub fn open_again(&mut self, process: ProcessId) {
        let breaks = self.plan.breaks;
        if let Some(running) = &mut self.replica.running
            && running.removals.remove(&process).is_some()
            && !breaks.promises_the_removed
        {
            running.leases.open(process);
        }
    }
}
