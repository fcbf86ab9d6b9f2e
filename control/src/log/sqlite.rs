//! The log as a table in the data folder: one writer task, many appends in one transaction, readers that see an entry
//! only after its commit has reached the disk (`synchronous=FULL`).

pub mod moved;
mod writing;

use super::{
    AppendError, ChangeLog, LogError, Opening, Origin, READ_MAX, Reader, Record, first_entry,
    origin_of,
};
use crate::{
    fault::Condition,
    store::sqlite::{self, Writable},
};
use async_trait::async_trait;
use bytes::Bytes;
use latencify_conf::change::{Epoch, LogId, Moved, MovedTo};
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, Schema,
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;
use writing::Append;

/// The file in the data folder.
pub const FILE: &str = "changes.db";
/// Appends that wait for the writer; a further one waits to be let in.
const APPENDS_WAITING_MAX: usize = 1024;

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

/// A log in a SQLite file.
pub struct SqliteLog {
    origin: Origin,
    read: DatabaseConnection,
    write: Writable,
    appends: mpsc::Sender<Append>,
    head: watch::Receiver<Epoch>,
    stop: CancellationToken,
    /// The writer.
    writing: TaskTracker,
}

impl SqliteLog {
    /// Opens the log of a data folder, or begins one.
    pub async fn open(folder: &Path, opening: Opening) -> Result<Self, LogError> {
        Self::open_file(&folder.join(FILE), opening).await
    }

    /// Opens the log in a file, or begins one.
    pub async fn open_file(file: &Path, opening: Opening) -> Result<Self, LogError> {
        let write = Writable::open(file, "change log")
            .await
            .map_err(unreachable)?;
        let opened = Self::open_further(write.clone(), file, opening).await;
        if opened.is_err() {
            write.shut().await;
        }
        opened
    }

    async fn open_further(
        write: Writable,
        file: &Path,
        opening: Opening,
    ) -> Result<Self, LogError> {
        let connection = write.connection().await.map_err(unreachable)?;
        let table =
            Schema::new(connection.get_database_backend()).create_table_from_entity(entity::Entity);
        connection
            .execute(table.clone().if_not_exists())
            .await
            .map_err(unreachable)?;
        let origin = match (first(&connection).await.map_err(unreachable)?, opening) {
            (Some(bytes), _) => origin_of(&bytes)?,
            (None, Opening::Follow(None)) => begin(&connection, None).await?,
            (None, Opening::Move(from)) => begin(&connection, Some(from)).await?,
            (None, Opening::Follow(Some(bound)) | Opening::Leave(bound)) => {
                return Err(lost(file, bound));
            }
        };
        let newest = newest(&connection).await.map_err(unreachable)?;
        if matches!(opening, Opening::Follow(_)) {
            moved::refuse(&connection, file).await?;
            if !origin.is_complete(newest) {
                return Err(LogError::Unfit(format!(
                    "the move of another log into {} is not finished: run latencify-control migrate-log again",
                    file.display()
                )));
            }
        }
        let (publish, head) = watch::channel(newest);
        let read = sqlite::reader(file).await.map_err(unreachable)?;
        let (appends, waiting) = mpsc::channel(APPENDS_WAITING_MAX);
        let (stop, writing) = (CancellationToken::new(), TaskTracker::new());
        let log = origin.log;
        writing.spawn(writing::keep_writing(
            write.clone(),
            log,
            waiting,
            publish,
            stop.clone(),
        ));
        Ok(Self {
            origin,
            read,
            write,
            appends,
            head,
            stop,
            writing,
        })
    }

    /// Hands an entry to the writer, behind all that were handed over before.
    async fn hand_over(
        &self,
        bytes: Bytes,
    ) -> Result<oneshot::Receiver<Result<Epoch, AppendError>>, AppendError> {
        let (answer, answered) = oneshot::channel();
        let stopped = || AppendError::Refused("its writer has stopped".to_owned());
        let append = Append { bytes, answer };
        self.appends.send(append).await.map_err(|_| stopped())?;
        Ok(answered)
    }

