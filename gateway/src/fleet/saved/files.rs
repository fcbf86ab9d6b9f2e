//! The two files: read at the start, written by the saver.

use super::record::{self, Chain, Record};
use crate::fleet::state::StateFolder;
use latencify_cache::marks::{MarksSnapshot, SNAPSHOT_BYTES_MAX};
use latencify_conf::digest::Digest;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

const SNAPSHOT: &str = "marks.snapshot";
const JOURNAL: &str = "marks.journal";
/// A journal is not let grow beyond this, and beyond the snapshot that would take its place.
pub const JOURNAL_BYTES_MAX: u64 = 4 << 20;
/// The most bytes of a journal that are read back: what it may have, and one record more.
const READ_BYTES_MAX: u64 = JOURNAL_BYTES_MAX + SNAPSHOT_BYTES_MAX as u64 + (16 << 20);

/// What an earlier run saved.
#[derive(Debug)]
pub struct Loaded {
    /// All marks at one moment.
    pub snapshot: MarksSnapshot,
    /// What was obeyed after it.
    pub records: Vec<Record>,
}

/// Files that are not what was written. Nothing of them is believed.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {why}")]
pub struct Unfit {
    file: String,
    why: String,
}

/// A journal that can be written on.
pub struct Journal {
    file: File,
    chain: Chain,
    bytes: u64,
    bytes_max: u64,
}

/// Reads what an earlier run saved; none: nothing.
pub fn load(folder: &StateFolder) -> Result<Option<Loaded>, Unfit> {
    let unfit = |file: &str, why: String| Unfit {
        file: folder.path().join(file).display().to_string(),
        why,
    };
    let snapshot = read(
        &folder.path().join(SNAPSHOT),
        SNAPSHOT_BYTES_MAX as u64 + 128,
    )
    .map_err(|error| unfit(SNAPSHOT, error.to_string()))?;
    let Some(snapshot) = snapshot else {
        return Ok(None);
    };
    let (digest, snapshot) = read_snapshot(&snapshot).map_err(|why| unfit(SNAPSHOT, why))?;
    let journal = read(&folder.path().join(JOURNAL), READ_BYTES_MAX)
        .map_err(|error| unfit(JOURNAL, error.to_string()))?;
    let records = match journal {
        // The process ended after the first snapshot, before its journal.
        None => Vec::new(),
        Some(bytes) => {
            let journal = record::read(&bytes).map_err(|why| unfit(JOURNAL, why))?;
            if journal.is_torn {
                tracing::info!(
                    "the last record of {JOURNAL} was torn when the machine or the process stopped; it is left out"
                );
            }
            // The process ended between a newer snapshot, which has all of this, and its journal.
            let follows = journal.snapshot == digest;
            journal.records.into_iter().filter(|_| follows).collect()
        }
    };
    Ok(Some(Loaded { snapshot, records }))
}

/// Writes all marks at once; the journal that follows them is new.
pub fn write_snapshot(folder: &StateFolder, snapshot: &MarksSnapshot) -> io::Result<Journal> {
    let bytes = snapshot.encode()?;
    let digest = digest_of(&bytes);
    let mut whole = format!("{digest}\n").into_bytes();
    whole.extend_from_slice(&bytes);
    folder.replace(SNAPSHOT, &whole)?;
    let (chain, head) = Chain::begin(digest)?;
    folder.replace(JOURNAL, &head)?;
    let file = OpenOptions::new()
        .append(true)
        .mode(0o600)
        .open(folder.path().join(JOURNAL))?;
    Ok(Journal {
        file,
        chain,
        bytes: head.len() as u64,
        bytes_max: JOURNAL_BYTES_MAX.max(whole.len() as u64),
    })
}

impl Journal {
    /// Appends a record, and returns when it is on disk. After an error the journal must not be written on.
    pub fn append(&mut self, record: &Record) -> io::Result<()> {
        let line = self.chain.record(record)?;
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// Whether a snapshot should take its place.
    pub fn is_long(&self) -> bool {
        self.bytes > self.bytes_max
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

fn read_snapshot(bytes: &[u8]) -> Result<(Digest, MarksSnapshot), String> {
    let at = bytes.iter().position(|byte| *byte == b'\n');
    let (said, rest) = at
        .and_then(|at| bytes.split_at_checked(at))
        .ok_or("it is cut off")?;
    let rest = rest.get(1..).unwrap_or_default();
    let digest = digest_of(rest);
    if said != digest.to_string().as_bytes() {
        return Err("its digest is wrong".into());
    }
    let snapshot = MarksSnapshot::decode(rest).map_err(|error| error.to_string())?;
    Ok((digest, snapshot))
}

fn digest_of(bytes: &[u8]) -> Digest {
    Digest::of_parts([bytes])
}
