//! SQLite connections: write-ahead log, every commit on the disk before it is answered, one writer, several readers.
//!
//! # After an error
//! SQLite ends a transaction by itself when the disk is full or fails, but sqlx goes on counting it as open: the next
//! BEGIN becomes a SAVEPOINT, and a COMMIT a RELEASE that may commit nothing. So a connection on which a write failed
//! is never used again: [`Writable`] opens another one, never a file that is not there, and whoever needs to know looks
//! at what was kept.
//!
//! # The end
//! The last connection to a file that is closed brings what is beside it into it, and takes the files beside it away, by their
//! names. Connections that are merely dropped are closed in the background, at some time: another program may have put
//! other files there by then. So whoever has a database [shuts](Writable::shut) it, and lets go of the folder after that.
//! For the same reason every connection is opened at once: one that is given up half open is closed by nobody knows when.

use crate::fault::{Condition, Fault, Kind};
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbErr, RuntimeErr,
    sqlx::{
        self,
        sqlite::{SqliteJournalMode, SqliteSynchronous},
    },
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

/// Connections that read side by side.
const READERS_MAX: u32 = 4;
/// How long a statement waits for another's lock, and a caller for a connection.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// What must fit on the disk before writing is tried again: the largest entry twice.
const ROOM_BYTES: usize = 1024 * 1024;
/// The file by which it is seen that it fits, beside the database.
pub const ROOM_FILE: &str = "room";

/// The one connection that writes to a file, and how that fares. A clone is the same.
#[derive(Debug, Clone)]
pub struct Writable {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    connection: Mutex<Slot>,
    condition: Condition,
    /// Connections that are being closed, because a write failed on them.
    closing: TaskTracker,
}

/// The connection that writes.
#[derive(Debug)]
enum Slot {
    Open(DatabaseConnection),
    /// A write failed on the last one, and nobody has needed another yet.
    Failed,
    /// There is none any more, and never will be.
    Shut,
}

impl Writable {
    /// Opens a file for writing, and makes it if it is missing. `what` names it in the program's log.
    pub async fn open(file: &Path, what: &'static str) -> Result<Self, DbErr> {
        let connection = writer(file).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                file: file.to_owned(),
                connection: Mutex::new(Slot::Open(connection)),
                condition: Condition::new(what),
                closing: TaskTracker::new(),
            }),
        })
    }

    /// How it fares.
    pub fn condition(&self) -> &Condition {
        &self.inner.condition
    }

    /// The connection; a new one if a write failed on the last.
    pub async fn connection(&self) -> Result<DatabaseConnection, DbErr> {
        let mut slot = self.inner.connection.lock().await;
        match &*slot {
            Slot::Open(connection) => return Ok(connection.clone()),
            Slot::Shut => return Err(DbErr::Custom("the database is shut".to_owned())),
            Slot::Failed => {}
        }
        let connection = connect(&self.inner.file, 1, Access::Write).await?;
        *slot = Slot::Open(connection.clone());
        Ok(connection)
    }

    /// Closes the connection, and waits until it and those that are being closed are. None is opened after that.
    pub async fn shut(&self) {
        let mut slot = self.inner.connection.lock().await;
        if let Slot::Open(connection) = std::mem::replace(&mut *slot, Slot::Shut) {
            // Closing a pool does not fail; what its connections say then is of no use to anybody.
            let _ = connection.close().await;
        }
        self.inner.closing.close();
        self.inner.closing.wait().await;
    }

    /// A write failed on the connection, so it is not used again.
    pub async fn failed(&self, error: &DbErr) {
        let mut slot = self.inner.connection.lock().await;
        match std::mem::replace(&mut *slot, Slot::Failed) {
            // Closing waits for what hangs on the disk, and nobody else should. What was not committed is rolled back.
            Slot::Open(connection) => drop(self.inner.closing.spawn(connection.close())),
            Slot::Failed => {}
            Slot::Shut => {
                *slot = Slot::Shut;
                return;
            }
        }
        self.inner.condition.raise(fault(&self.inner.file, error));
    }

    /// A write succeeded.
    pub fn succeeded(&self) {
        self.inner.condition.clear();
    }

    /// Tries whether the file can be written again: whether there is room, and whether a connection commits a statement
    /// that changes nothing. The caller says then that it [succeeded](Self::succeeded).
    pub async fn try_again(&self, changes_nothing: &str) -> bool {
        if let Err(fault) = self.has_room().await {
            self.inner.condition.raise(fault);
            return false;
        }
        let committed = match self.connection().await {
            Ok(connection) => connection.execute_unprepared(changes_nothing).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &committed {
            self.failed(error).await;
        }
        committed.is_ok()
    }

    /// Whether there is room again for what may be written; a small write could succeed where the next one fails.
    async fn has_room(&self) -> Result<(), Fault> {
        let file = self.inner.file.clone();
        let room = file.with_file_name(ROOM_FILE);
        let tried = tokio::task::spawn_blocking(move || fill(&room)).await;
        match tried.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(()) => Ok(()),
            Err(error) => Err(io_fault(&file_of(&self.inner.file), &error)),
        }
    }
}

