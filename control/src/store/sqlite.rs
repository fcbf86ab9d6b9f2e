//! SQLite connections: write-ahead log, every commit on the disk before it is answered, one writer, several readers.

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DbErr,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};
use std::{path::Path, time::Duration};

/// Connections that read side by side.
const READERS_MAX: u32 = 4;
/// How long a statement waits for another's lock, and a caller for a connection.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The one connection that writes to a file, which it makes if it is missing.
pub async fn writer(file: &Path) -> Result<DatabaseConnection, DbErr> {
    connect(file, 1, false).await
}

/// Connections that only read. The file exists.
pub async fn reader(file: &Path) -> Result<DatabaseConnection, DbErr> {
    connect(file, READERS_MAX, true).await
}

async fn connect(
    file: &Path,
    connections: u32,
    read_only: bool,
) -> Result<DatabaseConnection, DbErr> {
    let path = file.to_path_buf();
    // The path goes in by `filename`, as it is (no escaping of `?` or `%`); the URL only names the backend.
    let mut options = ConnectOptions::new("sqlite:file");
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(WAIT_MAX)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .filename(&path)
                .create_if_missing(!read_only)
                .read_only(read_only)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(WAIT_MAX)
        })
        .map_sqlx_sqlite_pool_opts(|pool| pool.idle_timeout(None).max_lifetime(None));
    Database::connect(options).await
}
