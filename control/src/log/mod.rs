//! The change log: one totally ordered sequence of entries, appended by writers, read by the fold.
//!
//! # Characters
//! - [`ChangeLog`]: the log. It orders bytes and keeps them; what they mean is the fold's business.
//! - [`Reader`]: one pass over the log from an epoch on, for as long as it is asked.
//! - [`sqlite`]: a table in the data folder, for one replica. [`kafka`]: a topic of one partition, for several.
//!
//! # What both promise (the behaviour suite in `tests/log_suite.rs` asks both for it)
//! - An entry whose append was answered is there after a `kill -9`, and after a power cut as far as the disk
//!   (or the brokers' replication) keeps its word.
//! - Every reader sees the same entries under the same epochs in the same order, and none before it is kept.
//! - The first entry is [`LogCreated`](latencify_conf::change::Change::LogCreated): the log's identity.
//! - An append that fails with [`AppendError::Unknown`] may have happened. A repeat with the same idempotency key is
//!   then safe, because the fold drops the second.
//! - While its [condition](ChangeLog::condition) names a fault, appends are refused at once, and it finds out by itself when
//!   that is over. Nothing of another log that came to stand in its place is ever read as its own.
//!
//! # Rejected
//! - *Pushing entries into a channel*: a slow fold would need a bound and then a way to fall back to reading. A reader
//!   that asks needs neither.
//! - *A consumer group for the fold*: the applied epoch belongs to the store and moves in the fold's transaction; a
//!   second place that remembers a position could only disagree with it.
//! - *Epochs from a sequence of our own beside Kafka's offsets*: two orders, one of which is not the log's.

pub mod kafka;
pub mod opening;
pub mod sqlite;

use crate::fault::{Condition, Fault};
use async_trait::async_trait;
use bytes::Bytes;
use latencify_conf::change::{Change, Entry, EntryError, Epoch, LogId, Moved, MovedTo};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// The most entries that one read returns.
pub const READ_MAX: usize = 512;

/// One entry where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its position.
    pub epoch: Epoch,
    /// The entry as its writer encoded it.
    pub bytes: Bytes,
}

/// An append that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Nothing was written.
    #[error("the change log did not take the entry: {0}")]
    Refused(String),
    /// It may have been written: only a repeat with the same idempotency key is safe.
    #[error("the change log did not answer: {0}; whether the entry was taken is not known")]
    Unknown(String),
}

/// A log that can't be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It can't be reached or read now.
    #[error("the change log can't be read: {0}")]
    Unreachable(String),
    /// It is not a log that may be followed: the text says what to change.
    #[error("{0}")]
    Unfit(String),
    /// Entries that were deleted are needed; the text says what to do.
    #[error(
        "the change log starts at {first}, but {wanted} is needed: entries were deleted; {remedy}"
    )]
    Gone {
        /// The entry that was asked for.
        wanted: Epoch,
        /// The oldest one there is.
        first: Epoch,
        /// What to do.
        remedy: String,
    },
    /// It is not there any more, or not what it was.
    #[error("{0}")]
    Lost(Fault),
    /// Its first entry does not say its identity.
    #[error("the first entry is not the log's identity, so this is not a log of latencify: {0}")]
    NotALog(String),
}

/// What a log is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// To be followed by a store. One that has followed a log before names it: then an empty place is a lost log, and no
    /// new one is begun in it.
    Follow(Option<LogId>),
    /// To be moved elsewhere, by a store that has followed it. Nothing is begun.
    Leave(LogId),
    /// To be begun, or filled up, with the entries of another log.
    Move(Moved),
}

/// What the first entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The log's identity.
    pub log: LogId,
    /// The log that it goes on from.
    pub from: Option<Moved>,
}

impl Origin {
    /// Whether all is there that was to be moved into this log.
    pub fn is_complete(&self, head: Epoch) -> bool {
        self.from.is_none_or(|from| head.0 > from.entries)
    }
}

/// What says where a log went, right behind the newest entry that was moved; none where it goes on as it is.
pub async fn mark_after(
    log: &dyn ChangeLog,
    after: Epoch,
    wait: Duration,
) -> Result<Option<MovedTo>, LogError> {
    let next = log.reader(after).await?.next(wait).await?;
    let entry = next
        .first()
        .and_then(|record| Entry::decode(&record.bytes).ok());
    Ok(match entry.map(|entry| entry.change) {
        Some(Change::LogMoved {
            log: ended,
            after: last,
            to,
        }) if (ended, last) == (log.identity(), after) => Some(to),
        _ => None,
    })
}

/// The ordered log of everything that the fleet must agree on.
#[async_trait]
pub trait ChangeLog: Send + Sync + 'static {
    /// What its first entry says.
    fn origin(&self) -> Origin;

    /// Which log this is.
    fn identity(&self) -> LogId {
        self.origin().log
    }

    /// Whether it can be written. While there is a fault, appends are refused at once.
    fn condition(&self) -> &Condition;

    /// How entries may be lost, as it was found last, each with its remedy.
    fn risks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Appends an encoded entry and says where it stands, once it is kept.
    async fn append(&self, entry: Bytes) -> Result<Epoch, AppendError>;

    /// Appends entries so that they stand one after the other in this order, when nobody else appends: for filling a log.
    /// After an error, those before a certain one are there.
    async fn append_in_order(&self, entries: Vec<Bytes>) -> Result<(), AppendError>;

    /// A reader of everything after an epoch.
    async fn reader(&self, after: Epoch) -> Result<Box<dyn Reader>, LogError>;

    /// The newest entry that is kept.
    async fn head(&self) -> Result<Epoch, LogError>;

    /// The newest entry that is kept, of a log that was this one, with everything in it that its readers here have been
    /// given, when this was asked.
    async fn end(&self) -> Result<Epoch, LogError> {
        self.head().await
    }

    /// Lets go of everything that it has in the data folder, and waits for that. It is no log any more then.
    async fn shut(&self) {}
}

/// One pass over a log.
#[async_trait]
pub trait Reader: Send {
    /// The next entries, at most [`READ_MAX`], in order; empty when none came within `wait`.
    async fn next(&mut self, wait: Duration) -> Result<Vec<Record>, LogError>;
}

/// The entry that begins a new log.
pub fn first_entry(log: LogId, from: Option<Moved>) -> Result<Bytes, EntryError> {
    let entry = Entry {
        id: Uuid::now_v7(),
        key: None,
        request: None,
        by: "control".to_owned(),
        at: OffsetDateTime::now_utc(),
        change: Change::LogCreated { log, from },
    };
    entry.encode().map(Bytes::from)
}

/// What a log's first entry says of it.
pub fn origin_of(first: &[u8]) -> Result<Origin, LogError> {
    match Entry::decode(first) {
        Ok(Entry {
            change: Change::LogCreated { log, from },
            ..
        }) => Ok(Origin { log, from }),
        Ok(other) => Err(LogError::NotALog(format!("it is entry {}", other.id))),
        Err(error) => Err(LogError::NotALog(error.to_string())),
    }
}
