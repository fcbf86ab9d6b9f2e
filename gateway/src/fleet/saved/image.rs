//! What the two files hold: `marks.snapshot`, a digest over all marks at one moment and the marks, and `marks.journal`, the
//! [records](super::record) of what came after it. Pure: an edge keeps them in a folder, the simulation on a disk of its own.

use super::record::{self, Chain, Record};
use latencify_cache::marks::MarksSnapshot;
use latencify_conf::digest::Digest;
use std::io;

/// All marks at one moment.
pub const SNAPSHOT: &str = "marks.snapshot";
/// What was obeyed after it.
pub const JOURNAL: &str = "marks.journal";
/// A journal is not let grow beyond this, and beyond the snapshot that would take its place.
pub const JOURNAL_BYTES_MAX: u64 = 4 << 20;

/// Where the two files are kept.
pub trait Disk {
    /// Puts these bytes in the place of a file: whoever reads finds the former ones or these, whole, whenever the machine stops.
    fn replace(&mut self, file: &'static str, bytes: &[u8]) -> io::Result<()>;
    /// Appends to a file that [`replace`](Self::replace) wrote in this run; the bytes are on disk when this returns.
    fn append(&mut self, file: &'static str, bytes: &[u8]) -> io::Result<()>;
}

/// What an earlier run saved.
#[derive(Debug)]
pub struct Loaded {
    /// All marks at one moment.
    pub snapshot: MarksSnapshot,
    /// What was obeyed after it.
    pub records: Vec<Record>,
    /// Whether a last record was left out that was not whole: the machine or the process stopped while it was written.
    pub is_torn: bool,
}

/// Files that are not what was written. Nothing of them is believed.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {why}")]
pub struct Unfit {
    /// Which file.
    pub file: String,
    /// What is wrong with it.
    pub why: String,
}

/// A journal that can be written on.
#[derive(Debug)]
pub struct Journal {
    chain: Chain,
    bytes: u64,
    bytes_max: u64,
}

/// Reads what an earlier run saved, by the bytes of the files that there are; none: nothing.
pub fn read(snapshot: Option<&[u8]>, journal: Option<&[u8]>) -> Result<Option<Loaded>, Unfit> {
    let unfit = |file: &str| {
        let file = file.to_owned();
        move |why: String| Unfit { file, why }
    };
    let Some(snapshot) = snapshot else {
        return Ok(None);
    };
    let (digest, snapshot) = read_snapshot(snapshot).map_err(unfit(SNAPSHOT))?;
    // None: the process ended after the first snapshot, before its journal.
    let journal = journal.map(record::read).transpose();
    let journal = journal.map_err(unfit(JOURNAL))?;
    // Another: the process ended between a newer snapshot, which has all of the journal, and its own.
    let follows = journal.filter(|journal| journal.snapshot == digest);
    let (records, is_torn) =
        follows.map_or((Vec::new(), false), |read| (read.records, read.is_torn));
    Ok(Some(Loaded {
        snapshot,
        records,
        is_torn,
    }))
}

/// Writes all marks at once; the journal that follows them is new.
pub fn write_snapshot(disk: &mut impl Disk, snapshot: &MarksSnapshot) -> io::Result<Journal> {
    let bytes = snapshot.encode()?;
    let digest = digest_of(&bytes);
    let mut whole = format!("{digest}\n").into_bytes();
    whole.extend_from_slice(&bytes);
    disk.replace(SNAPSHOT, &whole)?;
    let (chain, head) = Chain::begin(digest)?;
    disk.replace(JOURNAL, &head)?;
    Ok(Journal {
        chain,
        bytes: head.len() as u64,
        bytes_max: JOURNAL_BYTES_MAX.max(whole.len() as u64),
    })
}

impl Journal {
    /// Appends a record, and returns when it is on disk. After an error the journal must not be written on.
    pub fn append(&mut self, disk: &mut impl Disk, record: &Record) -> io::Result<()> {
        let line = self.chain.record(record)?;
        disk.append(JOURNAL, &line)?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// Whether a snapshot should take its place.
    pub fn is_long(&self) -> bool {
        self.bytes > self.bytes_max
    }
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
