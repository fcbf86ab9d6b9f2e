//! The store, brought up to the end of the old log as far as that is there; and the old log's end.

use super::{Order, target::Place};
use crate::{
    fold::State,
    log::{
        ChangeLog, Opening, mark_after,
        opening::reach,
        sqlite::{self, SqliteLog},
    },
    output::Progress,
    store::{Store, folding::FoldError},
};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use latencify_conf::change::{Change, Entry, Epoch, LogId, Moved, MovedTo};
use std::{sync::Arc, time::Duration};
use time::OffsetDateTime;
use uuid::Uuid;

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
        Some(Old::Kafka(log)) => {
            let to = follow(order, store, &*log, &mut state, progress).await?;
            match to {
                None => nobody_else_serves(&state, store)?,
                Some(to) => went_there(place, bound, &to).await?,
            }
        }
        Some(Old::Sqlite(log)) => {
            let followed = follow(order, store, &log, &mut state, progress).await;
            log.close().await?;
            followed?;
        }
    }
    Ok(state)
}

/// A log in a cluster could go on while its entries are moved, and after that.
fn nobody_else_serves(state: &State, store: &Store) -> anyhow::Result<()> {
    let here = store.identity();
    let Some((replica, other)) = state.replicas.iter().find(|(_, other)| other.store != here)
    else {
        return Ok(());
    };
    bail!(
        "another replica serves this log: {}, replica {replica}, announced at epoch {}. Stop that one first: a clean stop \
         takes it out of the log. If it is gone for good: start latencify-control once more on the old log with this data \
         folder and --remove-replica {replica}, and stop it",
        other.name,
        other.joined
    );
}

/// A log that was moved already is no source, unless it went where this move goes: then the rest of the move is done.
async fn went_there(place: &Place, bound: LogId, to: &MovedTo) -> anyhow::Result<()> {
    if place.peek().await?.map(|origin| origin.log) == Some(to.log) {
        return Ok(());
    }
    bail!("log {bound} {to}");
}

/// Ends a log in a cluster: nobody folds it beyond the entry that says where it went. A log in a file is marked beside its
/// entries, when the new one takes its place.
pub(super) async fn end(
    order: &Order,
    state: &State,
    to: &MovedTo,
    how_to_clear: &str,
) -> anyhow::Result<()> {
    let Some(cluster) = &order.from else {
        return Ok(());
    };
    let (bound, after) = (state.position.log, state.applied);
    let opening = Opening::Leave(bound);
    let log = reach(&order.data, Some(cluster.clone()), opening).await?;
    if log.head().await? <= after {
        let change = Change::LogMoved {
            log: bound,
            after,
            to: to.clone(),
        };
        let entry = Entry {
            id: Uuid::now_v7(),
            key: None,
            request: None,
            by: "control".to_owned(),
            at: OffsetDateTime::now_utc(),
            change,
        };
        log.append(Bytes::from(entry.encode()?))
            .await
            .context("saying in the old log that it was moved; run this again to go on")?;
    }
    let said = mark_after(&*log, after, READ_WAIT).await?;
    if said.is_none_or(|said| said.log != to.log) {
        bail!(
            "somebody wrote to log {bound} while it was moved, after {after}: stop whoever serves it, so that nothing that \
             was acknowledged is lost; nothing follows the new log yet, so {how_to_clear}, and run this again"
        );
    }
    Ok(())
}

/// The old log, where it is.
enum Old {
    Sqlite(SqliteLog),
    Kafka(Arc<dyn ChangeLog>),
}

/// Says where the log went, if it was moved already.
async fn follow(
    order: &Order,
    store: &Store,
    log: &dyn ChangeLog,
    state: &mut State,
    progress: &Progress,
) -> anyhow::Result<Option<MovedTo>> {
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
        return Ok(None);
    }
    if !is_same_at(log, store, state).await? {
        if !order.log_is_lost {
            bail!(
                "the log {bound} has another entry at epoch {} than the store: an older copy was restored and written to. \
                 Give --log-is-lost to move what the store has folded, without what was written since",
                state.applied
            );
        }
        return Ok(None);
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
        match batch.stopped {
            None => {}
            Some(FoldError::Moved { to, .. }) => return Ok(Some(to)),
            Some(error) => return Err(error.into()),
        }
        if state.applied == before {
            break;
        }
        progress.at(state.applied.0);
    }
    Ok(None)
}

/// The old log; none when it is lost, or when its entries are all in the new one already.
async fn find(order: &Order, place: &Place, bound: LogId) -> anyhow::Result<Option<Old>> {
    // Nothing is begun: both are there.
    let as_it_is = Opening::Move(Moved {
        log: bound,
        entries: 0,
    });
    if let Some(cluster) = &order.from {
        let log = reach(&order.data, Some(cluster.clone()), Opening::Leave(bound)).await?;
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
                bail!("the log {bound} {mark}");
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
