//! An edge's end of the link: the shipped driver between model sockets.

use super::port::Port;
use crate::{
    event::{Event, Run},
    faults::Fault,
    lies::Lie,
    world::World,
};
use latencify_cache::rules::Rules;
use latencify_conf::{
    change::Position,
    digest::Digest,
    link::{edge::Fault as Distrust, message::ToEdge},
};
use latencify_gateway::fleet::obey::Outcome;
use std::{sync::Arc, time::Duration};

/// Between two attempts: doubled from the first to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

impl<R: Rules> World<R> {
    /// An edge opens a stream.
    pub fn connect_edge(&mut self, edge: usize, run: Run) {
        let (now, is_cut) = (self.now, self.network.is_cut(edge));
        let is_free = (self.process(edge, run)).is_some_and(|process| process.stream.is_none());
        if !is_free {
            return;
        }
        let replica_run = self.some_run();
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let mut session = process.session.borrow_mut();
        let hello = session.obedience.connected(now);
        let Some(replica_run) = replica_run.filter(|_| !is_cut) else {
            session.obedience.disconnected();
            session.follow(now);
            drop(session);
            return self.reconnect(edge, run, None);
        };
        session.inbox.clear();
        session.follow(now);
        drop(session);
        let stream = self.network.open(edge, run, replica_run);
        if let Some(process) = self.process(edge, run) {
            process.stream = Some(stream);
        }
        self.at(replica_run, |world| world.session_open(stream));
        self.tell("stream opens", &[stream, edge as u64], || {
            format!("stream {stream}: edge {edge}")
        });
        self.carry_out(edge, run, hello);
        self.tick_later(edge, run);
    }

    fn reconnect(&mut self, edge: usize, run: Run, pause: Option<Duration>) {
        let Some(process) = self.process(edge, run) else {
            return;
        };
        process.backoff = (process.backoff * 2).clamp(BACKOFF.0, BACKOFF.1);
        let longest = pause.unwrap_or(process.backoff);
        let pause = self.random.span(longest / 2, longest);
        self.put(pause, Event::Connect(edge, run));
    }

    /// A message has arrived at an edge.
    pub fn edge_gets(&mut self, edge: usize, run: Run, message: ToEdge) {
        // Where others may come between, the session sometimes gets no processor for a while.
        let is_starved = self.random.permille(self.plan.rates.interleave / 2);
        let soon = self.random.millis(0..if is_starved { 300 } else { 2 });
        if self.calm && edge == 0 && self.lies(Lie::Deaf) {
            return;
        }
        let Some(process) = self.process(edge, run) else {
            return;
        };
        process.session.borrow_mut().inbox.push(message);
        if !std::mem::replace(&mut process.read_due, true) {
            self.put(soon, Event::Read(edge, run));
        }
    }

    /// An edge reads what has arrived.
    pub fn edge_reads(&mut self, edge: usize, run: Run) {
        let now = self.now;
        let Some(process) = self.process(edge, run) else {
            return;
        };
        process.read_due = false;
        if process.stream.is_none() {
            process.session.borrow_mut().inbox.clear();
            return;
        }
        let outcomes = process.session.borrow_mut().turn(now);
        self.carry_out(edge, run, outcomes);
        self.tick_later(edge, run);
    }

    /// An edge's timer goes off.
    pub fn timer(&mut self, edge: usize, run: Run) {
        if let Some(process) = self.process(edge, run) {
            process.tick_due = None;
            self.tick(edge, run);
        }
    }

    /// An edge looks at its clock.
    pub fn tick(&mut self, edge: usize, run: Run) {
        let now = self.now;
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let mut session = process.session.borrow_mut();
        let outcomes = session.obedience.tick(now);
        session.follow(now);
        drop(session);
        self.carry_out(edge, run, outcomes);
        self.tick_later(edge, run);
    }

    /// An edge looks at its clock when its link says so.
    pub fn tick_later(&mut self, edge: usize, run: Run) {
        let now = self.now;
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let next = process.session.borrow().obedience.link().next_tick();
        let Some(at) = next else {
            return;
        };
        if process
            .tick_due
            .is_some_and(|due| due >= now && due <= at.max(now))
        {
            return;
        }
        process.tick_due = Some(at.max(now));
        let late = self.random.millis(0..3);
        self.put(at.saturating_sub(now) + late, Event::Tick(edge, run));
    }

