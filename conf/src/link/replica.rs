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

use super::{PROTOCOL, message};
use crate::{
    change::{Epoch, LogId, Position, ProcessId, Revision, SiteId},
    digest::Digest,
};
use bytes::Bytes;
use message::{from_edge::Message as From, to_edge::Message as To};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The most characters of an edge's name.
pub const EDGE_NAME_CHARS_MAX: usize = 100;
/// The most things that an edge says of itself.
pub const ABOUT_MAX: usize = 32;
/// The most bytes of one name or value among them, and of a version.
pub const ABOUT_BYTES_MAX: usize = 500;
/// The most bytes of the reason why a policy can't be built; what is longer is cut off.
pub const REASON_BYTES_MAX: usize = 16 * 1024;

/// What the replica promises in its `Welcome`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Cut off for longer, the edge is isolated. Milliseconds.
    pub lease_ms: u32,
    /// How often the edge speaks when it has nothing to say. Milliseconds.
    pub heartbeat_ms: u32,
    /// The replica's name, for people.
    pub replica: String,
}

/// An edge process as it introduced itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// This run of the edge.
    pub process: ProcessId,
    /// The operator's name for the edge.
    pub edge: String,
    /// What it obeys; none: nothing yet.
    pub position: Option<Position>,
    /// Its version.
    pub version: String,
    /// What else it says of itself, for people.
    pub about: BTreeMap<String, String>,
}

/// What an edge runs, or why it does not run its target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What runs.
    pub running: Option<(Revision, Digest)>,
    /// What can't be built.
    pub failed: Option<(Revision, Digest)>,
    /// Why.
    pub reason: String,
}

/// The policy that the fleet should run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its number.
    pub revision: Revision,
    /// Its digest.
    pub digest: Digest,
    /// The ids of its sites.
    pub sites: BTreeMap<String, SiteId>,
}

/// An accepted entry between its neighbours on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The position before it.
    pub previous: Position,
    /// The position that it makes.
    pub position: Position,
    /// Its bytes.
    pub entry: Bytes,
}

/// What the log says about the place where an edge stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// The newest accepted entry.
    pub head: Position,
    /// The position that the log has at the edge's epoch; none: no accepted entry stands there.
    pub known: Option<Position>,
    /// The policy that the fleet should run.
    pub target: Option<Target>,
}

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
    /// Take the process out of the roster through the log: it stopped cleanly.
    Left,
    /// The stream is over; what was sent before still goes out.
    End(End),
}

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The edge speaks another version of the protocol.
    ProtocolMismatch,
    /// A message that is not of this protocol, or not in this place.
    BadMessage,
    /// The edge acked what it had not received.
    AckAhead,
    /// The edge has obeyed more of this log than this replica has folded.
    ReplicaBehind,
    /// What was to be delivered does not follow what was sent.
    ChainBroken,
    /// The edge stopped cleanly.
    Left,
    /// The operator took the process out of the roster.
    Removed,
    /// The replica's log or store does not work.
    ReplicaFailed,
}

impl End {
    /// Its stable name, in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProtocolMismatch => "protocol_mismatch",
            Self::BadMessage => "bad_message",
            Self::AckAhead => "ack_ahead",
            Self::ReplicaBehind => "replica_behind",
            Self::ChainBroken => "chain_broken",
            Self::Left => "left",
            Self::Removed => "removed",
            Self::ReplicaFailed => "replica_failed",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum State {
    AwaitingHello,
    AwaitingAdmission { position: Option<Position> },
    Live { sent: Position, acked: Epoch },
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
        let State::AwaitingAdmission { position } = self.state else {
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
        let acked = continues.map_or(Epoch(0), |position| position.epoch);
        self.state = State::Live { sent: start, acked };
        let mut actions = vec![send(To::Welcome(message::Welcome {
            start: Some(write_position(&start)),
            reset: continues.is_none(),
            lease_ms: self.terms.lease_ms,
            heartbeat_ms: self.terms.heartbeat_ms,
            replica: self.terms.replica.clone(),
        }))];
        actions.push(continues.map_or(Action::Reset, |position| Action::Acked(position.epoch)));
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

/// A position as it travels.
pub fn write_position(position: &Position) -> message::Position {
    message::Position {
        log: Bytes::copy_from_slice(position.log.0.as_bytes()),
        epoch: position.epoch.0,
        hash: Bytes::copy_from_slice(&position.hash.0),
    }
}

/// A position as it came; none when its parts have the wrong length.
pub fn read_position(position: &message::Position) -> Option<Position> {
    Some(Position {
        log: LogId(Uuid::from_slice(&position.log).ok()?),
        epoch: Epoch(position.epoch),
        hash: read_digest(&position.hash)?,
    })
}

fn send(message: To) -> Action {
    Action::Send(message::ToEdge {
        message: Some(message),
    })
}

fn write_target(target: &Target) -> To {
    let site = |(name, id): (&String, &SiteId)| message::policy_target::Site {
        name: name.clone(),
        id: id.0,
    };
    To::Target(message::PolicyTarget {
        revision: target.revision.0,
        digest: Bytes::copy_from_slice(&target.digest.0),
        sites: target.sites.iter().map(site).collect(),
    })
}

fn read_digest(bytes: &[u8]) -> Option<Digest> {
    bytes.try_into().ok().map(Digest)
}

fn read_hello(hello: message::Hello) -> Result<Peer, &'static str> {
    let process = Uuid::from_slice(&hello.process).map_err(|_| "the process must be 16 bytes")?;
    if !is_edge_name(&hello.edge) {
        return Err("an edge's name is 1 to 100 letters, digits, dots, hyphens and underscores");
    }
    let position = match &hello.position {
        None => None,
        Some(position) => Some(
            read_position(position).ok_or("a position is a log of 16 and a hash of 32 bytes")?,
        ),
    };
    let long = |text: &String| text.len() > ABOUT_BYTES_MAX;
    if hello.about.len() > ABOUT_MAX
        || hello
            .about
            .iter()
            .any(|(name, value)| long(name) || long(value))
    {
        return Err("an edge says at most 32 things of itself, of 500 bytes each");
    }
    if long(&hello.version) {
        return Err("a version is at most 500 bytes");
    }
    Ok(Peer {
        process: ProcessId(process),
        edge: hello.edge,
        position,
        version: hello.version,
        about: hello.about.into_iter().collect(),
    })
}

/// Whether an edge may be called so: it is a path segment of the API and a label of metrics.
pub fn is_edge_name(name: &str) -> bool {
    (1..=EDGE_NAME_CHARS_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

fn read_report(report: message::PolicyReport) -> Result<Report, &'static str> {
    let digest = |bytes: &[u8], revision: u64| match bytes {
        [] => Ok(None),
        bytes => read_digest(bytes)
            .map(|digest| Some((Revision(revision), digest)))
            .ok_or("a digest is 32 bytes"),
    };
    let mut reason = report.reason;
    let cut = (0..=REASON_BYTES_MAX.min(reason.len()))
        .rev()
        .find(|&at| reason.is_char_boundary(at))
        .unwrap_or(0);
    reason.truncate(cut);
    Ok(Report {
        running: digest(&report.running, report.revision)?,
        failed: digest(&report.failed, report.failed_revision)?,
        reason,
    })
}

#[cfg(test)]
mod tests;
