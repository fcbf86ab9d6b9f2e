//! What the fold made of the log, and a little beside it (tokens, acks), in a database.
//!
//! One module a subject; each is a handful of queries on [`Store`]. Nothing here decides: the [fold](crate::fold) does.
//! Statements are sea-orm's and the schema is in [`migrations`], so another backend is another URL.

pub mod accounts;
mod api_tokens;
pub mod audit;
pub mod blobs;
pub mod certificates;
mod copying;
mod effects;
pub mod entity;
pub mod entries;
pub mod folding;
pub mod forks;
mod identity;
pub mod migrations;
pub mod policies;
pub mod policy_keys;
pub mod processes;
pub mod promises;
pub mod rollouts;
pub mod roster;
pub mod secrets;
pub mod sessions;
pub mod sqlite;
pub mod state;
pub mod tokens;
mod trust;

use crate::fault::Condition;
use latencify_conf::change::StoreId;
use sea_orm::{DatabaseConnection, DbErr};
use sqlite::Writable;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// The file in the data folder.
pub const FILE: &str = "store.db";

/// The store could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database did not do it.
    #[error("the store (database) failed: {0}")]
    Database(#[from] DbErr),
    /// What stands in it can't be read back.
    #[error(
        "the store holds {what} that can't be read: {why}; restore the data folder from a backup"
    )]
    Damaged {
        /// Which thing.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// It was folded from another log.
    #[error(
        "the store was folded from log {store}, but the log is {log}: start with the data folder that belongs to this log, \
         or with an empty one, which is folded anew"
    )]
    OtherLog {
        /// The store's.
        store: latencify_conf::change::LogId,
        /// The log that was to be folded.
        log: latencify_conf::change::LogId,
    },
}

impl StoreError {
    fn damaged(what: &'static str, why: impl ToString) -> Self {
        Self::Damaged {
            what,
            why: why.to_string(),
        }
    }
}

/// The database: one connection that writes, several that read.
#[derive(Debug, Clone)]
pub struct Store {
    write: Writable,
    read: DatabaseConnection,
    id: StoreId,
    /// Held over a transaction until it is noted how it ended: whoever waits for the connection meanwhile would get it with
    /// what a failed one has left open on it.
    turn: Arc<Mutex<()>>,
}

/// Between two attempts to write to a store that could not be written.
const TRY_AGAIN: Duration = Duration::from_secs(1);

impl Store {
    /// Opens the store of a data folder, makes it if it is missing, and brings its schema up to date.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_file(&folder.join(FILE)).await
    }

    /// Opens the store in a file, as [`open`](Self::open) does.
    pub async fn open_file(file: &Path) -> Result<Self, StoreError> {
        let write = Writable::open(file, "store").await?;
        let opened = Self::open_further(write.clone(), file).await;
        if opened.is_err() {
            write.shut().await;
        }
        opened
    }

    async fn open_further(write: Writable, file: &Path) -> Result<Self, StoreError> {
        let connection = write.connection().await?;
        migrations::migrate(&connection).await?;
        let id = identity::establish(&connection).await?;
        let read = sqlite::reader(file).await?;
        let turn = Arc::default();
        Ok(Self {
            write,
            read,
            id,
            turn,
        })
    }

    /// Closes every connection, and waits for that. Nothing can be read or written any more, by whatever clone.
    pub async fn shut(&self) {
        // Closing a pool does not fail.
        let _ = self.read.close_by_ref().await;
        self.write.shut().await;
    }

    /// Whether it can be written.
    pub fn condition(&self) -> &Condition {
        self.write.condition()
    }

    /// Finds out when a store that could not be written can be written again, until `stop`: with nothing to fold, nobody
    /// else would.
    pub async fn keep_trying(self, stop: CancellationToken) {
        let again = async {
            loop {
                self.condition().fails().await;
                tokio::time::sleep(TRY_AGAIN).await;
                if self.write.try_again("update applied set id = id").await {
                    self.write.succeeded();
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = again => {}
        }
    }

    /// The connection that writes.
    async fn writer(&self) -> Result<DatabaseConnection, StoreError> {
        let connection = self.write.connection().await.map_err(StoreError::from);
        match connection {
            Ok(connection) => Ok(connection),
            failed => self.noted(failed).await,
        }
    }

    /// Takes note of how a write ended: after an error of the database the next one has another connection.
    async fn noted<T>(&self, written: Result<T, StoreError>) -> Result<T, StoreError> {
        match &written {
            Ok(_) => self.write.succeeded(),
            Err(StoreError::Database(error)) => self.write.failed(error).await,
            Err(_) => {}
        }
        written
    }
}

#[cfg(test)]
mod tests;
