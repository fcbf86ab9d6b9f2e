//! The data folder: the change log and the store hold policies with their keys, so they are the service's own.

use crate::{log, store};
use anyhow::{Context as _, bail};
use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

/// A folder, and a file in it, of nobody but the owner.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// What group and others may do.
const OTHERS: u32 = 0o077;

/// Opens the folder, or makes it, and holds it for one replica: two writers would each believe their own order.
pub fn open(folder: &Path, log_is_here: bool) -> anyhow::Result<fs::File> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .with_context(|| {
            format!(
                "--data {} can't be made: name a folder in which this user may write",
                folder.display()
            )
        })?;
    let lock = hold(folder)?;
    // Left by a run that was killed while it tried whether there is room.
    let _ = fs::remove_file(folder.join(store::sqlite::ROOM_FILE));
    // SQLite takes an empty file for a new database, and gives the files beside it the same mode.
    private(&folder.join(store::FILE))?;
    if log_is_here {
        private(&folder.join(log::sqlite::FILE))?;
    }
    Ok(lock)
}

/// Holds a folder that is there for one replica, or for one move of its log.
pub fn hold(folder: &Path) -> anyhow::Result<fs::File> {
    let lock = private(&folder.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            bail!(
                "--data {} is in use by another latencify-control: stop that one first",
                folder.display()
            )
        }
        Err(fs::TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("locking {}", folder.display()));
        }
    }
    Ok(lock)
}

/// What is to be said at start of a folder that others can look into.
pub fn exposed(folder: &Path) -> Option<String> {
    let mode = fs::metadata(folder).ok()?.permissions().mode();
    (mode & OTHERS != 0).then(|| {
        format!(
            "others on this machine can look into --data {} (mode {:03o}), and policies with their keys are in it: chmod -R \
             go= {}",
            folder.display(),
            mode & 0o777,
            folder.display()
        )
    })
}

/// A file that is there afterwards; if it is made now, nobody else can read it.
pub(crate) fn private(file: &Path) -> anyhow::Result<fs::File> {
    fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(file)
        .with_context(|| format!("{}", file.display()))
}
