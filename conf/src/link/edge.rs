//! The edge's end of the link: what an edge believes, obeys and answers, without I/O, clock or chance.
//!
//! # Characters
//! - [`EdgeLink`]: one edge process over all its streams. It knows where on the log the edge stands, and nothing of marks
//!   or policies.
//! - The **driver** (the edge's session, the simulator): opens streams, moves bytes, keeps time, applies entries. It
//!   feeds what happens to the methods and carries out the [`Action`]s that come back, in their order.
//!
//! # The workflow
//! 1. [`connected`](EdgeLink::connected): `Hello` goes out and names the position that the edge obeys.
//! 2. The `Welcome` either continues exactly there or resets: then floors rise to its start before anything else.
//! 3. Each delivery must extend the chain that the edge has verified so far ([`chain`]). One that
//!    does not is a [`Fault`]: nothing of it is applied, the stream ends, and the position stays.
//! 4. The driver applies entries and says so ([`applied`](EdgeLink::applied)): only then does the position move, and the
//!    cumulative `Ack` goes out. Applying many and saying so once acks once.
//! 5. Heartbeats go out on a timer. An answer extends the lease from the moment when its heartbeat was *sent*.
//!
//! # Rejected
//! - *Skipping an entry that is not understood*: it might be a purge. The edge stays where it is, and says why.
//! - *Asking again for a delivery that does not fit*: a replica that sends one is mistaken or forged; a new stream, maybe
//!   to another replica, starts from the verified position.

mod fault;

pub use fault::Fault;

use super::{
    PROTOCOL, chain, message,
    replica::{Report, Target, read_position, write_position},
};
use crate::{
    change::{Entry, Epoch, Position, ProcessId, Revision, SiteId},
    digest::Digest,
};
use bytes::Bytes;
use message::{from_edge::Message as From, to_edge::Message as To};
use std::{collections::VecDeque, time::Duration};

/// A stream whose `Welcome` takes longer is given up.
pub const WELCOME_WITHIN: Duration = Duration::from_secs(10);
/// Entries handed to the driver and not applied yet; a driver that lets more pile up is a defect, and the stream ends.
pub const UNAPPLIED_MAX: usize = 4096;
/// Heartbeats under way at once; the oldest is forgotten first.
const HEARTBEATS_MAX: usize = 64;
/// Bounds on what a `Welcome` may ask for.
const HEARTBEAT_MS: std::ops::RangeInclusive<u32> = 10..=60_000;
/// The longest lease that a `Welcome` may give.
const LEASE_MS_MAX: u32 = 3_600_000;

/// What an edge says of itself in every `Hello`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// The operator's name for the edge.
    pub edge: String,
    /// This run of it.
    pub process: ProcessId,
    /// Of the program.
    pub version: String,
    /// For people.
    pub about: Vec<(String, String)>,
}

/// What the driver shall do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send this to control.
    Send(message::FromEdge),
    /// What the edge has stored may be older than marks that it never saw: raise every floor to this position, then say
    /// that it is applied.
    Reset {
        /// Deliveries follow from here.
        start: Position,
    },
    /// Apply a verified entry, then say that its position is applied.
    Apply {
        /// What changes.
        entry: Box<Entry>,
        /// Where it stands.
        position: Position,
    },
    /// This is the policy to run; it replaces earlier targets. Nothing here waits for it.
    Target(Target),
    /// Close the stream. What was sent before need not go out.
    Disconnect(Fault),
}

#[derive(Debug, Clone, PartialEq)]
enum Phase {
    Offline,
    AwaitingWelcome {
        since: Duration,
    },
    Live(Live),
    /// After a fault or a goodbye: whatever still arrives is not read.
    Over,
}

#[derive(Debug, Clone, PartialEq)]
struct Live {
    /// The last position that was verified and handed to the driver.
    received: Position,
    lease: Duration,
    heartbeat: Duration,
    next_heartbeat: Duration,
    /// Sequence and time of sending of those not answered yet, oldest first.
    unanswered: VecDeque<(u64, Duration)>,
}

