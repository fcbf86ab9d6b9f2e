//! How a peer is admitted and greeted, in the steps of the shipped session.

use super::{Running, Waiter};
use crate::{event::Event, faults::Fault, network::StreamId, world::World};
use latencify_cache::rules::Rules;
use latencify_conf::{
    change::ProcessId,
    link::replica::{Action, End, Peer},
};
use latencify_control::fleet::{
    EdgeAhead, Lead,
    admission::{self, JOINS_MAX, Step},
    leases::Greeting,
};

impl<R: Rules> World<R> {
    /// Takes the next step of a peer's admission.
    pub fn joined(&mut self, stream: StreamId) {
        let Some((peer, joins)) = self
            .session(stream)
            .and_then(|session| session.peer.clone())
        else {
            return;
        };
        let state = &self.replica.store.state;
        let breaks = self.plan.breaks;
        let names_nobody = breaks.joins_outlive_their_run || breaks.serves_an_old_fold;
        let running = self.replica.running.as_ref();
        let run = (running.and_then(Running::announced)).filter(|_| !names_nobody);
        let admission = match admission::next(&peer, state, run) {
            Step::Join(_) if joins >= JOINS_MAX => return self.session_fails(stream),
            Step::Join(change) => {
                if let Some(session) = self.session(stream) {
                    session.peer = Some((peer.clone(), joins + 1));
                }
                let entry = self.entry(None, None, &format!("edge:{}", peer.edge), change);
                return self.append(&entry, Waiter::Join(stream));
            }
            Step::LookUp(epoch) => {
                let known = self.replica.store.position_at(epoch);
                admission::admission(state, peer.process, known)
            }
            Step::Admit(admission) => admission,
        };
        if !self.greet(&peer) || self.withholds() {
            return self.session_fails(stream);
        }
        let target = admission.target.as_ref().map(|target| target.revision);
        let older = self.connect(stream, peer.process);
        if let Some(older) = older {
            let soon = self.random.millis(0..5);
            let run = self
                .replica
                .running
                .as_ref()
                .map_or(0, |running| running.run);
            self.put(soon, Event::Replaced(run, older));
        }
        let Some(session) = self.session(stream) else {
            return;
        };
        session.peer = None;
        session.process = Some(peer.process);
        session.target = target;
        let forked = Lead::forked(&peer, admission.known, &admission.head);
        let actions = session.machine.admit(admission);
        self.note_lead(&peer, forked, &actions);
        self.session_acts(stream, actions);
        self.session_reads_on(stream);
    }

    /// What is promised is kept before it is promised. Says whether the peer may be welcomed.
    fn greet(&mut self, peer: &Peer) -> bool {
        let (lease, now) = (self.plan.lease, self.now);
        let Some(running) = &mut self.replica.running else {
            return false;
        };
        let promises = &mut self.replica.store.promises;
        let stored = promises.get(&peer.process).copied();
        let known = running.leases.get(peer.process);
        let greeting = Greeting::new(known, stored, peer.when_isolated, lease, now);
        if let Some(promise) = greeting.keep {
            promises.insert(peer.process, promise);
        }
        running.leases.greeted(peer.process, &greeting)
    }

    fn connect(&mut self, stream: StreamId, process: ProcessId) -> Option<StreamId> {
        let running = self.replica.running.as_mut()?;
        running
            .connected
            .insert(process, stream)
            .filter(|older| *older != stream)
    }

    /// The operator has to know of an edge that knows of more than there is.
    fn note_lead(&mut self, peer: &Peer, forked: Option<Lead>, actions: &[Action]) {
        let was_turned_away = actions
            .iter()
            .any(|action| matches!(action, Action::End(End::ReplicaBehind)));
        let state = &self.replica.store.state;
        let Some(running) = &mut self.replica.running else {
            return;
        };
        match forked.or_else(|| Lead::of(peer, was_turned_away, &state.position)) {
            None => running.ahead.none(peer.process),
            Some(lead) => {
                let edge = EdgeAhead {
                    edge: peer.edge.clone(),
                    lead,
                };
                running.ahead.found(peer.process, edge, state);
                match lead {
                    Lead::Obeys(_) => self.fault(Fault::TurnedAway),
                    Lead::Forked(_) => self.fault(Fault::Forked),
                    Lead::WasTold(_) => {}
                }
            }
        }
    }
}
