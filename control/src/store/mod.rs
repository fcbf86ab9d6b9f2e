//! What the fold made of the log, and a little beside it (tokens, acks), in a database.
//!
//! One module a subject; each is a handful of queries on [`Store`]. Nothing here decides: the [fold](crate::fold) does.
//! Statements are sea-orm's and the schema is in [`migrations`], so another backend is another URL.

pub mod blobs;
mod effects;
pub mod entity;
pub mod entries;
pub mod folding;
pub mod migrations;
pub mod policies;
pub mod processes;
pub mod roster;
pub mod sqlite;
pub mod state;
pub mod tokens;

use sea_orm::{DatabaseConnection, DbErr};
use std::path::Path;

/// The file in the data folder.
pub const FILE: &str = "store.db";

/// The store could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database did not do it.
    #[error("the store (database) failed: {0}")]
    Database(String),
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

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        Self::Database(error.to_string())
    }
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
    write: DatabaseConnection,
    read: DatabaseConnection,
}

impl Store {
    /// Opens the store of a data folder, makes it if it is missing, and brings its schema up to date.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        let file = folder.join(FILE);
        let write = sqlite::writer(&file).await?;
        migrations::migrate(&write).await?;
        let read = sqlite::reader(&file).await?;
        Ok(Self { write, read })
    }
}
