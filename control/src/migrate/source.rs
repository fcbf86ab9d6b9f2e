//! The store, brought up to the end of the old log as far as that is there.

use super::{Order, target::Place};
use crate::{
    fold::State,
    log::{
        ChangeLog, Opening,
        opening::reach,
        sqlite::{self, SqliteLog},
    },
    output::Progress,
    store::Store,
};
use anyhow::bail;
use latencify_conf::change::{Epoch, LogId, Moved};
use std::{sync::Arc, time::Duration};

/// How long the old log may take to give its next entries.
const READ_WAIT: Duration = Duration::from_secs(20);

/// Folds what the old log has and the store has not.
pub(super) async fn catch_up(
    order: &Order,
    place: &Place,
    store: &Store,
    bound: LogId,
    progress: &Progress,
) -> anyhow::Result<State> {
    let mut state = store.bind(bound).await?;
    match find(order, place, bound).await? {
        None => {}
        Some(Old::Kafka(log)) => follow(order, store, &*log, &mut state, progress).await?,
        Some(Old::Sqlite(log)) => {
            let followed = follow(order, store, &log, &mut state, progress).await;
            log.close().await?;
            followed?;
        }
    }
    Ok(state)
}

/// The old log, where it is.
enum Old {
    Sqlite(SqliteLog),
    Kafka(Arc<dyn ChangeLog>),
}

async fn follow(
    order: &Order,
    store: &Store,
    log: &dyn ChangeLog,
    state: &mut State,
    progress: &Progress,
) -> anyhow::Result<()> {
    let bound = log.identity();
    let head = log.head().await?;
    if head < state.applied {
        if !order.log_is_lost {
            bail!(
                "the log {bound} ends at {head}, but the store has folded it to {}: it has lost entries. Put the newer log \
                 back, or give --log-is-lost: then what the store has folded is moved, which is more",
                state.applied
            );
        }
        return Ok(());
    }
    if !is_same_at(log, store, state).await? {
        if !order.log_is_lost {
            bail!(
                "the log {bound} has another entry at epoch {} than the store: an older copy was restored and written to. \
                 Give --log-is-lost to move what the store has folded, without what was written since",
                state.applied
            );
        }
        return Ok(());
    }
    progress.begin("folding the end of the old log", head.0);
    let mut reader = log.reader(state.applied).await?;
    while state.applied < head {
        let records = reader.next(READ_WAIT).await?;
        if records.is_empty() {
            bail!(
                "the old log does not give its entries after {}",
                state.applied
            );
        }
        let before = state.applied;
        let batch = store.fold(state, &records).await?;
        if let Some(error) = batch.stopped {
            return Err(error.into());
        }
        if state.applied == before {
            break;
        }
        progress.at(state.applied.0);
    }
    Ok(())
}

/// The old log; none when it is lost, or when its entries are all in the new one already.
async fn find(order: &Order, place: &Place, bound: LogId) -> anyhow::Result<Option<Old>> {
    // Nothing is begun: both are there.
    let as_it_is = Opening::Move(Moved {
        log: bound,
        entries: 0,
    });
    if let Some(cluster) = &order.from {
        let log = reach(
            &order.data,
            Some(cluster.clone()),
            Opening::Follow(Some(bound)),
        )
        .await?;
        if log.identity() != bound {
            bail!(
                "the topic of --from-kafka holds log {}, but the store follows {bound}",
                log.identity()
            );
        }
        return Ok(Some(Old::Kafka(log)));
    }
    match sqlite::peek(&order.file()).await? {
        Some(origin) if origin.log == bound => {
            let log = SqliteLog::open_file(&order.file(), as_it_is).await?;
            if let Some(mark) = log.moved().await?
                && place.peek().await?.map(|origin| origin.log) != Some(mark.log)
            {
                bail!(
                    "the log {bound} was moved already, to {}: start control with {}",
                    mark.place,
                    mark.flags
                );
            }
            Ok(Some(Old::Sqlite(log)))
        }
        Some(origin) if origin.from.is_some_and(|from| from.log == bound) => Ok(None),
        _ if order.log_is_lost => Ok(None),
        // What was begun from this store needs the old log no more.
        _ if place
            .peek()
            .await?
            .and_then(|origin| origin.from)
            .is_some_and(|from| from.log == bound) =>
        {
            Ok(None)
        }
        _ => bail!(
            "the store follows log {bound}, which is not in {}: if it is in Kafka, give --from-kafka BROKERS (and \
             --from-kafka-prefix), so that its last entries are moved too; if it is lost, give --log-is-lost",
            order.file().display()
        ),
    }
}

/// Whether the store's newest entry is the log's at that epoch.
async fn is_same_at(log: &dyn ChangeLog, store: &Store, state: &State) -> anyhow::Result<bool> {
    let Some(before) = state.applied.0.checked_sub(1).map(Epoch) else {
        return Ok(true);
    };
    let folded = store.entries_after(before, 1).await?.pop();
    let mut reader = log.reader(before).await?;
    let kept = reader.next(READ_WAIT).await?.into_iter().next();
    Ok(match (folded, kept) {
        (Some(folded), Some(kept)) => kept.epoch == state.applied && kept.bytes == folded.bytes,
        _ => false,
    })
}
