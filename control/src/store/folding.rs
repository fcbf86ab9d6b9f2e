//! Folding a batch of entries in one transaction.

use super::{
    Store, StoreError, effects,
    entity::{applied, entries, repeats},
    state,
};
use crate::{
    fold::{Folded, Original, Outcome, State, ends, fold, repeat_name},
    log::Record,
};
use latencify_conf::{
    change::{Entry, EntryError, Epoch, LogId, MovedTo, Position, REPEAT_WINDOW_ENTRIES},
    link::replica::Accepted,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr,
    EntityTrait, QueryFilter, TransactionTrait, sea_query::Expr,
};
use std::sync::Arc;

/// Every so many entries, names that have left the window of repeats are deleted.
const PRUNE_EVERY_ENTRIES: u64 = 1024;

/// An entry with what became of it, once that is committed.
#[derive(Debug, Clone)]
pub struct Settled {
    /// Where it stands.
    pub epoch: Epoch,
    /// The entry.
    pub entry: Arc<Entry>,
    /// What became of it.
    pub folded: Arc<Folded>,
    /// What edges receive; none unless it was accepted.
    pub accepted: Option<Arc<Accepted>>,
}

/// A batch that was not folded to its end.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The database failed; the batch may be folded again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry that this version can't read: nothing after it may be folded.
    #[error("epoch {epoch}: {error}")]
    NotUnderstood {
        /// Where it stands.
        epoch: Epoch,
        /// What is wrong with it.
        error: EntryError,
    },
    /// The log ends here.
    #[error("log {log} ends at {after}: it {to}")]
    Moved {
        /// The log.
        log: LogId,
        /// Its newest entry.
        after: Epoch,
        /// Where it goes on.
        to: MovedTo,
    },
}

/// What a batch came to: all that was folded, and why it ended early, if it did.
#[derive(Debug)]
pub struct Batch {
    /// In the order of the log.
    pub settled: Vec<Settled>,
    /// The entry that stopped it.
    pub stopped: Option<FoldError>,
}

impl Store {
    /// Folds records that follow each other, and moves `state` with them. What is at or below the applied epoch is
    /// skipped. On an error of the database nothing is folded and `state` stands still.
    pub async fn fold(&self, state: &mut State, records: &[Record]) -> Result<Batch, StoreError> {
        let _turn = self.turn.lock().await;
        let folded = fold_all(&self.writer().await?, state, records).await;
        let (transaction, next, batch) = match folded {
            Ok(folded) => folded,
            Err(error) => return self.noted(Err(error)).await,
        };
        let committed = transaction.commit().await;
        self.confirm(committed, next.applied).await?;
        *state = next;
        Ok(batch)
    }

    /// A COMMIT that reports an error may have taken effect: then the batch is folded, and its writers are told.
    async fn confirm(
        &self,
        committed: Result<(), DbErr>,
        applied: Epoch,
    ) -> Result<(), StoreError> {
        let Err(error) = self.noted(committed.map_err(StoreError::from)).await else {
            return Ok(());
        };
        let row = applied::Entity::find_by_id(state::ONLY)
            .one(&self.writer().await?)
            .await?;
        if row.is_some_and(|row| row.epoch as u64 >= applied.0) {
            tracing::warn!(%error, %applied, "a commit of the store reported an error and took effect");
            return Ok(());
        }
        Err(error)
    }

    /// What the index of repeats says of a name.
    pub async fn original(&self, name: &str) -> Result<Option<Original>, StoreError> {
        original(&self.read, name).await
    }
}

/// Folds records up to, and without, the commit.
async fn fold_all(
    database: &DatabaseConnection,
    state: &State,
    records: &[Record],
) -> Result<(DatabaseTransaction, State, Batch), StoreError> {
    let transaction = database.begin().await?;
    let mut next = lock(&transaction, state).await?;
    let mut batch = Batch {
        settled: Vec::with_capacity(records.len()),
        stopped: None,
    };
    let applied = next.applied;
    for record in records.iter().filter(|record| record.epoch > applied) {
        let entry = match Entry::decode(&record.bytes) {
            Ok(entry) => entry,
            Err(error) => {
                batch.stopped = Some(FoldError::NotUnderstood {
                    epoch: record.epoch,
                    error,
                });
                break;
            }
        };
        if let Some(to) = ends(&next, &entry) {
            batch.stopped = Some(FoldError::Moved {
                log: next.position.log,
                after: next.applied,
                to: to.clone(),
            });
            break;
        }
        batch
            .settled
            .push(fold_one(&transaction, &mut next, record, entry).await?);
    }
    save_applied(&transaction, &next).await?;
    prune(&transaction, state.applied, next.applied).await?;
    Ok((transaction, next, batch))
}

/// Takes the lock of the applied row, which every replica that shares the database needs, and says where the store
/// stands: usually where this replica left it.
async fn lock(transaction: &impl ConnectionTrait, state: &State) -> Result<State, StoreError> {
    applied::Entity::update_many()
        .col_expr(applied::Column::Id, Expr::col(applied::Column::Id))
        .filter(applied::Column::Id.eq(state::ONLY))
        .exec(transaction)
        .await?;
    let row = applied::Entity::find_by_id(state::ONLY)
        .one(transaction)
        .await?;
    let Some(row) = row else {
        return Err(StoreError::damaged(
            "the applied epoch",
            "its row is missing",
        ));
    };
    if row.log != state.position.log.0 || (row.epoch as u64) < state.applied.0 {
        // What came between would be folded upon nothing.
        let why = format!(
            "it was folded to epoch {} and says {} now: another file was put in its place; start control again",
            state.applied, row.epoch
        );
        return Err(StoreError::damaged("another state", why));
    }
    if row.epoch as u64 == state.applied.0 {
        return Ok(state.clone());
    }
    state::load(transaction).await
}