/// Writes the room file to the disk, and takes it away.
fn fill(room: &Path) -> io::Result<()> {
    let written = std::fs::File::create(room).and_then(|mut file| {
        io::Write::write_all(&mut file, &vec![0x5a; ROOM_BYTES])?;
        file.sync_all()
    });
    let removed = std::fs::remove_file(room);
    written.and(removed)
}

/// The one connection that writes to a file, which it makes if it is missing.
pub async fn writer(file: &Path) -> Result<DatabaseConnection, DbErr> {
    connect(file, 1, Access::Make).await
}

/// Connections that only read. The file exists.
pub async fn reader(file: &Path) -> Result<DatabaseConnection, DbErr> {
    connect(file, READERS_MAX, Access::Read).await
}

/// A connection that takes a file as it is, and finishes what a program that was killed has left in it: that needs writing.
pub async fn as_it_is(file: &Path) -> Result<DatabaseConnection, DbErr> {
    connect(file, 1, Access::AsItIs).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Make,
    Write,
    AsItIs,
    Read,
}

async fn connect(
    file: &Path,
    connections: u32,
    access: Access,
) -> Result<DatabaseConnection, DbErr> {
    let path = file.to_path_buf();
    // The path goes in by `filename`, as it is (no escaping of `?` or `%`); the URL only names the backend.
    let mut options = ConnectOptions::new("sqlite:file");
    options
        .max_connections(connections)
        .min_connections(connections)
        .acquire_timeout(WAIT_MAX)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            let sqlite = sqlite.filename(&path).busy_timeout(WAIT_MAX);
            if matches!(access, Access::AsItIs | Access::Read) {
                let is_read_only = access == Access::Read;
                return sqlite.create_if_missing(false).read_only(is_read_only);
            }
            sqlite
                .create_if_missing(access == Access::Make)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
        })
        .map_sqlx_sqlite_pool_opts(|pool| pool.idle_timeout(None).max_lifetime(None));
    Database::connect(options).await
}

/// What an error of a database says about the file and the disk under it.
pub fn fault(file: &Path, error: &DbErr) -> Fault {
    let name = file_of(file);
    let kind = match primary_code(error) {
        // SQLite's result codes: https://www.sqlite.org/rescode.html
        Some(13) => Kind::DiskFull,
        Some(8) => Kind::ReadOnly,
        Some(14) => return io_fault(&name, &opened(file)),
        _ => Kind::Io,
    };
    Fault::new(
        kind,
        format!(
            "{name} can't be written: {}{}",
            describe(error),
            remedy(kind)
        ),
    )
}

/// What the system says when the file is opened for writing: SQLite itself only says that it can't.
fn opened(file: &Path) -> io::Error {
    std::fs::OpenOptions::new()
        .write(true)
        .open(file)
        .err()
        .unwrap_or_else(|| io::Error::other("SQLite can't open it, or a file beside it"))
}

fn io_fault(name: &str, error: &io::Error) -> Fault {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::DiskFull,
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Kind::ReadOnly,
        _ => Kind::Io,
    };
    Fault::new(
        kind,
        format!("{name} can't be written: {error}{}", remedy(kind)),
    )
}

fn remedy(kind: Kind) -> &'static str {
    match kind {
        Kind::DiskFull => ": make room on its disk",
        Kind::ReadOnly => ": make its file and folder writable",
        _ => ": look at its disk",
    }
}

fn file_of(file: &Path) -> String {
    file.file_name()
        .unwrap_or(file.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// SQLite's words, without sea-orm's around them.
fn describe(error: &DbErr) -> String {
    match database_error(error) {
        Some(error) => error.message().to_owned(),
        None => error.to_string(),
    }
}

fn primary_code(error: &DbErr) -> Option<i32> {
    let code: i32 = database_error(error)?.code()?.parse().ok()?;
    Some(code & 0xff)
}

fn database_error(error: &DbErr) -> Option<&dyn sqlx::error::DatabaseError> {
    let (DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))
    | DbErr::Conn(RuntimeErr::SqlxError(error))) = error
    else {
        return None;
    };
    error.as_database_error()
}

#[cfg(test)]
mod tests;
