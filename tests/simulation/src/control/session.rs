//! One edge's stream at the replica: the shipped machine, driven as the shipped session drives it.

use super::Waiter;
use crate::{
    event::{Event, Run},
    faults::Fault,
    lies::Lie,
    network::StreamId,
    world::World,
};
use latencify_cache::rules::Rules;
use latencify_conf::{
    change::{Change, Epoch, LeaveReason, ProcessId, Revision},
    link::{
        message::{FromEdge, from_edge::Message as From},
        replica::{Action, End, Peer, Replica as Machine, Terms},
    },
};
use latencify_control::fleet::admission;
use std::time::Duration;

/// Entries that are read at a time.
const READ_MAX: usize = 64;

/// One edge's stream.
#[derive(Debug)]
pub struct Session {
    /// What is said.
    pub(super) machine: Machine,
    /// Who is on it, once admitted.
    pub process: Option<ProcessId>,
    /// Who waits for admission, and how often that joined.
    pub(super) peer: Option<(Peer, usize)>,
    heard: Duration,
    /// The revision that it was told to run.
    pub(super) target: Option<Revision>,
}

impl<R: Rules> World<R> {
    /// A stream has opened.
    pub fn session_open(&mut self, stream: StreamId) {
        let terms = Terms {
            lease_ms: self.plan.lease.as_millis() as u32,
            heartbeat_ms: self.plan.heartbeat().as_millis() as u32,
            replica: "control".into(),
        };
        let heard = self.now;
        if let Some(running) = &mut self.replica.running {
            let session = Session {
                machine: Machine::new(terms),
                process: None,
                peer: None,
                heard,
                target: None,
            };
            running.sessions.insert(stream, session);
        }
    }

    /// A stream's session.
    pub fn session(&mut self, stream: StreamId) -> Option<&mut Session> {
        self.replica.running.as_mut()?.sessions.get_mut(&stream)
    }

    /// A message of an edge arrives.
    pub fn session_hears(&mut self, stream: StreamId, message: FromEdge) {
        let now = self.now;
        let state_head = self.replica.store.state.position.epoch;
        let serves_edges =
            (self.replica.running.as_ref()).is_some_and(super::Running::serves_edges);
        let Some(session) = self.session(stream) else {
            return;
        };
        session.heard = now;
        let process = session.process;
        if !serves_edges {
            return self.session_refuses(stream, End::ReplicaFailed, "it is not at the log's end");
        }
        let is_promised = matches!(message.message, Some(From::Heartbeat(_) | From::Hello(_)));
        if is_promised && self.withholds() {
            return self.session_refuses(stream, End::ReplicaFailed, "the log is unread");
        }
        if let (Some(From::Heartbeat(_)), Some(process)) = (&message.message, process)
            && let Some(running) = &mut self.replica.running
        {
            let state = &self.replica.store.state;
            if running.leases.answer(process, now, state).is_none() {
                return self.session_refuses(stream, End::Removed, "taken out");
            }
            self.spring_ambush(stream);
        }
        let newest = process.and_then(|process| {
            self.replica
                .running
                .as_ref()?
                .connected
                .get(&process)
                .copied()
        });
        if newest.is_some_and(|newest| newest != stream) {
            self.fault(Fault::Straggler);
        }
        let Some(session) = self.session(stream) else {
            return;
        };
        let actions = session.machine.receive(message, state_head);
        self.session_acts(stream, actions);
        self.session_reads_on(stream);
    }

    /// Does what the machine of a stream says.
    pub fn session_acts(&mut self, stream: StreamId, actions: Vec<Action>) {
        for action in actions {
            let process = self.session(stream).and_then(|session| session.process);
            match action {
                Action::Send(message) => self.send_down(stream, message),
                Action::Admit(peer) => {
                    if let Some(session) = self.session(stream) {
                        session.peer = Some((peer, 0));
                    }
                    self.joined(stream);
                }
                Action::Acked(epoch) => self.acked(process, epoch),
                Action::Reset => self.said_reset(process),
                Action::Reported(_) | Action::Health(_) => {}
                Action::Left => {
                    if let Some(process) = process {
                        // It uses nothing that it has stored any more, whenever this is folded.
                        let why = LeaveReason::Stopped;
                        let change = Change::EdgeLeft {
                            process,
                            why,
                            replica: None,
                        };
                        let entry = self.entry(None, None, "edge", change);
                        self.append(&entry, Waiter::Nobody);
                    }
                }
                Action::End(end) => self.session_ends(stream, end),
            }
        }
    }

