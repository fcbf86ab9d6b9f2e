//! Which other runs of control may answer edges when one begins to, and for how long: counted as the shipped `presence` counts it.

use super::{
    Waiter,
    opening::{AGAIN, Opening},
};
use crate::{
    event::{Event, Run},
    log::Kind,
    world::World,
};
use latencify_cache::rules::Rules;
use latencify_conf::change::{Change, ReplicaId};
use latencify_control::fleet::contact::DRIFT_PART;
use std::time::Duration;

/// Between two looks whether it has waited for the others for long enough.
const ALONE_PAUSE: Duration = Duration::from_secs(1);

impl<R: Rules> World<R> {
    /// It is in the log, and serves edges. Others may have answered them until they had to know that they are replaced.
    pub fn serves(&mut self, replica: ReplicaId) {
        let now = self.now;
        let others = self.others_answer_for(replica);
        let others = others.filter(|_| !self.plan.breaks.alone_at_once);
        let promises = self.replica.store.promises.values();
        let longest = promises.map(|promise| promise.lease).max();
        let announced = self.replica.store.state.longest_lease;
        let longest = longest.unwrap_or_default().max(self.plan.lease);
        let longest = longest.max(announced);
        let Some(running) = &mut self.replica.running else {
            return;
        };
        running.opening = Opening::Serves(replica);
        let run = running.run;
        self.tell("replica serves", &[run], || {
            format!("run {run}; others may answer for {others:?}")
        });
        if let Some(running) = &mut self.replica.running {
            running.leases.held_since(Duration::ZERO, longest);
        }
        let Some(others) = others else { return };
        let others = others + others / DRIFT_PART;
        if let Some(running) = &mut self.replica.running {
            running.leases.held_since(now + others, longest);
            running.hold = (running.hold).map(|hold| hold.held_since(longest, now + others));
        }
        let waits = others + longest + longest / DRIFT_PART;
        self.put(waits + ALONE_PAUSE, Event::Alone(run));
    }

    /// For how long from now others may answer edges; none: there are none.
    fn others_answer_for(&self, replica: ReplicaId) -> Option<Duration> {
        let state = &self.replica.store.state;
        let run = self.replica.running.as_ref()?.run;
        let (own_max, moved) = (self.own_unread_max(run), self.log.from);
        if self.log.kind == Kind::Broker {
            state.absent.may_answer_for(own_max, moved)
        } else {
            let others = &state.replicas;
            (state.absent).may_answer_elsewhere_for(others, Some(replica), own_max, moved)
        }
    }

    /// Every other run must have ended by now, and every lease that it gave: the log is told, so that whoever comes next does not
    /// wait for them again.
    pub fn say_alone(&mut self, run: Run) {
        let absent = &self.replica.store.state.absent;
        let is_said = absent
            .may_answer_for(Duration::ZERO, self.log.from)
            .is_none();
        let replica = (self.replica.run(run)).and_then(|running| running.announced());
        let Some(replica) = replica.filter(|_| !is_said) else {
            return;
        };
        let entry = self.entry(None, None, "control", Change::ReplicaAlone { replica });
        self.append(&entry, Waiter::Nobody);
        self.put(AGAIN, Event::Alone(run));
    }
}
