//! The two files in the folder of an edge: read at the start, written by the saver.

use super::image::{self, Disk, JOURNAL, JOURNAL_BYTES_MAX, Loaded, SNAPSHOT, Unfit};
use crate::fleet::state::StateFolder;
use latencify_cache::marks::SNAPSHOT_BYTES_MAX;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// The most bytes of a journal that are read back: what it may have, and one record more.
const READ_BYTES_MAX: u64 = JOURNAL_BYTES_MAX + SNAPSHOT_BYTES_MAX as u64 + (16 << 20);

/// A folder, and the file in it that is appended to.
pub struct Files {
    folder: StateFolder,
    open: Option<(&'static str, File)>,
}

/// Reads what an earlier run saved; none: nothing.
pub fn load(folder: &StateFolder) -> Result<Option<Loaded>, Unfit> {
    let place = |file: &str| folder.path().join(file);
    let named = |file: &str, why: String| Unfit {
        file: place(file).display().to_string(),
        why,
    };
    let bytes = |file: &str, bytes_max| {
        read(&place(file), bytes_max).map_err(|error| named(file, error.to_string()))
    };
    let snapshot = bytes(SNAPSHOT, SNAPSHOT_BYTES_MAX as u64 + 128)?;
    let journal = match snapshot {
        None => None,
        Some(_) => bytes(JOURNAL, READ_BYTES_MAX)?,
    };
    let loaded = image::read(snapshot.as_deref(), journal.as_deref())
        .map_err(|unfit| named(&unfit.file, unfit.why))?;
    if loaded.as_ref().is_some_and(|loaded| loaded.is_torn) {
        tracing::info!(
            "the last record of {JOURNAL} was torn when the machine or the process stopped; it is left out"
        );
    }
    Ok(loaded)
}

impl Files {
    /// The files of this folder.
    pub fn new(folder: StateFolder) -> Self {
        Self { folder, open: None }
    }

    /// Where they are.
    pub fn folder(&self) -> &StateFolder {
        &self.folder
    }
}

impl Disk for Files {
    fn replace(&mut self, file: &'static str, bytes: &[u8]) -> io::Result<()> {
        // What is open is the file that had the place before.
        self.open = None;
        self.folder.replace(file, bytes)
    }

    fn append(&mut self, file: &'static str, bytes: &[u8]) -> io::Result<()> {
        let is_open = (self.open.as_ref()).is_some_and(|(name, _)| *name == file);
        if !is_open {
            let opened = OpenOptions::new()
                .append(true)
                .mode(0o600)
                .open(self.folder.path().join(file))?;
            self.open = Some((file, opened));
        }
        let Some((_, open)) = &mut self.open else {
            return Ok(());
        };
        open.write_all(bytes)?;
        open.sync_data()
    }
}

fn read(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::other(format!("larger than {bytes_max} bytes")));
    }
    Ok(Some(bytes))
}
