//! Opening the log that a store follows: found where the settings say, and proven to be the one that the store was folded
//! from.

use super::{ChangeLog, LogError, Opening, kafka::KafkaLog, sqlite::SqliteLog};
use crate::{fold::State, kafka::Cluster, store::Store};
use anyhow::{Context as _, bail};
use latencify_conf::change::{Epoch, LogId};
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
    if let Some(bound) = bound {
        is_followed(&*log, bound)?;
    }
    let state = store.bind(log.identity()).await?;
    has_all(&*log, store, &state).await?;
    Ok((log, state))
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
    let give_up = tokio::time::Instant::now() + START_MAX;
    loop {
        match KafkaLog::open(cluster.clone(), opening).await {
            Ok(log) => return Ok(Arc::new(log)),
            Err(error @ LogError::Unreachable(_)) if tokio::time::Instant::now() < give_up => {
                tracing::warn!(brokers = cluster.brokers, %error, "waiting for Kafka");
                tokio::time::sleep(START_PAUSE).await;
            }
            Err(error) => {
                return Err(error).with_context(|| format!("--kafka {}", cluster.brokers));
            }
        }
    }
}

fn is_followed(log: &dyn ChangeLog, bound: LogId) -> anyhow::Result<()> {
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
    // The store itself says what is wrong then.
    Ok(())
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
