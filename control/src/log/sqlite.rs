//! The log as a table in the data folder: one writer task, many appends in one transaction, readers that see an entry
//! only after its commit has reached the disk (`synchronous=FULL`).

use super::{AppendError, ChangeLog, LogError, READ_MAX, Reader, Record, first_entry, identity_of};
use crate::store::sqlite;
use async_trait::async_trait;
use bytes::Bytes;
use latencify_conf::change::{Epoch, LogId};
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, Schema, TransactionTrait,
};
use std::{path::Path, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

/// The file in the data folder.
pub const FILE: &str = "changes.db";
/// Appends that wait for the writer; a further one waits to be let in.
const APPENDS_WAITING_MAX: usize = 1024;
/// Appends that share one transaction, and so one wait for the disk.
const APPENDS_A_COMMIT_MAX: usize = 256;

/// Between two attempts to see what a failed commit has kept.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

mod entity {
    use sea_orm::entity::prelude::*;

    /// One entry. The epoch is SQLite's row number, never given twice (`AUTOINCREMENT`).
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "changes")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub epoch: i64,
        pub bytes: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

struct Append {
    bytes: Bytes,
    answer: oneshot::Sender<Result<Epoch, AppendError>>,
}

/// A log in a SQLite file.
pub struct SqliteLog {
    identity: LogId,
    read: DatabaseConnection,
    appends: mpsc::Sender<Append>,
    head: watch::Receiver<Epoch>,
}

impl SqliteLog {
    /// Opens the log of a data folder, or begins one.
    pub async fn open(folder: &Path) -> Result<Self, LogError> {
        let file = folder.join(FILE);
        let write = sqlite::writer(&file).await.map_err(unreachable)?;
        let table =
            Schema::new(write.get_database_backend()).create_table_from_entity(entity::Entity);
        write
            .execute(table.clone().if_not_exists())
            .await
            .map_err(unreachable)?;
        let identity = match first(&write).await.map_err(unreachable)? {
            Some(bytes) => identity_of(&bytes)?,
            None => begin(&write).await?,
        };
        let (publish, head) = watch::channel(newest(&write).await.map_err(unreachable)?);
        let read = sqlite::reader(&file).await.map_err(unreachable)?;
        let (appends, waiting) = mpsc::channel(APPENDS_WAITING_MAX);
        tokio::spawn(keep_writing(write, waiting, publish));
        Ok(Self {
            identity,
            read,
            appends,
            head,
        })
    }
}

#[async_trait]
impl ChangeLog for SqliteLog {
    fn identity(&self) -> LogId {
        self.identity
    }

    async fn append(&self, entry: Bytes) -> Result<Epoch, AppendError> {
        let (answer, answered) = oneshot::channel();
        let stopped = || AppendError::Refused("its writer has stopped".to_owned());
        self.appends
            .send(Append {
                bytes: entry,
                answer,
            })
            .await
            .map_err(|_| stopped())?;
        answered.await.unwrap_or_else(|_| {
            Err(AppendError::Unknown(
                "its writer stopped meanwhile".to_owned(),
            ))
        })
    }

    async fn reader(&self, after: Epoch) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(SqliteReader {
            read: self.read.clone(),
            head: self.head.clone(),
            after,
        }))
    }

    async fn head(&self) -> Result<Epoch, LogError> {
        Ok(*self.head.borrow())
    }
}

struct SqliteReader {
    read: DatabaseConnection,
    head: watch::Receiver<Epoch>,
    after: Epoch,
}

#[async_trait]
impl Reader for SqliteReader {
    async fn next(&mut self, wait: Duration) -> Result<Vec<Record>, LogError> {
        let after = self.after;
        match tokio::time::timeout(wait, self.head.wait_for(|head| *head > after)).await {
            Err(_) => return Ok(Vec::new()),
            Ok(Err(_)) => return Err(LogError::Unreachable("its writer has stopped".to_owned())),
            Ok(Ok(_)) => {}
        }
        let rows = entity::Entity::find()
            .filter(entity::Column::Epoch.gt(after.0 as i64))
            .order_by_asc(entity::Column::Epoch)
            .limit(READ_MAX as u64)
            .all(&self.read)
            .await
            .map_err(unreachable)?;
        let records: Vec<_> = rows
            .into_iter()
            .map(|row| Record {
                epoch: Epoch(row.epoch as u64),
                bytes: row.bytes.into(),
            })
            .collect();
        self.after = records.last().map_or(after, |record| record.epoch);
        Ok(records)
    }
}

