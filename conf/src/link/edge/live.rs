//! A stream on which the edge has been welcomed: the chain that it verifies, the heartbeats that keep it alive.

use super::{Action, Fault, From, wire::send};
use crate::{
    change::{Entry, Epoch, Position},
    link::{chain, message},
};
use std::{collections::VecDeque, ops::RangeInclusive, time::Duration};

/// Heartbeats under way at once; the oldest is forgotten first.
const HEARTBEATS_MAX: usize = 64;
/// Bounds on the heartbeats that a `Welcome` may ask for.
const HEARTBEAT_MS: RangeInclusive<u32> = 10..=60_000;
/// The longest lease that a `Welcome` may give.
const LEASE_MS_MAX: u32 = 3_600_000;

/// A stream on which the edge has been welcomed.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// The last position that was verified and handed to the driver.
    received: Position,
    lease: Duration,
    heartbeat: Duration,
    next_heartbeat: Duration,
    /// Sequence and time of sending of those not answered yet, oldest first.
    unanswered: VecDeque<(u64, Duration)>,
    /// A head that was told and is not received yet, and since when nothing has come that leads there.
    behind: Option<(Epoch, Duration)>,
    takes_health: bool,
}

impl Live {
    /// A stream whose deliveries follow `start`.
    pub fn new(start: Position, welcome: &message::Welcome, now: Duration) -> Result<Self, Fault> {
        let (heartbeat, lease) = (welcome.heartbeat_ms, welcome.lease_ms);
        if !HEARTBEAT_MS.contains(&heartbeat) || !(heartbeat..=LEASE_MS_MAX).contains(&lease) {
            return Err(Fault::Malformed(
                "a Welcome asks for heartbeats or a lease that make no sense",
            ));
        }
        Ok(Self {
            received: start,
            lease: Duration::from_millis(lease.into()),
            heartbeat: Duration::from_millis(heartbeat.into()),
            next_heartbeat: now,
            unanswered: VecDeque::new(),
            behind: None,
            takes_health: welcome.takes_health,
        })
    }

    /// Whether control understands what is said of health.
    pub fn takes_health(&self) -> bool {
        self.takes_health
    }

    /// Verifies one delivery against the chain so far, and goes on from there.
    pub fn verify(
        &mut self,
        delivery: &message::Delivery,
        now: Duration,
    ) -> Result<(Entry, Position), Fault> {
        let at = &self.received;
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
        self.received = position;
        self.behind = self
            .behind
            .filter(|(head, _)| *head > epoch)
            .map(|(head, _)| (head, now));
        Ok((entry, position))
    }

    /// The replica says that its log ends at `head`: what is missing up to there has to come.
    pub fn told(&mut self, head: Epoch, now: Duration) {
        if head > self.received.epoch && self.behind.is_none() {
            self.behind = Some((head, now));
        }
    }

    /// Where the edge stands, and the head before which nothing has come for as long as the lease.
    pub fn kept_back(&self, now: Duration) -> Option<(Epoch, Epoch)> {
        let (head, since) = self.behind?;
        (now >= since + self.lease).then_some((self.received.epoch, head))
    }

    /// Sends a heartbeat.
    pub fn beat(&mut self, sequence: u64, now: Duration) -> Action {
        self.next_heartbeat = now + self.heartbeat;
        if self.unanswered.len() == HEARTBEATS_MAX {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back((sequence, now));
        send(From::Heartbeat(message::Heartbeat { sequence }))
    }

    /// Until when an answered heartbeat extends the lease. An answer also answers all before it; a second answer tells
    /// nothing.
    pub fn answered(&mut self, sequence: u64) -> Option<Duration> {
        let at = self
            .unanswered
            .iter()
            .position(|(unanswered, _)| *unanswered == sequence)?;
        self.unanswered
            .drain(..=at)
            .next_back()
            .map(|(_, sent)| sent + self.lease)
    }

    /// Whether a heartbeat is due.
    pub fn is_due(&self, now: Duration) -> bool {
        now >= self.next_heartbeat
    }

    /// Whether the replica has been silent for too long.
    pub fn is_silent(&self, now: Duration) -> bool {
        self.silent_at().is_some_and(|at| now >= at)
    }

    /// When one of these is so at the latest.
    pub fn next_tick(&self) -> Duration {
        self.next_heartbeat
            .min(self.silent_at().unwrap_or(Duration::MAX))
            .min(
                self.behind
                    .map_or(Duration::MAX, |(_, since)| since + self.lease),
            )
    }

    fn silent_at(&self) -> Option<Duration> {
        self.unanswered.front().map(|(_, sent)| *sent + self.lease)
    }
}