    fn acked(&mut self, process: Option<ProcessId>, epoch: Epoch) {
        let epoch = match self.plan.breaks.lie {
            Some(Lie::AcksDropped) => return,
            Some(Lie::AckAhead) => Epoch(epoch.0 + 1000),
            _ => epoch,
        };
        let (Some(process), Some(running)) = (process, &mut self.replica.running) else {
            return;
        };
        let known = running.said.entry(process).or_default();
        *known = (*known).max(epoch);
        running.unsaved.insert(process);
        self.tell("acked", &[process.0.as_u128() as u64, epoch.0], || {
            format!("process {} obeys {epoch}", process.0.as_u128())
        });
    }

    fn said_reset(&mut self, process: Option<ProcessId>) {
        let (Some(process), Some(running)) = (process, &mut self.replica.running) else {
            return;
        };
        running.said.insert(process, Epoch(0));
        running.unsaved.insert(process);
        running.leases.reset(process);
    }

    /// Hands on what was accepted since.
    pub fn session_reads_on(&mut self, stream: StreamId) {
        loop {
            let Some(sent) = self
                .session(stream)
                .and_then(|session| session.machine.sent())
            else {
                return;
            };
            if self.replica.store.state.position.epoch <= sent.epoch {
                return;
            }
            for accepted in self.replica.store.after(sent.epoch, READ_MAX) {
                let Some(session) = self.session(stream) else {
                    return;
                };
                let actions = session.machine.deliver(&accepted);
                self.session_acts(stream, actions);
            }
        }
    }

    /// Every session sees the newest state.
    pub fn sessions_follow(&mut self) {
        let Some(running) = &self.replica.running else {
            return;
        };
        let streams: Vec<_> = running.sessions.keys().copied().collect();
        for stream in streams {
            self.session_reads_on(stream);
            let Some(session) = self.session(stream) else {
                continue;
            };
            let Some(process) = session.process else {
                continue;
            };
            if !self.replica.store.state.roster.contains_key(&process) {
                self.session_refuses(stream, End::Removed, "taken out");
            } else if let Some(target) = admission::target(&self.replica.store.state, process) {
                self.session_targets(stream, &target);
            }
        }
    }

    fn session_targets(
        &mut self,
        stream: StreamId,
        target: &latencify_conf::link::replica::Target,
    ) {
        let Some(session) = self.session(stream) else {
            return;
        };
        if session.target != Some(target.revision) {
            session.target = Some(target.revision);
            let actions = session.machine.target(target);
            self.session_acts(stream, actions);
        }
    }

    fn session_refuses(&mut self, stream: StreamId, end: End, reason: &str) {
        let Some(session) = self.session(stream) else {
            return;
        };
        let actions = session.machine.end(end, reason.to_owned(), false);
        self.session_acts(stream, actions);
    }

    /// The stream can't go on: the log or the store failed.
    pub fn session_fails(&mut self, stream: StreamId) {
        self.session_refuses(stream, End::ReplicaFailed, "the log does not answer");
    }

    fn session_ends(&mut self, stream: StreamId, end: End) {
        self.tell("stream ends", &[stream], || {
            format!("stream {stream}: {}", end.as_str())
        });
        self.session_drop(stream);
        let notices = self.random.millis(1..20);
        self.put(notices, Event::EdgeNotices(stream));
    }

    /// The stream is no more, at this end.
    pub fn session_drop(&mut self, stream: StreamId) {
        let Some(running) = &mut self.replica.running else {
            return;
        };
        if let Some(session) = running.sessions.remove(&stream)
            && let Some(process) = session.process
            && running.connected.get(&process) == Some(&stream)
        {
            running.connected.remove(&process);
        }
    }

    /// A newer stream of the process took over.
    pub fn session_replaced(&mut self, run: Run, stream: StreamId) {
        if self.replica.run(run).is_some() {
            self.session_drop(stream);
        }
    }

    /// Edges that said nothing for a lease are gone.
    pub fn end_silent(&mut self) {
        let (now, lease) = (self.now, self.plan.lease);
        let Some(running) = &self.replica.running else {
            return;
        };
        let silent = running
            .sessions
            .iter()
            .filter(|(_, session)| now >= session.heard + lease);
        for stream in silent.map(|(stream, _)| *stream).collect::<Vec<_>>() {
            self.session_drop(stream);
            if let Some(stream) = self.network.streams.get_mut(&stream) {
                stream.lost = true;
            }
        }
    }

    /// Every stream is told that the replica stops.
    pub fn sessions_stop(&mut self) {
        let Some(running) = &self.replica.running else {
            return;
        };
        for stream in running.sessions.keys().copied().collect::<Vec<_>>() {
            self.session_refuses(stream, End::ReplicaStops, "this replica stops");
        }
    }
}
