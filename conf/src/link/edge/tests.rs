//! The machine by itself: a log is made up, messages go in, actions come out.

mod both_ends;
mod corruption;
mod delivery;
mod fences;
mod histories;
mod isolation;
mod saving;
mod talk;
mod welcome;

use super::{wire::write_report, *};
use crate::{
    change::{Change, Entry, LogId, Mode, ProcessId, Revision, SiteId, Target as PurgeTarget},
    digest::Digest,
    link::chain,
};
use time::OffsetDateTime;
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_secs(2);

/// A log and its accepted entries, one purge each.
struct Log {
    positions: Vec<Position>,
    entries: Vec<Bytes>,
}

impl Log {
    /// `entries` purges at the epochs 10, 20, 30 …: epochs are not gapless.
    fn new(number: u128, entries: u64) -> Self {
        let mut positions = vec![chain::genesis(LogId(Uuid::from_u128(number)))];
        let mut bytes = Vec::new();
        for n in 1..=entries {
            let entry = Entry {
                id: Uuid::from_u128(n.into()),
                key: None,
                request: None,
                by: "test".into(),
                at: OffsetDateTime::UNIX_EPOCH,
                change: Change::Purge {
                    mode: Mode::Hard,
                    targets: vec![PurgeTarget::Site { site: SiteId(n) }],
                    event: None,
                    seen: None,
                },
            };
            let entry = Bytes::from(entry.encode().unwrap());
            positions.push(chain::extend(
                positions.last().unwrap(),
                Epoch(n * 10),
                &entry,
            ));
            bytes.push(entry);
        }
        Self {
            positions,
            entries: bytes,
        }
    }

    /// The delivery of the n-th entry, from 1.
    fn delivery(&self, n: usize) -> message::Delivery {
        let (previous, position) = (&self.positions[n - 1], &self.positions[n]);
        message::Delivery {
            previous_epoch: previous.epoch.0,
            previous_hash: Bytes::copy_from_slice(&previous.hash.0),
            epoch: position.epoch.0,
            hash: Bytes::copy_from_slice(&position.hash.0),
            entry: self.entries[n - 1].clone(),
        }
    }
}

fn to(message: To) -> message::ToEdge {
    message::ToEdge {
        message: Some(message),
    }
}

fn welcome(start: &Position, reset: bool) -> message::Welcome {
    message::Welcome {
        start: Some(write_position(start)),
        reset,
        lease_ms: LEASE.as_millis() as u32,
        heartbeat_ms: HEARTBEAT.as_millis() as u32,
        replica: "one".into(),
        takes_health: true,
    }
}

fn new_link() -> EdgeLink {
    EdgeLink::new(Introduction {
        edge: "paris".into(),
        process: ProcessId(Uuid::from_u128(7)),
        version: "0.1.0".into(),
        about: Vec::new(),
        when_isolated: message::WhenIsolated::Refuse,
        saves_marks: false,
    })
}

/// A live link that obeys the first `obeyed` entries of the log.
fn live(log: &Log, obeyed: usize) -> EdgeLink {
    let mut link = new_link();
    link.connected(Duration::ZERO);
    let start = &log.positions[0];
    assert_eq!(
        resets(&link.receive(to(To::Welcome(welcome(start, true))), Duration::ZERO)),
        [*start]
    );
    link.applied(start);
    for n in 1..=obeyed {
        let actions = link.receive(to(To::Delivery(log.delivery(n))), Duration::ZERO);
        assert_eq!(applies(&actions), [log.positions[n]]);
        assert_eq!(
            acks(&link.applied(&log.positions[n])),
            [log.positions[n].epoch.0]
        );
    }
    link
}

fn resets(actions: &[Action]) -> Vec<Position> {
    let resets = actions.iter().map(|action| {
        if let Action::Reset { start } = action {
            Some(*start)
        } else {
            None
        }
    });
    resets.flatten().collect()
}

fn applies(actions: &[Action]) -> Vec<Position> {
    let applies = actions.iter().map(|action| {
        if let Action::Apply { position, .. } = action {
            Some(*position)
        } else {
            None
        }
    });
    applies.flatten().collect()
}

fn sent(actions: &[Action]) -> Vec<From> {
    let sent = actions.iter().map(|action| {
        if let Action::Send(message) = action {
            message.message.clone()
        } else {
            None
        }
    });
    sent.flatten().collect()
}

fn acks(actions: &[Action]) -> Vec<u64> {
    sent(actions)
        .iter()
        .filter_map(|from| {
            if let From::Ack(ack) = from {
                Some(ack.epoch)
            } else {
                None
            }
        })
        .collect()
}

fn beats(actions: &[Action]) -> Vec<u64> {
    let sequence = |from: &From| {
        if let From::Heartbeat(beat) = from {
            Some(beat.sequence)
        } else {
            None
        }
    };
    sent(actions).iter().filter_map(sequence).collect()
}

fn fault(actions: &[Action]) -> &'static str {
    match actions {
        [Action::Disconnect(fault)] => {
            assert!(Fault::NAMES.contains(&fault.as_str()));
            fault.as_str()
        }
        _ => panic!("no fault: {actions:?}"),
    }
}