/// The edge's end of the link. Times are on a monotonic clock of the driver's.
#[derive(Debug, Clone)]
pub struct EdgeLink {
    introduction: Introduction,
    phase: Phase,
    obeyed: Option<Position>,
    /// Handed to the driver on this stream and not applied yet, in order.
    unapplied: VecDeque<Position>,
    report: Report,
    sequence: u64,
    lease_until: Option<Duration>,
    head: Epoch,
}

impl EdgeLink {
    /// An edge process that obeys nothing yet.
    pub fn new(introduction: Introduction) -> Self {
        Self {
            introduction,
            phase: Phase::Offline,
            obeyed: None,
            unapplied: VecDeque::new(),
            report: Report::default(),
            sequence: 0,
            lease_until: None,
            head: Epoch(0),
        }
    }

    /// Every entry up to here is applied; none before the first `Welcome`.
    pub fn obeyed(&self) -> Option<Position> {
        self.obeyed
    }

    /// Whether a replica has welcomed the edge on the present stream.
    pub fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live(_))
    }

    /// Until when control counts on this edge; none before the first answered heartbeat. In the past: the edge is cut off.
    pub fn lease_until(&self) -> Option<Duration> {
        self.lease_until
    }

    /// The newest epoch that a replica has told of.
    pub fn head(&self) -> Epoch {
        self.head
    }

    /// When [`tick`](Self::tick) has something to do at the latest.
    pub fn next_tick(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Offline | Phase::Over => None,
            Phase::AwaitingWelcome { since } => Some(*since + WELCOME_WITHIN),
            Phase::Live(live) => Some(
                live.next_heartbeat
                    .min(live.silent_at().unwrap_or(Duration::MAX)),
            ),
        }
    }

    /// A stream has opened.
    pub fn connected(&mut self, now: Duration) -> Vec<Action> {
        self.phase = Phase::AwaitingWelcome { since: now };
        // Entries of an earlier stream that are still to be applied are delivered again on this one, or reset away.
        self.unapplied.clear();
        let introduction = &self.introduction;
        vec![send(From::Hello(message::Hello {
            protocol: PROTOCOL,
            edge: introduction.edge.clone(),
            process: Bytes::copy_from_slice(introduction.process.0.as_bytes()),
            position: self.obeyed.as_ref().map(write_position),
            version: introduction.version.clone(),
            about: introduction.about.iter().cloned().collect(),
            when_isolated: message::WhenIsolated::Revalidate.into(),
            saves_marks: false,
        }))]
    }

    /// The stream is gone.
    pub fn disconnected(&mut self) {
        self.phase = Phase::Offline;
    }

    /// Takes one message of control.
    pub fn receive(&mut self, message: message::ToEdge, now: Duration) -> Vec<Action> {
        let taken = match (&mut self.phase, message.message) {
            (Phase::Offline | Phase::Over, _) => return Vec::new(),
            (_, None) => Err(Fault::Malformed(
                "an empty message, or one of a newer protocol: upgrade this edge",
            )),
            (_, Some(To::Refusal(refusal))) => Err(Fault::Refused {
                reason: refusal.reason,
                is_final: refusal.r#final,
            }),
            (Phase::AwaitingWelcome { .. }, Some(To::Welcome(welcome))) => {
                self.welcome(welcome, now)
            }
            (Phase::AwaitingWelcome { .. }, Some(_)) => {
                Err(Fault::Unexpected("the first message must be Welcome"))
            }
            (Phase::Live(_), Some(To::Welcome(_))) => {
                Err(Fault::Unexpected("Welcome is said once a stream"))
            }
            (Phase::Live(live), Some(To::Delivery(delivery))) => {
                deliver(live, &mut self.unapplied, &delivery).map(|action| vec![action])
            }
            (Phase::Live(_), Some(To::Target(target))) => {
                read_target(target).map(|target| vec![Action::Target(target)])
            }
            (Phase::Live(live), Some(To::Heartbeat(answer))) => {
                if answer.sequence > self.sequence {
                    Err(Fault::Unexpected(
                        "an answer to a heartbeat that was never sent",
                    ))
                } else {
                    self.head = self.head.max(Epoch(answer.head));
                    if let Some(sent) = live.answered(answer.sequence) {
                        let until = sent + live.lease;
                        self.lease_until =
                            Some(self.lease_until.map_or(until, |lease| lease.max(until)));
                    }
                    Ok(Vec::new())
                }
            }
        };
        taken.unwrap_or_else(|fault| self.give_up(fault))
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Duration) -> Vec<Action> {
        match &mut self.phase {
            Phase::Offline | Phase::Over => Vec::new(),
            Phase::AwaitingWelcome { since } if now >= *since + WELCOME_WITHIN => {
                self.give_up(Fault::NoWelcome)
            }
            Phase::AwaitingWelcome { .. } => Vec::new(),
            Phase::Live(live) if live.silent_at().is_some_and(|at| now >= at) => {
                self.give_up(Fault::Silent)
            }
            Phase::Live(live) if now >= live.next_heartbeat => {
                self.sequence += 1;
                vec![live.beat(self.sequence, now)]
            }
            Phase::Live(_) => Vec::new(),
        }
    }

    /// Everything handed over up to and including this position is applied.
    pub fn applied(&mut self, position: &Position) -> Vec<Action> {
        // A position of an earlier stream is known no more: what it stood for comes again.
        let Some(at) = self
            .unapplied
            .iter()
            .position(|unapplied| unapplied == position)
        else {
            return Vec::new();
        };
        self.unapplied.drain(..=at);
        self.obeyed = Some(*position);
        match self.phase {
            Phase::Live(_) => vec![send(From::Ack(message::Ack {
                epoch: position.epoch.0,
            }))],
            _ => Vec::new(),
        }
    }

    /// What the edge runs, or why it does not run its target, has changed.
    pub fn report(&mut self, report: Report) -> Vec<Action> {
        self.report = report;
        match self.phase {
            Phase::Live(_) => vec![send(write_report(&self.report))],
            _ => Vec::new(),
        }
    }

    /// A clean stop: the edge serves nothing any more.
    pub fn leave(&mut self) -> Vec<Action> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Live(_) => vec![send(From::Leave(message::Leave {}))],
            _ => Vec::new(),
        }
    }

    fn welcome(&mut self, welcome: message::Welcome, now: Duration) -> Result<Vec<Action>, Fault> {
        let start = welcome
            .start
            .as_ref()
            .and_then(read_position)
            .ok_or(Fault::Malformed(
                "a Welcome needs a start: a log of 16 and a hash of 32 bytes",
            ))?;
        if !HEARTBEAT_MS.contains(&welcome.heartbeat_ms)
            || !(welcome.heartbeat_ms..=LEASE_MS_MAX).contains(&welcome.lease_ms)
        {
            return Err(Fault::Malformed(
                "a Welcome asks for heartbeats or a lease that make no sense",
            ));
        }
        if !welcome.reset && self.obeyed != Some(start) {
            return Err(Fault::WrongStart {
                start: start.epoch,
                obeyed: self.obeyed.map(|obeyed| obeyed.epoch),
            });
        }
        let mut live = Live {
            received: start,
            lease: Duration::from_millis(welcome.lease_ms.into()),
            heartbeat: Duration::from_millis(welcome.heartbeat_ms.into()),
            next_heartbeat: now,
            unanswered: VecDeque::new(),
        };
        self.head = start.epoch;
        let mut actions = Vec::new();
        if welcome.reset {
            self.unapplied.push_back(start);
            actions.push(Action::Reset { start });
        }
        actions.push(send(write_report(&self.report)));
        self.sequence += 1;
        actions.push(live.beat(self.sequence, now));
        self.phase = Phase::Live(live);
        Ok(actions)
    }

    fn give_up(&mut self, fault: Fault) -> Vec<Action> {
        self.phase = Phase::Over;
        vec![Action::Disconnect(fault)]
    }
}