    /// Where it went, if it was moved.
    pub async fn moved(&self) -> Result<Option<MovedTo>, LogError> {
        moved::read(&self.read).await
    }

    /// Finishes what is under way and brings everything into the one file, so that it can be renamed.
    pub async fn close(self) -> Result<(), LogError> {
        self.stop_writing().await;
        let connection = self.write.connection().await.map_err(unreachable)?;
        connection
            .execute_unprepared("pragma journal_mode = delete")
            .await
            .map_err(unreachable)?;
        drop(connection);
        self.write.shut().await;
        Ok(())
    }

    /// What was handed over is written first.
    async fn stop_writing(&self) {
        self.stop.cancel();
        self.writing.close();
        self.writing.wait().await;
        // Closing a pool does not fail.
        let _ = self.read.close_by_ref().await;
    }
}

#[async_trait]
impl ChangeLog for SqliteLog {
    fn origin(&self) -> Origin {
        self.origin
    }

    fn condition(&self) -> &Condition {
        self.write.condition()
    }

    async fn append(&self, entry: Bytes) -> Result<Epoch, AppendError> {
        answer(self.hand_over(entry).await?).await
    }

    async fn append_in_order(&self, entries: Vec<Bytes>) -> Result<(), AppendError> {
        let mut answers = Vec::with_capacity(entries.len());
        for entry in entries {
            answers.push(self.hand_over(entry).await?);
        }
        for answered in answers {
            answer(answered).await?;
        }
        Ok(())
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

    async fn shut(&self) {
        self.stop_writing().await;
        self.write.shut().await;
    }
}

async fn answer(
    answered: oneshot::Receiver<Result<Epoch, AppendError>>,
) -> Result<Epoch, AppendError> {
    answered.await.unwrap_or_else(|_| {
        Err(AppendError::Unknown(
            "its writer stopped meanwhile".to_owned(),
        ))
    })
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

/// What the first entry of a file says; none when there is no file, or no log in it. Nothing is made.
pub async fn peek(file: &Path) -> Result<Option<Origin>, LogError> {
    if std::fs::metadata(file).map_or(true, |file| file.len() == 0) {
        return Ok(None);
    }
    let read = sqlite::as_it_is(file).await.map_err(unreachable)?;
    let bytes = first(&read).await;
    read.close().await.map_err(unreachable)?;
    match bytes {
        Ok(bytes) => bytes.map(|bytes| origin_of(&bytes)).transpose(),
        Err(error) if error.to_string().contains("no such table") => Ok(None),
        Err(error) => Err(unreachable(error)),
    }
}

/// Marks the log in a file that nobody has open, and brings everything into the one file.
pub async fn mark_as_moved(file: &Path, mark: &MovedTo) -> Result<(), LogError> {
    let connection = sqlite::writer(file).await.map_err(unreachable)?;
    moved::mark(&connection, mark).await?;
    connection
        .execute_unprepared("pragma journal_mode = delete")
        .await
        .map_err(unreachable)?;
    connection.close().await.map_err(unreachable)
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

async fn begin(write: &impl ConnectionTrait, from: Option<Moved>) -> Result<Origin, LogError> {
    let log = LogId(Uuid::new_v4());
    let entry = first_entry(log, from).map_err(|error| LogError::NotALog(error.to_string()))?;
    insert(write, &entry).await.map_err(unreachable)?;
    Ok(Origin { log, from })
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

fn lost(file: &Path, bound: LogId) -> LogError {
    let folder = file.parent().map(PathBuf::from).unwrap_or_default();
    LogError::Unfit(format!(
        "the store has followed log {bound}, which is not in {}: if that log is in Kafka, start with its --kafka and \
         --kafka-prefix; if it was in this file, put the file back; if it is lost, begin another one from the store: \
         latencify-control migrate-log --data {} --log-is-lost",
        file.display(),
        folder.display()
    ))
}

fn unreachable(error: DbErr) -> LogError {
    LogError::Unreachable(error.to_string())
}
