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
//! 3. Each delivery must extend the chain that the edge has verified so far ([`chain`](super::chain)). One that
//!    does not is a [`Fault`]: nothing of it is applied, the stream ends, and the position stays.
//! 4. The driver applies entries and says so ([`applied`](EdgeLink::applied)): only then does the position move, and the
//!    cumulative `Ack` goes out. Applying many and saying so once acks once.
//!    An edge whose acks mean that its marks are [saved](Introduction::saves_marks) acks when it is told so
//!    ([`saved`](EdgeLink::saved)).
//! 5. Heartbeats go out on a timer. An answer extends the lease from the moment when its heartbeat was *sent*.
//!    Without a lease, and until what was missed is obeyed, the edge is [isolated](EdgeLink::isolation).
//!    An answer tells a head, too: a replica that does not bring the edge nearer to it for as long as the lease keeps
//!    something back, and is given up.
//!
//! # Rejected
//! - *Skipping an entry that is not understood*: it might be a purge. The edge stays where it is, and says why.
//! - *Asking again for a delivery that does not fit*: a replica that sends one is mistaken or forged; a new stream, maybe
//!   to another replica, starts from the verified position.

mod action;
mod fault;
pub mod isolation;
mod live;
mod wire;

pub use action::{Action, Introduction};
pub use fault::Fault;
pub use isolation::{Isolation, Shortened};

use super::{
    PROTOCOL,
    health::{self, Health},
    message,
    replica::{Report, read_position, write_position},
};
use crate::change::{Epoch, Position};
use bytes::Bytes;
use isolation::Lease;
use live::Live;
use message::{from_edge::Message as From, to_edge::Message as To};
use std::{collections::VecDeque, time::Duration};
use wire::{read_target, send, write_report};

/// A stream whose `Welcome` takes longer is given up.
pub const WELCOME_WITHIN: Duration = Duration::from_secs(10);
/// Entries handed to the driver and not applied yet; a driver that lets more pile up is a defect, and the stream ends.
pub const UNAPPLIED_MAX: usize = 4096;
/// Positions that are obeyed and not saved yet, and known one by one; of more, only the newest.
pub const UNSAVED_MAX: usize = 4096;

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

