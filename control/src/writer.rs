//! The way into the log: append, wait for the fold, answer from its outcome.

use crate::{
    fault::{Condition, Fault},
    fold::driver::{Fold, Health},
    log::{AppendError, ChangeLog},
    observe::metrics::Metrics,
    store::folding::Settled,
};
use bytes::Bytes;
use latencify_conf::{
    change::{Change, Entry, EntryError, Epoch},
    digest::Digest,
};
use std::{sync::Arc, time::Duration};
use time::OffsetDateTime;
use uuid::Uuid;

/// How long a writer waits for the fold of what it appended.
const FOLD_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long the fold may be held up before writers are told: a broker that leads anew takes less.
const HELD_UP_MAX: Duration = Duration::from_secs(2);

/// An idempotency key as it stands in the log, and the digest of the request that it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// With its scope in front (`api/…`, `edge/…`), so that two kinds of writers can't meet.
    pub name: String,
    /// Over the request's body.
    pub request: Digest,
}

/// A write that has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The entry is too large for the log.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The log did not take it, or did not say whether it did.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Nothing is folded, so nothing is written.
    #[error("this replica has stopped folding the log: {0}")]
    Stopped(String),
    /// Nothing can be folded now, so nothing is written.
    #[error("what is written can't be taken in now: {0}")]
    HeldUp(String),
    /// It is in the log, but nothing can be folded now.
    #[error(
        "the entry is in the log at epoch {epoch}, but can't be taken in now: {why}; it will be"
    )]
    FoldHeldUp {
        /// Where it stands.
        epoch: Epoch,
        /// What holds the fold up.
        why: String,
    },
    /// It is in the log, but not folded in time.
    #[error("the entry is in the log at epoch {0}, but was not folded in time")]
    FoldSlow(Epoch),
    /// This run ends before it is known.
    #[error(
        "this replica stops, and did not wait for what becomes of the entry: it may be in the log"
    )]
    Stopping,
    /// Too many writers wait.
    #[error("too many writes are under way")]
    Busy,
}

impl WriteError {
    /// Whether the entry may be folded yet: nothing says that it is not in the log.
    pub fn may_take_effect(&self) -> bool {
        match self {
            Self::Append(AppendError::Unknown(_))
            | Self::FoldHeldUp { .. }
            | Self::FoldSlow(_)
            | Self::Stopping => true,
            Self::Append(AppendError::Refused(_))
            | Self::Entry(_)
            | Self::Stopped(_)
            | Self::HeldUp(_)
            | Self::Busy => false,
        }
    }
}

/// Appends entries for whoever has a change to make.
#[derive(Clone)]
pub struct Writer {
    log: Arc<dyn ChangeLog>,
    fold: Fold,
    store: Condition,
    metrics: Metrics,
}

impl Writer {
    /// A writer to this log, whose fold this is, into a store that fares so.
    pub fn new(log: Arc<dyn ChangeLog>, fold: Fold, store: Condition, metrics: Metrics) -> Self {
        Self {
            log,
            fold,
            store,
            metrics,
        }
    }

    /// Appends a change and waits until it is folded.
    pub async fn write(
        &self,
        by: &str,
        key: Option<Key>,
        change: Change,
    ) -> Result<Settled, WriteError> {
        let (key, request) = key.map(|key| (key.name, key.request)).unzip();
        let entry = Entry {
            id: Uuid::now_v7(),
            key,
            request,
            by: by.to_owned(),
            at: OffsetDateTime::now_utc(),
            change,
        };
        let bytes = Bytes::from(entry.encode()?);
        if let Health::Stopped(why) | Health::Moved(why) = self.fold.health() {
            return Err(WriteError::Stopped(why));
        }
        if let Some(Fault { detail, .. }) = self.store.fault() {
            return Err(WriteError::HeldUp(detail));
        }
        // A log that can't be written says so better than the fold that can't read it.
        if self.log.condition().fault().is_none()
            && let Some(why) = self.fold.is_held_up(HELD_UP_MAX).await
        {
            return Err(WriteError::HeldUp(why));
        }
        let waiter = self.fold.expect(entry.id).ok_or(WriteError::Busy)?;
        let timer = self.metrics.append_timer();
        let epoch = self.log.append(bytes).await?;
        timer.observe_duration();
        tokio::select! {
            biased;
            settled = waiter.settled(FOLD_WAIT_MAX) => settled.ok_or(WriteError::FoldSlow(epoch)),
            why = self.fold.held_up(HELD_UP_MAX) => Err(WriteError::FoldHeldUp { epoch, why }),
        }
    }
}
