//! Control's end of the link: what a replica answers to each message, without I/O, clock or chance.
//!
//! # Characters
//! - [`Replica`]: one stream's state: waiting for a [`Peer`] to say hello, waiting for its admission, live, or over.
//! - The **driver** (control's session, the simulator): moves bytes, asks the store, keeps time. It feeds what it
//!   receives to [`Replica::receive`] and carries out the [`Action`]s that come back.
//!
//! # The workflow
//! 1. The edge says `Hello`. The machine checks it and asks the driver to [admit](Action::Admit) the peer: the process
//!    must be in the roster (joined through the log) before anything is promised to it.
//! 2. [`Replica::admit`] compares where the edge stands with what the log says at that epoch, and welcomes it: it
//!    continues there, or starts over at the head (`reset`), or is told to wait because the replica is behind it.
//! 3. While [`Replica::sent`] is behind the log, the driver hands accepted entries to [`Replica::deliver`], in order.
//! 4. Acks, reports and heartbeats are answered as they come. `Leave` is the end.
//!
//! # Rejected
//! - *The machine holds a queue of deliveries*: a slow edge would make it grow. It holds one position instead, and the
//!   driver reads what follows from memory or from the store.
//! - *Only an `Ack` counts as an ack*: the position in a `Hello` is "what it obeys" too, so an ack that was lost with a
//!   broken stream or a restarted replica is known again as soon as the edge is back.

use super::{
    PROTOCOL,
    health::{self, Health},
    message,
};
use crate::change::{Epoch, Position};
use bytes::Bytes;
use message::{from_edge::Message as From, to_edge::Message as To};

mod codec;
mod end;
mod offer;
mod peer;

pub use codec::{
    ABOUT_BYTES_MAX, ABOUT_MAX, EDGE_NAME_CHARS_MAX, REASON_BYTES_MAX, is_edge_name, read_position,
    write_position,
};
use codec::{read_hello, read_report, write_target};
pub use end::End;
pub use offer::{Accepted, Admission, Target, Terms};
pub use peer::{Peer, Report};

/// What the driver shall do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send this to the edge.
    Send(message::ToEdge),
    /// See that the process is in the roster, then call [`Replica::admit`].
    Admit(Peer),
    /// Every worker of the edge obeys everything up to here.
    Acked(Epoch),
    /// The edge starts over: what it acked before does not say what it obeys now.
    Reset,
    /// Keep what the edge runs.
    Reported(Report),
    /// Keep what the edge has answered by what it runs.
    Health(Health),
    /// Take the process out of the roster through the log: it stopped cleanly.
    Left,
    /// The stream is over; what was sent before still goes out.
    End(End),
}

#[derive(Debug, Clone, PartialEq)]
enum State {
    AwaitingHello,
    AwaitingAdmission {
        position: Option<Position>,
        saves_marks: bool,
    },
    Live {
        sent: Position,
        acked: Epoch,
    },
    Over,
}

/// Control's end of one stream.
#[derive(Debug, Clone)]
pub struct Replica {
    terms: Terms,
    state: State,
}

