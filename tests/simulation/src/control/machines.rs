//! Several runs of control on one store: somebody starts a copy of the data folder, and the run on the original was not ended. It
//! stands still, or can't reach the log, or what it writes is held up on its way there; and its edges reach it all the same.
//!
//! The log says who serves. A run that reads that another has taken its place ends, and its service manager leaves it ended; one
//! that dies is started again, wherever it was. Clients and edges don't know which of them they reach.

use super::Replica;
use crate::{
    event::{Event, Run},
    faults::Fault,
    log::Kind,
    world::World,
};
use latencify_cache::rules::Rules;
use std::time::Duration;

/// A machine that control runs on.
pub type Host = u64;

/// So many earlier ones at most are left beside the newest.
const ELDERS_MAX: usize = 2;

/// What is between a machine and a broker, each way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cut {
    /// Nothing can be read before that.
    pub reads_until: Duration,
    /// What is written before that is held up, or refused.
    pub writes_until: Duration,
}

impl<R: Rules> World<R> {
    /// Does something at the machine that this run of control is on: [`World::replica`] is that one meanwhile.
    pub fn at(&mut self, run: Run, act: impl FnOnce(&mut Self)) {
        self.at_machine(|machine| machine.has(run), act);
    }

    /// Does something at a machine of control, if it is still there.
    pub fn at_host(&mut self, host: Host, act: impl FnOnce(&mut Self)) {
        self.at_machine(
            |machine| machine.host == host,
            |world| {
                if world.replica.host == host {
                    act(world);
                }
            },
        );
    }

    fn at_machine(&mut self, is_it: impl Fn(&Replica) -> bool, act: impl FnOnce(&mut Self)) {
        let place = self.elders.iter().position(is_it);
        self.sit_at(place);
        self.depth += 1;
        act(self);
        self.depth -= 1;
        self.sit_at(place);
        if self.depth == 0 {
            self.forget_the_replaced();
        }
    }

    fn sit_at(&mut self, place: Option<usize>) {
        if let Some(elder) = place.and_then(|place| self.elders.get_mut(place)) {
            std::mem::swap(elder, &mut self.replica);
        }
    }

    /// A machine whose run was replaced does nothing more; should it be the newest, another is what the world goes by.
    fn forget_the_replaced(&mut self) {
        self.elders.retain(|elder| !elder.is_replaced);
        if self.replica.is_replaced && !self.elders.is_empty() {
            let is_on = |elder: &Replica| elder.running.is_some();
            let place = self.elders.iter().position(is_on).unwrap_or_default();
            self.replica = self.elders.swap_remove(place);
        }
    }

    fn machines(&self) -> impl Iterator<Item = &Replica> {
        std::iter::once(&self.replica).chain(&self.elders)
    }

    /// The machine that a run of control is on; none: it is over.
    pub fn machine_of(&self, run: Run) -> Option<&Replica> {
        self.machines().find(|machine| machine.has(run))
    }

    fn runs(&self) -> Vec<Run> {
        self.machines()
            .filter_map(|machine| Some(machine.running.as_ref()?.run))
            .collect()
    }

    /// The run of control that somebody reaches; none: none is on.
    pub fn some_run(&mut self) -> Option<Run> {
        let runs = self.runs();
        if runs.len() < 2 {
            return runs.first().copied();
        }
        self.random.pick(&runs).copied()
    }

    /// Does something at whichever machine of control somebody reaches.
    pub fn at_some(&mut self, act: impl FnOnce(&mut Self)) {
        match self.some_run() {
            Some(run) => self.at(run, act),
            None => act(self),
        }
    }

    /// Every run of control hears that the log has grown.
    pub fn all_fold_soon(&mut self) {
        for run in self.runs() {
            self.at(run, Self::fold_soon);
        }
    }

    /// Somebody starts a copy of the data folder, of now or of some time ago, and the run on the original is not ended.
    pub fn second_run(&mut self) {
        let is_free = self.replica.running.is_some() && self.elders.len() < ELDERS_MAX;
        if self.log.kind != Kind::Broker || !is_free {
            return;
        }
        match self.random.below(4) {
            0 => {
                self.replica.paused_until = self.now + self.long_absence();
                self.fault(Fault::ReplicaPause);
            }
            1 | 2 => self.cut_from_log(),
            _ => {}
        }
        let is_old = self.random.permille(300);
        let older = self.copy.as_ref().filter(|copy| {
            is_old
                && copy.log.id == self.log.id
                && copy.store.state.applied < self.replica.store.state.applied
        });
        let store = older.map_or(&self.replica.store, |copy| &copy.store);
        self.next_host += 1;
        let newer = Replica::new(self.next_host, store.clone());
        let elder = std::mem::replace(&mut self.replica, newer);
        self.tell("second run", &[self.next_host], || {
            format!("beside {:?}, cut {:?}", elder.running, elder.cut)
        });
        self.elders.push(elder);
        self.fault(Fault::SecondRun);
        self.starts_again(50..4000);
    }

    /// A machine of control can't reach the log, one way or both; its edges reach it.
    pub fn cut_from_log(&mut self) {
        if self.log.kind != Kind::Broker {
            return;
        }
        let until = self.now + self.long_absence();
        let how = self.random.below(3);
        if how != 0 {
            self.replica.cut.reads_until = until;
            self.fault(Fault::LogUnreadable);
        }
        if how != 1 {
            self.replica.cut.writes_until = until;
            self.fault(Fault::WritesHeldUp);
        }
        self.tell("cut from the log", &[self.replica.host, how], || {
            format!("until {until:?}")
        });
    }

    /// Longer than whatever anybody waits for.
    fn long_absence(&mut self) -> Duration {
        let unread = self.plan.unread_max.into_iter().max().unwrap_or_default();
        let longest = unread + self.plan.lease * 3;
        self.random.span(Duration::from_millis(20), longest)
    }

    /// Whoever runs the machine starts control there again, a while later.
    pub fn starts_again(&mut self, millis: std::ops::Range<u64>) {
        let (host, back) = (self.replica.host, self.random.millis(millis));
        self.put(back, Event::ReplicaStart(host));
    }

    /// Nothing stands still or is cut off any more.
    pub fn machines_are_well(&mut self) {
        for machine in self.elders.iter_mut().chain([&mut self.replica]) {
            machine.paused_until = machine.paused_until.min(self.now);
            machine.cut = Cut::default();
        }
    }

    /// The operator ends every run but the newest, before he lays hands on the log.
    pub fn end_elders(&mut self) {
        for run in self.runs() {
            if !self.replica.has(run) {
                self.at(run, |world| world.replica_die(false));
            }
        }
        self.elders.clear();
    }
}
