//! The log as a disk or a broker keeps it: records in order, under epochs that grow and are not always gapless.

use crate::event::Run;
use bytes::Bytes;
use latencify_conf::change::{Epoch, LogId, Moved};
use std::time::Duration;

/// Which kind of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Beside the replica: what was not committed when it died is gone, and there is always an answer.
    Embedded,
    /// A broker: it may be away, and its answer may be lost.
    Broker,
}

/// One record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where it stands.
    pub epoch: Epoch,
    /// What was appended.
    pub bytes: Bytes,
}

/// The log.
#[derive(Debug, Clone)]
pub struct Log {
    /// Which kind.
    pub kind: Kind,
    /// Its identity.
    pub id: LogId,
    /// The log that it goes on from.
    pub from: Option<Moved>,
    records: Vec<Record>,
    /// Appends of which nobody knows, and which may come to it later.
    pub in_doubt: Vec<InDoubt>,
    /// A broker takes nothing before that.
    pub away_until: Duration,
}

/// An append of which nobody knows.
#[derive(Debug, Clone)]
pub struct InDoubt {
    /// Which run of the replica wrote it.
    pub run: Run,
    /// What it wrote.
    pub bytes: Bytes,
    /// The newest epoch then.
    pub seen: Epoch,
}

impl Log {
    /// A log of which nothing is written.
    pub fn new(kind: Kind, id: LogId) -> Self {
        Self {
            kind,
            id,
            from: None,
            records: Vec::new(),
            in_doubt: Vec::new(),
            away_until: Duration::ZERO,
        }
    }

    /// The newest epoch.
    pub fn head(&self) -> Epoch {
        self.records.last().map_or(Epoch(0), |record| record.epoch)
    }

    /// Keeps a record, `gap` epochs further than the next one.
    pub fn append(&mut self, bytes: Bytes, gap: u64) -> Epoch {
        let epoch = Epoch(self.head().0 + 1 + gap);
        self.records.push(Record { epoch, bytes });
        epoch
    }

    /// The next records after an epoch.
    pub fn after(&self, epoch: Epoch, most: usize) -> Vec<Record> {
        let from = self.records.partition_point(|record| record.epoch <= epoch);
        self.records.iter().skip(from).take(most).cloned().collect()
    }

    /// All of it.
    pub fn records(&self) -> &[Record] {
        &self.records
    }
}