async fn fold_one(
    transaction: &impl ConnectionTrait,
    state: &mut State,
    record: &Record,
    entry: Entry,
) -> Result<Settled, StoreError> {
    let original = match repeat_name(&entry) {
        Some(name) => original(transaction, &name).await?,
        None => None,
    };
    let previous = state.position;
    let folded = fold(state, original, record.epoch, &entry);
    state.apply(record.epoch, &record.bytes, &folded);
    let accepted = (folded.outcome == Outcome::Accepted).then(|| {
        Arc::new(Accepted {
            previous,
            position: state.position,
            entry: record.bytes.clone(),
        })
    });
    save_entry(
        transaction,
        record,
        &entry,
        folded.outcome,
        accepted.as_deref(),
    )
    .await?;
    for effect in &folded.effects {
        effects::save(transaction, record.epoch, &entry, effect).await?;
    }
    Ok(Settled {
        epoch: record.epoch,
        entry: Arc::new(entry),
        folded: Arc::new(folded),
        accepted,
    })
}

async fn original(
    connection: &impl ConnectionTrait,
    name: &str,
) -> Result<Option<Original>, StoreError> {
    let Some(row) = repeats::Entity::find_by_id(name.to_owned())
        .one(connection)
        .await?
    else {
        return Ok(None);
    };
    let request = row.request.as_deref().map(state::digest).transpose()?;
    Ok(Some(Original {
        id: row.id,
        epoch: Epoch(row.epoch as u64),
        request,
    }))
}

async fn save_entry(
    transaction: &impl ConnectionTrait,
    record: &Record,
    entry: &Entry,
    outcome: Outcome,
    accepted: Option<&Accepted>,
) -> Result<(), StoreError> {
    let hash = |position: &Position| position.hash.0.to_vec();
    let row = entries::ActiveModel {
        epoch: Set(record.epoch.0 as i64),
        id: Set(entry.id),
        outcome: Set(outcome.as_str().to_owned()),
        previous: Set(accepted.map(|accepted| accepted.previous.epoch.0 as i64)),
        previous_hash: Set(accepted.map(|accepted| hash(&accepted.previous))),
        hash: Set(accepted.map(|accepted| hash(&accepted.position))),
        bytes: Set(record.bytes.to_vec()),
    };
    entries::Entity::insert(row)
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

async fn save_applied(transaction: &impl ConnectionTrait, state: &State) -> Result<(), StoreError> {
    applied::Entity::update_many()
        .col_expr(applied::Column::Epoch, Expr::value(state.applied.0 as i64))
        .col_expr(
            applied::Column::Position,
            Expr::value(state.position.epoch.0 as i64),
        )
        .col_expr(
            applied::Column::Hash,
            Expr::value(state.position.hash.0.to_vec()),
        )
        .col_expr(
            applied::Column::LastSite,
            Expr::value(state.last_site.0 as i64),
        )
        .col_expr(
            applied::Column::AbsentMs,
            Expr::value(
                state
                    .absent
                    .longest
                    .map(|longest| longest.as_millis() as i64),
            ),
        )
        .col_expr(
            applied::Column::NoneAbsentSince,
            Expr::value(state.absent.none_since.0 as i64),
        )
        .col_expr(
            applied::Column::LeaseMs,
            Expr::value(state.longest_lease.as_millis() as i64),
        )
        .filter(applied::Column::Id.eq(state::ONLY))
        .exec(transaction)
        .await?;
    Ok(())
}

/// Whether a name still counts is decided by its epoch; when its row goes is only a matter of room.
async fn prune(
    transaction: &impl ConnectionTrait,
    before: Epoch,
    after: Epoch,
) -> Result<(), StoreError> {
    let is_due = before.0 / PRUNE_EVERY_ENTRIES != after.0 / PRUNE_EVERY_ENTRIES;
    let Some(oldest) = after
        .0
        .checked_sub(REPEAT_WINDOW_ENTRIES)
        .filter(|_| is_due)
    else {
        return Ok(());
    };
    repeats::Entity::delete_many()
        .filter(repeats::Column::Epoch.lt(oldest as i64))
        .exec(transaction)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[tokio::test]
    async fn a_commit_whose_answer_was_lost_counts_if_it_took_effect() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let log = LogId(Uuid::from_u128(1));
        let mut state = store.bind(log).await.unwrap();
        let bytes = crate::log::first_entry(log, None).unwrap();
        let epoch = Epoch(1);
        store
            .fold(&mut state, &[Record { epoch, bytes }])
            .await
            .unwrap();
        let lost = || Err(DbErr::Custom("the answer was lost".into()));
        assert!(store.confirm(lost(), Epoch(1)).await.is_ok());
        assert!(store.confirm(lost(), Epoch(2)).await.is_err());
        assert!(store.confirm(Ok(()), Epoch(2)).await.is_ok());
    }
}