/// The edge's end of the link. Times are on a monotonic clock of the driver's.
#[derive(Debug, Clone)]
pub struct EdgeLink {
    introduction: Introduction,
    phase: Phase,
    obeyed: Option<Position>,
    /// Handed to the driver on this stream and not applied yet, in order.
    unapplied: VecDeque<Position>,
    /// The present stream tells another history than the one obeyed, and nothing of it is applied yet.
    is_resetting: bool,
    /// Obeyed and not saved yet, in order; kept only if acks wait for that.
    unsaved: VecDeque<Position>,
    /// The last position that is saved.
    saved: Option<Position>,
    report: Report,
    sequence: u64,
    lease: Lease,
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
            is_resetting: false,
            unsaved: VecDeque::new(),
            saved: None,
            report: Report::default(),
            sequence: 0,
            lease: Lease::new(),
            head: Epoch(0),
        }
    }

    /// An edge process that goes on where an earlier one has saved what it obeyed.
    pub fn resuming(introduction: Introduction, saved: Position) -> Self {
        Self {
            obeyed: Some(saved),
            saved: Some(saved),
            ..Self::new(introduction)
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
        self.lease.until()
    }

    /// Until when stored objects may be used if nothing more is heard of control; none: the edge is isolated.
    pub fn trusted_until(&self) -> Option<Duration> {
        self.lease.trusted_until()
    }

    /// Why the edge is isolated; none: it is not. See [`isolation`].
    pub fn isolation(&self, now: Duration) -> Option<Isolation> {
        self.lease.isolation(now)
    }

    /// Whether control's log ends before a head that it told once; none: it does not, or that is no news yet.
    pub fn shortened(&self) -> Option<Shortened> {
        self.lease.shortened()
    }

    /// What it says of itself.
    pub fn introduction(&self) -> &Introduction {
        &self.introduction
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
            Phase::Live(live) => Some(live.next_tick()),
        }
    }

    /// A stream has opened.
    pub fn connected(&mut self, now: Duration) -> Vec<Action> {
        // What was told of a history that is not obeyed yet is not of the position's.
        let told = if self.is_resetting {
            Epoch(0)
        } else {
            self.lease.told()
        };
        self.phase = Phase::AwaitingWelcome { since: now };
        // Entries of an earlier stream that are still to be applied are delivered again on this one, or reset away.
        self.unapplied.clear();
        self.is_resetting = false;
        self.lease.stream_opened();
        let introduction = &self.introduction;
        vec![send(From::Hello(message::Hello {
            protocol: PROTOCOL,
            edge: introduction.edge.clone(),
            process: Bytes::copy_from_slice(introduction.process.0.as_bytes()),
            position: self.obeyed.as_ref().map(write_position),
            version: introduction.version.clone(),
            about: introduction.about.iter().cloned().collect(),
            when_isolated: introduction.when_isolated.into(),
            saves_marks: introduction.saves_marks,
            told: told.0,
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
            (_, Some(To::Refusal(refusal))) => {
                if refusal.removed {
                    self.lease.removed();
                }
                Err(Fault::Refused {
                    reason: refusal.reason,
                    is_final: refusal.r#final,
                })
            }
            (Phase::AwaitingWelcome { .. }, Some(To::Welcome(welcome))) => {
                self.welcome(welcome, now)
            }
            (Phase::AwaitingWelcome { .. }, Some(_)) => {
                Err(Fault::Unexpected("the first message must be Welcome"))
            }
            (Phase::Live(_), Some(To::Welcome(_))) => {
                Err(Fault::Unexpected("Welcome is said once a stream"))
            }
            (Phase::Live(_), Some(To::Delivery(_))) if self.unapplied.len() >= UNAPPLIED_MAX => {
                Err(Fault::Overrun)
            }
            (Phase::Live(live), Some(To::Delivery(delivery))) => {
                live.verify(&delivery, now).map(|(entry, position)| {
                    self.unapplied.push_back(position);
                    vec![Action::Apply {
                        entry: Box::new(entry),
                        position,
                    }]
                })
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
                    let head = Epoch(answer.head);
                    self.head = self.head.max(head);
                    live.told(head, now);
                    if let Some(until) = live.answered(answer.sequence) {
                        let obeyed = self.obeyed.filter(|_| !self.is_resetting);
                        let obeyed = obeyed.map(|position| position.epoch);
                        self.lease.answered(until, head, obeyed, now);
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
            Phase::Live(live) if live.is_silent(now) => self.give_up(Fault::Silent),
            Phase::Live(live) if let Some((at, head)) = live.kept_back(now) => {
                self.give_up(Fault::BehindToldHead { at, head })
            }
            Phase::Live(live) if live.is_due(now) => {
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
        if std::mem::take(&mut self.is_resetting) {
            // What was obeyed before is of a history that counts no more.
            self.unsaved.clear();
            self.saved = None;
        }
        self.lease.obeyed(position.epoch);
        if !self.introduction.saves_marks {
            return self.ack(position.epoch);
        }
        if self.unsaved.len() == UNSAVED_MAX {
            self.unsaved.pop_back();
        }
        self.unsaved.push_back(*position);
        Vec::new()
    }

    /// The marks of everything up to and including this position, which was obeyed, are on disk.
    pub fn saved(&mut self, position: &Position) -> Vec<Action> {
        // One of a history that was left is known no more.
        let Some(at) = self.unsaved.iter().position(|unsaved| unsaved == position) else {
            return Vec::new();
        };
        self.unsaved.drain(..=at);
        self.saved = Some(*position);
        self.ack(position.epoch)
    }

    fn ack(&self, epoch: Epoch) -> Vec<Action> {
        match self.phase {
            Phase::Live(_) => vec![send(From::Ack(message::Ack { epoch: epoch.0 }))],
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

    /// What it has answered by what it runs; a control that is older than this message is not told.
    pub fn health(&mut self, health: &Health) -> Vec<Action> {
        match &self.phase {
            Phase::Live(live) if live.takes_health() => {
                vec![send(From::Health(health::write(health)))]
            }
            _ => Vec::new(),
        }
    }

    /// A clean stop: the edge should serve nothing any more. What it serves all the same it serves as one that is
    /// [isolated](Isolation::Left): let requests know that before the actions are carried out.
    pub fn leave(&mut self) -> Vec<Action> {
        self.lease.left();
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
        if !welcome.reset && self.obeyed != Some(start) {
            return Err(Fault::WrongStart {
                start: start.epoch,
                obeyed: self.obeyed.map(|obeyed| obeyed.epoch),
            });
        }
        let mut live = Live::new(start, &welcome, now)?;
        self.head = start.epoch;
        let mut actions = Vec::new();
        if welcome.reset {
            self.is_resetting = true;
            self.lease.history_changed();
            self.unapplied.push_back(start);
            actions.push(Action::Reset { start });
        } else if let Some(saved) = self.saved.filter(|_| self.introduction.saves_marks) {
            // The position in Hello was what it obeys; this is what it acks.
            let epoch = saved.epoch.0;
            actions.push(send(From::Ack(message::Ack { epoch })));
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

#[cfg(test)]
mod tests;
