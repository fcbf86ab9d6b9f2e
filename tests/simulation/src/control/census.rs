//! How the edges of the roster stand towards the replica, by the shipped count; and whether that is so.

use crate::{edge::Process, faults::Fault, lies::Lie, world::World};
use latencify_cache::rules::Rules;
use latencify_conf::change::{Epoch, ProcessId};
use latencify_control::fleet::{Standing, contact::Contact};
use std::time::Duration;

impl<R: Rules> World<R> {
    /// Counts how everybody stands. Who counts as fenced holds no lease, or obeys all that its fence is about: that is what a
    /// receipt that calls it fenced relies on.
    pub fn take_census(&mut self) {
        let now = self.now;
        let ahead = self.lies(Lie::FencedEarly);
        let here = self.judges_at() + self.plan.lease * 2 * u32::from(ahead);
        // Another run may answer it, which is replaced or has replaced this one: then it obeys what this one knows of.
        let folded = self.replica.store.state.position.epoch;
        let suffices = (!self.elders.is_empty()).then_some(folded);
        let Some(running) =
            (self.replica.running.as_ref()).filter(|running| running.serves_edges())
        else {
            return;
        };
        let mut wrong = None;
        let mut standings = [0; Standing::ALL.len()];
        for process in self.replica.store.state.roster.keys() {
            let contact = running.leases.get(*process);
            let acked = running.said.get(process).copied().unwrap_or_default();
            let is_fenced = contact.is_some_and(|contact| contact.is_fenced(here, acked));
            let is_ahead = running.ahead.get(*process).is_some();
            let is_connected = running.connected.contains_key(process);
            let standing = Standing::of(is_ahead, is_fenced, is_connected);
            let place = Standing::ALL.iter().position(|other| *other == standing);
            if let Some(count) = place.and_then(|place| standings.get_mut(place)) {
                *count += 1;
            }
            if is_fenced
                && let Some(contact) = contact
                && let Some(edge) = self.alive(*process)
                && !is_kept_out(edge, &contact, here, now, suffices)
            {
                wrong = Some(format!(
                    "process {} is called fenced by {contact:?}, has acked {acked}, and holds a lease at {now:?}",
                    process.0.as_u128()
                ));
            }
        }
        for (standing, count) in Standing::ALL.into_iter().zip(standings) {
            let fault = match standing {
                Standing::Connected => continue,
                Standing::CutOff => Fault::StandsCutOff,
                Standing::Fenced => Fault::StandsFenced,
                Standing::Ahead => Fault::StandsAhead,
            };
            self.faults.add_many(fault, count);
        }
        if let Some(text) = wrong {
            self.violate("true_fences", || text);
        }
    }

    fn alive(&self, process: ProcessId) -> Option<&Process<R>> {
        let running = self
            .edges
            .iter()
            .filter_map(|machine| machine.running.as_ref());
        running.into_iter().find(|edge| edge.id == process)
    }
}

/// Whether that is so, asked of the replica when its clock shows `here`, and of the edge at `now`. If it `suffices` that the edge
/// obeys so much, its lease may run.
fn is_kept_out<R: Rules>(
    edge: &Process<R>,
    contact: &Contact,
    here: Duration,
    now: Duration,
    suffices: Option<Epoch>,
) -> bool {
    let session = edge.session.borrow();
    let link = session.obedience.link();
    let obeyed = link.obeyed().map_or(Epoch(0), |obeyed| obeyed.epoch);
    let caught_up = if contact.is_out(here) {
        suffices.is_some_and(|folded| obeyed >= folded)
    } else {
        obeyed >= contact.fenced_through()
    };
    caught_up || link.isolation(now).is_some()
}