impl Replica {
    /// A stream that has just been opened.
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            state: State::AwaitingHello,
        }
    }

    /// The last position that was sent; none unless the edge has been welcomed.
    pub fn sent(&self) -> Option<Position> {
        match self.state {
            State::Live { sent, .. } => Some(sent),
            _ => None,
        }
    }

    /// Takes one message of the edge. `head` is the replica's newest accepted epoch, told in heartbeat answers.
    pub fn receive(&mut self, message: message::FromEdge, head: Epoch) -> Vec<Action> {
        let Some(message) = message.message else {
            return self.refuse(
                End::BadMessage,
                "an empty message, or one of a newer protocol: upgrade control",
            );
        };
        match (self.state.clone(), message) {
            (State::Over, _) => Vec::new(),
            (State::AwaitingHello, From::Hello(hello)) => self.hello(hello),
            (State::AwaitingHello, _) => {
                self.refuse(End::BadMessage, "the first message must be Hello")
            }
            (_, From::Hello(_)) => self.refuse(End::BadMessage, "Hello is said once a stream"),
            (State::AwaitingAdmission { .. }, From::Heartbeat(_)) => self.refuse(
                End::BadMessage,
                "a heartbeat before the Welcome extends no lease",
            ),
            (_, From::Heartbeat(beat)) => {
                vec![send(To::Heartbeat(message::HeartbeatAnswer {
                    sequence: beat.sequence,
                    head: head.0,
                }))]
            }
            (_, From::Policy(report)) => match read_report(report) {
                Ok(report) => vec![Action::Reported(report)],
                Err(what) => self.refuse(End::BadMessage, what),
            },
            (_, From::Health(said)) => match health::read(said) {
                Ok(health) => vec![Action::Health(health)],
                Err(what) => self.refuse(End::BadMessage, what),
            },
            (_, From::Leave(_)) => {
                self.state = State::Over;
                vec![Action::Left, Action::End(End::Left)]
            }
            (State::Live { sent, acked }, From::Ack(ack)) => {
                self.ack(sent, acked, Epoch(ack.epoch))
            }
            (State::AwaitingAdmission { .. }, From::Ack(_)) => {
                self.refuse(End::BadMessage, "an ack before the Welcome acks nothing")
            }
        }
    }

    /// Welcomes a peer that is in the roster, or says why not.
    pub fn admit(&mut self, admission: Admission) -> Vec<Action> {
        let State::AwaitingAdmission {
            position,
            saves_marks,
        } = self.state
        else {
            return Vec::new();
        };
        let Admission {
            head,
            known,
            target,
        } = admission;
        let same_log = position.filter(|position| position.log == head.log);
        if let Some(ahead) = same_log.filter(|position| position.epoch > head.epoch) {
            let reason = format!(
                "this replica has folded the log to {}, the edge obeys {}: try again, or another replica",
                head.epoch, ahead.epoch
            );
            return self.end(End::ReplicaBehind, reason, false);
        }
        let continues = same_log.filter(|position| known == Some(*position));
        let start = continues.unwrap_or(head);
        // What it obeys is not what it has saved: it says so itself after the Welcome.
        let acked = continues.filter(|_| !saves_marks);
        let acked = acked.map_or(Epoch(0), |position| position.epoch);
        self.state = State::Live { sent: start, acked };
        let mut actions = vec![send(To::Welcome(message::Welcome {
            start: Some(write_position(&start)),
            reset: continues.is_none(),
            lease_ms: self.terms.lease_ms,
            heartbeat_ms: self.terms.heartbeat_ms,
            replica: self.terms.replica.clone(),
            takes_health: true,
        }))];
        actions.push(continues.map_or(Action::Reset, |_| Action::Acked(acked)));
        actions.extend(target.map(|target| send(write_target(&target))));
        actions
    }

    /// Delivers the accepted entry that follows what was sent.
    pub fn deliver(&mut self, accepted: &Accepted) -> Vec<Action> {
        let State::Live { sent, acked } = self.state else {
            return Vec::new();
        };
        if accepted.previous != sent {
            return self.end(
                End::ChainBroken,
                "the next entry does not follow the last one sent".into(),
                false,
            );
        }
        self.state = State::Live {
            sent: accepted.position,
            acked,
        };
        vec![send(To::Delivery(message::Delivery {
            previous_epoch: accepted.previous.epoch.0,
            previous_hash: Bytes::copy_from_slice(&accepted.previous.hash.0),
            epoch: accepted.position.epoch.0,
            hash: Bytes::copy_from_slice(&accepted.position.hash.0),
            entry: accepted.entry.clone(),
        }))]
    }

    /// The policy that the fleet should run has changed.
    pub fn target(&mut self, target: &Target) -> Vec<Action> {
        match self.state {
            State::Live { .. } => vec![send(write_target(target))],
            _ => Vec::new(),
        }
    }

    /// Ends the stream for a reason that the driver knows.
    pub fn end(&mut self, end: End, reason: String, is_final: bool) -> Vec<Action> {
        self.state = State::Over;
        vec![
            send(To::Refusal(message::Refusal {
                reason,
                r#final: is_final,
                removed: end == End::Removed,
            })),
            Action::End(end),
        ]
    }

    fn refuse(&mut self, end: End, reason: &str) -> Vec<Action> {
        self.end(end, reason.to_owned(), true)
    }

    fn hello(&mut self, hello: message::Hello) -> Vec<Action> {
        if hello.protocol != PROTOCOL {
            let older = if hello.protocol < PROTOCOL {
                "the edge"
            } else {
                "control"
            };
            let reason = format!(
                "the edge speaks protocol {}, control speaks {PROTOCOL}: upgrade {older}",
                hello.protocol
            );
            return self.end(End::ProtocolMismatch, reason, true);
        }
        match read_hello(hello) {
            Ok(peer) => {
                self.state = State::AwaitingAdmission {
                    position: peer.position,
                    saves_marks: peer.saves_marks,
                };
                vec![Action::Admit(peer)]
            }
            Err(what) => self.refuse(End::BadMessage, what),
        }
    }

    fn ack(&mut self, sent: Position, acked: Epoch, epoch: Epoch) -> Vec<Action> {
        if epoch > sent.epoch {
            let reason = format!(
                "the edge acks {epoch}, but was sent nothing after {}",
                sent.epoch
            );
            return self.end(End::AckAhead, reason, true);
        }
        if epoch <= acked {
            return Vec::new();
        }
        self.state = State::Live { sent, acked: epoch };
        vec![Action::Acked(epoch)]
    }
}

fn send(message: To) -> Action {
    Action::Send(message::ToEdge {
        message: Some(message),
    })
}

#[cfg(test)]
mod tests;