    /// Carries out what the driver says, in its order.
    pub fn carry_out(&mut self, edge: usize, run: Run, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            match outcome {
                Outcome::Send(message) => {
                    if let Some(stream) = self.process(edge, run).and_then(|process| process.stream)
                    {
                        self.send_up(stream, message);
                    }
                }
                Outcome::Want(wanted) => {
                    if let Some(process) = self.process(edge, run) {
                        process.wanted = Some(wanted);
                    }
                    let builds = self.random.millis(1..200);
                    self.put(builds, Event::Installed(edge, run));
                }
                Outcome::Reset(start) => {
                    let now = self.now;
                    if let Some(process) = self.process(edge, run) {
                        process.floor_at = now;
                    }
                    self.tell("edge starts over", &[edge as u64, start.epoch.0], || {
                        format!("edge {edge}: floors rise to {}", start.epoch)
                    });
                }
                Outcome::Obeyed { mut position, .. } => {
                    if self.lies(Lie::OtherHistory) {
                        position.hash = Digest::of_parts([&b"another"[..]]);
                    }
                    self.oracle.obeyed(&position);
                    self.note_obeyed(edge, run, &position);
                    self.save_soon(edge, run);
                    self.tell("edge obeys", &[edge as u64, position.epoch.0], || {
                        format!("edge {edge}: {}", position.epoch)
                    });
                    self.probe(edge, run);
                }
                Outcome::Disconnect(fault) => {
                    self.tell("edge gives up", &[edge as u64], || {
                        format!("edge {edge}: {} ({fault})", fault.as_str())
                    });
                    if matches!(fault, Distrust::BehindToldHead { .. }) {
                        self.fault(Fault::BehindToldHead);
                    }
                    let pause = fault.is_distrust().then_some(Duration::from_secs(1));
                    self.edge_hangs_up(edge, run, pause);
                }
                // The model's policies name no secret.
                Outcome::Secrets => {}
            }
        }
    }

    fn note_obeyed(&mut self, edge: usize, run: Run, position: &Position) {
        let Some(process) = self
            .edges
            .get_mut(edge)
            .and_then(|machine| machine.run(run))
        else {
            return;
        };
        process.backoff = Duration::ZERO;
        let port: &Arc<Port<R>> = &process.port;
        for epoch in port.take() {
            process.obeys.extend(self.oracle.purge_at(position, epoch));
        }
    }

    fn edge_hangs_up(&mut self, edge: usize, run: Run, pause: Option<Duration>) {
        let now = self.now;
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let mut session = process.session.borrow_mut();
        session.obedience.disconnected();
        session.inbox.clear();
        session.follow(now);
        drop(session);
        if let Some(stream) = process.stream.take() {
            self.close_from_edge(stream);
        }
        self.reconnect(edge, run, pause);
    }

    /// An edge notices that its stream is gone.
    pub fn edge_notices(&mut self, stream: u64) {
        let Some(known) = self.network.streams.get(&stream) else {
            return;
        };
        let (edge, run) = (known.edge, known.edge_run);
        let is_its = self
            .process(edge, run)
            .is_some_and(|process| process.stream == Some(stream));
        if is_its {
            // What has arrived is read before the end.
            self.edge_reads(edge, run);
            self.edge_hangs_up(edge, run, None);
        }
    }

    /// The newest policy that is wanted is built and in force.
    pub fn installed(&mut self, edge: usize, run: Run) {
        let swaps = self.lies(Lie::PolicySwapped);
        let Some(machine) = self.edges.get_mut(edge) else {
            return;
        };
        let Some(process) = machine
            .running
            .as_mut()
            .filter(|process| process.run == run)
        else {
            return;
        };
        let Some(mut wanted) = process.wanted.clone() else {
            return;
        };
        if let Some(before) = machine.saved_policy.as_ref().filter(|_| swaps) {
            wanted.target.digest = before.target.digest;
        }
        process.policy = Some(wanted.clone());
        machine.saved_policy = Some(wanted.clone());
        self.oracle.installs(&wanted);
    }

    /// A clean stop: nothing is served any more, then the edge says so.
    pub fn edge_leaves(&mut self, edge: usize, run: Run) {
        let leaves_early = self.plan.breaks.leaves_before_it_is_drained;
        let Some(process) = self.process(edge, run) else {
            return;
        };
        if !std::mem::replace(&mut process.draining, true) {
            if leaves_early {
                self.say_that_it_leaves(edge, run);
            }
            let drained = self.random.millis(500..4000);
            return self.put(drained, Event::Gone(edge, run));
        }
        if !process.requests.is_empty() {
            if self.random.permille(700) {
                return self.put(Duration::from_millis(300), Event::Gone(edge, run));
            }
            // The drain runs out of time: the connections that are left end before the edge says that it leaves.
            self.fault(Fault::DrainOutOfTime);
            if let Some(process) = self.process(edge, run) {
                process.requests.clear();
            }
        }
        if !leaves_early {
            self.say_that_it_leaves(edge, run);
        }
        self.edge_die(edge);
        let back = self.random.millis(200..8000);
        self.put(back, Event::EdgeStart(edge));
    }

    fn say_that_it_leaves(&mut self, edge: usize, run: Run) {
        let (now, leaves_early) = (self.now, self.plan.breaks.leaves_before_it_is_drained);
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let mut session = process.session.borrow_mut();
        if !session.obedience.link().is_live() {
            return;
        }
        let outcomes = session.obedience.leave();
        if !leaves_early {
            // Before control hears of it.
            session.follow(now);
        }
        drop(session);
        self.fault(Fault::EdgeLeave);
        self.carry_out(edge, run, outcomes);
        if leaves_early
            && let Some(process) = self.process(edge, run)
            && let Some(stream) = process.stream.take()
        {
            // It goes on answering, and never comes back to its stream.
            process.session.borrow_mut().obedience.disconnected();
            self.close_from_edge(stream);
        }
    }
}