impl Live {
    fn beat(&mut self, sequence: u64, now: Duration) -> Action {
        self.next_heartbeat = now + self.heartbeat;
        if self.unanswered.len() == HEARTBEATS_MAX {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back((sequence, now));
        send(From::Heartbeat(message::Heartbeat { sequence }))
    }

    /// When an answered heartbeat was sent. An answer also answers all before it; a second answer tells nothing.
    fn answered(&mut self, sequence: u64) -> Option<Duration> {
        let at = self
            .unanswered
            .iter()
            .position(|(unanswered, _)| *unanswered == sequence)?;
        self.unanswered.drain(..=at).last().map(|(_, sent)| sent)
    }

    /// From when on the replica has been silent for too long.
    fn silent_at(&self) -> Option<Duration> {
        self.unanswered.front().map(|(_, sent)| *sent + self.lease)
    }
}

/// Verifies one delivery against the chain so far.
fn deliver(
    live: &mut Live,
    unapplied: &mut VecDeque<Position>,
    delivery: &message::Delivery,
) -> Result<Action, Fault> {
    let at = &live.received;
    let epoch = Epoch(delivery.epoch);
    if delivery.previous_epoch != at.epoch.0 {
        return Err(if epoch <= at.epoch {
            Fault::Repeated {
                epoch,
                at: at.epoch,
            }
        } else {
            Fault::OutOfOrder {
                previous: Epoch(delivery.previous_epoch),
                at: at.epoch,
            }
        });
    }
    if delivery.previous_hash[..] != at.hash.0 {
        return Err(Fault::OtherHistory { at: at.epoch });
    }
    if epoch <= at.epoch {
        return Err(Fault::Repeated {
            epoch,
            at: at.epoch,
        });
    }
    let position = chain::extend(at, epoch, &delivery.entry);
    if delivery.hash[..] != position.hash.0 {
        return Err(Fault::Altered { epoch });
    }
    let entry = Entry::decode(&delivery.entry).map_err(|error| Fault::NotUnderstood {
        epoch,
        reason: error.to_string(),
    })?;
    if unapplied.len() >= UNAPPLIED_MAX {
        return Err(Fault::Overrun);
    }
    unapplied.push_back(position);
    live.received = position;
    Ok(Action::Apply {
        entry: Box::new(entry),
        position,
    })
}

fn send(message: From) -> Action {
    Action::Send(message::FromEdge {
        message: Some(message),
    })
}

fn write_report(report: &Report) -> From {
    let bytes = |what: &Option<(Revision, Digest)>| {
        what.map_or_else(Bytes::new, |(_, digest)| Bytes::copy_from_slice(&digest.0))
    };
    let revision = |what: &Option<(Revision, Digest)>| what.map_or(0, |(revision, _)| revision.0);
    From::Policy(message::PolicyReport {
        running: bytes(&report.running),
        revision: revision(&report.running),
        failed: bytes(&report.failed),
        failed_revision: revision(&report.failed),
        reason: report.reason.clone(),
    })
}

fn read_target(target: message::PolicyTarget) -> Result<Target, Fault> {
    let digest = target.digest[..]
        .try_into()
        .map(Digest)
        .map_err(|_| Fault::Malformed("a digest is 32 bytes"))?;
    Ok(Target {
        revision: Revision(target.revision),
        digest,
        sites: target
            .sites
            .into_iter()
            .map(|site| (site.name, SiteId(site.id)))
            .collect(),
    })
}

#[cfg(test)]
mod tests;
