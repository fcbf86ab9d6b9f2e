//! Opening the log that a store follows: found where the settings say, and proven to be the one that the store was folded
//! from.

use super::{
    ChangeLog, LogError, Opening, kafka::KafkaLog, mark_after, origin_of, sqlite::SqliteLog,
};
use crate::{fold::State, kafka::Cluster, store::Store};
use anyhow::{Context as _, bail};
use latencify_conf::change::{Change, Entry, Epoch, LogId, MovedTo};
use std::{path::Path, sync::Arc, time::Duration};

/// How long brokers may be out of reach at start before this program gives up.
const START_MAX: Duration = Duration::from_mins(2);
/// Between two attempts to open the log.
const START_PAUSE: Duration = Duration::from_secs(2);
/// How long the entry up to which the store is folded may take to be read again.
const READ_WAIT: Duration = Duration::from_secs(20);

/// Opens the log in the data folder, or in a cluster, and the state that the store has folded from it.
pub async fn open(
    folder: &Path,
    cluster: Option<Cluster>,
    store: &Store,
) -> anyhow::Result<(Arc<dyn ChangeLog>, State)> {
    let bound = store.bound().await?;
    let log = reach(folder, cluster, Opening::Follow(bound)).await?;
    match is_the_stores(&*log, bound, store).await {
        Ok(state) => Ok((log, state)),
        Err(error) => {
            log.shut().await;
            Err(error)
        }
    }
}

/// The state that the store has folded from the log, which must be the one that it follows and have all of that.
async fn is_the_stores(
    log: &dyn ChangeLog,
    bound: Option<LogId>,
    store: &Store,
) -> anyhow::Result<State> {
    if let Some(bound) = bound {
        is_followed(log, bound, store).await?;
    }
    let state = store.bind(log.identity()).await?;
    has_all(log, store, &state).await?;
    Ok(state)
}

/// Opens the log, and waits for brokers that are not there yet.
pub async fn reach(
    folder: &Path,
    cluster: Option<Cluster>,
    opening: Opening,
) -> anyhow::Result<Arc<dyn ChangeLog>> {
    let Some(cluster) = cluster else {
        return Ok(Arc::new(SqliteLog::open(folder, opening).await?));
    };
    let flag = match opening {
        Opening::Leave(_) => "--from-kafka",
        Opening::Follow(_) | Opening::Move(_) => "--kafka",
    };
    let give_up = tokio::time::Instant::now() + START_MAX;
    loop {
        match KafkaLog::open(cluster.clone(), opening).await {
            Ok(log) => return Ok(Arc::new(log)),
            Err(error @ LogError::Unreachable(_)) if tokio::time::Instant::now() < give_up => {
                let left = give_up - tokio::time::Instant::now();
                tracing::warn!(
                    brokers = cluster.brokers,
                    %error,
                    "waiting for Kafka ({flag}), for {} s more",
                    left.as_secs()
                );
                tokio::time::sleep(START_PAUSE).await;
            }
            Err(error) => {
                return Err(error).with_context(|| format!("{flag} {}", cluster.brokers));
            }
        }
    }
}

/// Refuses a log that the store does not follow, as far as more can be said of it than that.
async fn is_followed(log: &dyn ChangeLog, bound: LogId, store: &Store) -> anyhow::Result<()> {
    let origin = log.origin();
    if origin.log == bound {
        return Ok(());
    }
    if origin.from.is_some_and(|from| from.log == bound) {
        bail!(
            "log {bound}, which the store follows, was moved to log {}, and this data folder not yet: run latencify-control \
             migrate-log with it, which loses nothing",
            origin.log
        );
    }
    if let Some(to) = moved_to(log).await? {
        bail!("log {}, which is here, {to}", origin.log);
    }
    let first = store.entries_after(Epoch(0), 1).await?.pop();
    let of_store = first.and_then(|first| origin_of(&first.bytes).ok());
    if of_store
        .and_then(|origin| origin.from)
        .is_some_and(|from| from.log == origin.log)
    {
        bail!(
            "log {}, which is here, was moved and goes on as log {bound}, which the store follows: start control where that \
             log is, with the flags that migrate-log told; this one is not needed any more",
            origin.log
        );
    }
    // The store itself says what is wrong then.
    Ok(())
}

/// Where a log went, if its newest entry says so.
async fn moved_to(log: &dyn ChangeLog) -> anyhow::Result<Option<MovedTo>> {
    let Some(before) = log.head().await?.0.checked_sub(1).map(Epoch) else {
        return Ok(None);
    };
    let newest = log.reader(before).await?.next(READ_WAIT).await?.pop();
    let newest = newest.and_then(|record| Entry::decode(&record.bytes).ok());
    match newest.map(|entry| entry.change) {
        Some(Change::LogMoved { after, .. }) => Ok(mark_after(log, after, READ_WAIT).await?),
        _ => Ok(None),
    }
}

/// Refuses a log that has lost what the store has folded: new entries would get epochs that the store takes for past, or
/// follow others than those.
async fn has_all(log: &dyn ChangeLog, store: &Store, state: &State) -> anyhow::Result<()> {
    let (applied, head) = (state.applied, log.head().await?);
    if head < applied {
        bail!(
            "the store has folded the log to epoch {applied}, but the log ends at {head}: it lost entries, or an older copy \
             was restored; put the log back, or start with an empty data folder, which is folded anew; or keep what the \
             store has folded as a new log: latencify-control migrate-log --log-is-lost"
        );
    }
    let Some(before) = applied.0.checked_sub(1).map(Epoch) else {
        return Ok(());
    };
    let folded = store.entries_after(before, 1).await?.pop();
    let mut reader = log.reader(before).await?;
    let kept = reader.next(READ_WAIT).await?.into_iter().next();
    match (folded, kept) {
        (Some(folded), Some(kept)) if kept.epoch == applied && kept.bytes == folded.bytes => Ok(()),
        _ => bail!(
            "the entry at epoch {applied} is another one in the log than in the store: an older copy of the log was restored \
             and written to; put the newer one back, or start with an empty data folder, which is folded anew; or keep what \
             the store has folded as a new log: latencify-control migrate-log --log-is-lost"
        ),
    }
}