/// Takes every append that waits, commits them together, publishes the new head, then answers.
async fn keep_writing(
    write: DatabaseConnection,
    mut waiting: mpsc::Receiver<Append>,
    publish: watch::Sender<Epoch>,
) {
    let mut batch = Vec::with_capacity(APPENDS_A_COMMIT_MAX);
    let mut is_unsure = false;
    loop {
        let received = tokio::select! {
            received = waiting.recv_many(&mut batch, APPENDS_A_COMMIT_MAX) => received,
            () = tokio::time::sleep(LOOK_AGAIN), if is_unsure => {
                is_unsure = !publish_kept(&write, &publish).await;
                continue;
            }
        };
        if received == 0 {
            return;
        }
        match commit(&write, &batch).await {
            Ok(epochs) => {
                publish.send_replace(epochs.last().copied().unwrap_or_default());
                for (append, epoch) in batch.drain(..).zip(epochs) {
                    // The writer may have given up waiting; the entry is kept all the same.
                    let _ = append.answer.send(Ok(epoch));
                }
            }
            Err(error) => {
                tracing::error!(%error, "the change log did not commit");
                for append in batch.drain(..) {
                    // A failed COMMIT may still have reached the disk.
                    let _ = append
                        .answer
                        .send(Err(AppendError::Unknown(error.to_string())));
                }
                is_unsure = !publish_kept(&write, &publish).await;
            }
        }
    }
}

/// Publishes what is kept after a commit whose answer was lost: its entries must not wait for the next append. Says
/// whether it could look.
async fn publish_kept(write: &DatabaseConnection, publish: &watch::Sender<Epoch>) -> bool {
    match newest(write).await {
        Ok(newest) => {
            publish.send_if_modified(|head| {
                let is_news = newest > *head;
                *head = newest.max(*head);
                is_news
            });
            true
        }
        Err(error) => {
            tracing::error!(%error, "the change log can't be read after a failed commit; it is tried again");
            false
        }
    }
}

async fn commit(write: &DatabaseConnection, batch: &[Append]) -> Result<Vec<Epoch>, DbErr> {
    let transaction = write.begin().await?;
    let mut epochs = Vec::with_capacity(batch.len());
    for append in batch {
        epochs.push(insert(&transaction, &append.bytes).await?);
    }
    transaction.commit().await?;
    Ok(epochs)
}

async fn insert(connection: &impl ConnectionTrait, bytes: &[u8]) -> Result<Epoch, DbErr> {
    let row = entity::ActiveModel {
        epoch: ActiveValue::NotSet,
        bytes: ActiveValue::Set(bytes.to_vec()),
    };
    Ok(Epoch(
        entity::Entity::insert(row)
            .exec(connection)
            .await?
            .last_insert_id as u64,
    ))
}

async fn begin(write: &DatabaseConnection) -> Result<LogId, LogError> {
    let identity = LogId(Uuid::new_v4());
    let entry =
        first_entry(identity, None).map_err(|error| LogError::NotALog(error.to_string()))?;
    insert(write, &entry).await.map_err(unreachable)?;
    Ok(identity)
}

async fn first(connection: &impl ConnectionTrait) -> Result<Option<Vec<u8>>, DbErr> {
    let row = entity::Entity::find()
        .order_by_asc(entity::Column::Epoch)
        .one(connection)
        .await?;
    Ok(row.map(|row| row.bytes))
}

async fn newest(connection: &impl ConnectionTrait) -> Result<Epoch, DbErr> {
    let epoch: Option<Option<i64>> = entity::Entity::find()
        .select_only()
        .column_as(entity::Column::Epoch.max(), "newest")
        .into_tuple()
        .one(connection)
        .await?;
    Ok(Epoch(epoch.flatten().unwrap_or_default() as u64))
}

fn unreachable(error: DbErr) -> LogError {
    LogError::Unreachable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_commit_kept_whose_answer_was_lost_is_published() {
        let folder = tempfile::tempdir().unwrap();
        drop(SqliteLog::open(folder.path()).await.unwrap());
        let write = sqlite::writer(&folder.path().join(FILE)).await.unwrap();
        let (publish, head) = watch::channel(newest(&write).await.unwrap());
        assert_eq!(*head.borrow(), Epoch(1));
        insert(&write, b"x").await.unwrap();
        assert!(publish_kept(&write, &publish).await);
        assert_eq!(*head.borrow(), Epoch(2));
    }
}
