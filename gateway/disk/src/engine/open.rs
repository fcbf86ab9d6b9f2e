//! Opens the folder: takes its lock, reads the snapshot of the index, and scans what is newer.

use super::{fault_of, log::Log};
use crate::{
    format::{
        FORMAT_VERSION, SEGMENT_HEAD_BYTES, SegmentHead, Unreadable,
        segment::FileName,
        snapshot::{HEAD_BYTES, Item, Known, SnapshotHead},
    },
    hash::KeyHash,
    index::Entry,
    layer::LayerFile,
    outcome::Fault,
    scan::{Frames, Met},
    segments::Segment,
    shared::Shared,
};
use std::{
    collections::HashMap,
    io,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

/// What a snapshot is read with.
const READ_BYTES: usize = 1 << 20;

/// Opens the folder; the fault says why it can't be.
pub(super) fn open(shared: &Arc<Shared>) -> Result<Log, Fault> {
    let folder = &shared.settings.folder;
    let layer = &shared.layer;
    let lock = layer
        .lock(&folder.join(FileName::Lock.name()))
        .map_err(|error| fault_of(&error))?;
    shared
        .judge
        .opened(folder)
        .map_err(|error| fault_of(&error))?;
    let names = layer.list(folder).map_err(|error| fault_of(&error))?;
    let mut numbers = Vec::new();
    let mut has_snapshot = false;
    for name in names {
        match FileName::read(&name) {
            FileName::Lock | FileName::Owners => {}
            FileName::Snapshot => has_snapshot = true,
            FileName::Segment(number) => numbers.push(number),
            FileName::Doomed(_) | FileName::NewSnapshot => remove(shared, &name)?,
            FileName::Foreign => shared.counters.add(Fault::ForeignFile),
        }
    }
    numbers.sort_unstable();
    let next_number = numbers.last().map_or(0, |last| last.saturating_add(1));
    for number in numbers {
        open_segment(shared, number)?;
    }
    let mut log = Log {
        shared: Arc::clone(shared),
        active: None,
        next_number,
        doomed: Vec::new(),
        snapshot_bytes: 0,
        saved: Instant::now(),
        sealed: 0,
        is_dirty: false,
        _lock: lock,
    };
    let known = if has_snapshot {
        load(&mut log)?
    } else {
        HashMap::new()
    };
    for segment in shared.segments.all() {
        scan(shared, &segment, known.get(&segment.number).copied())?;
    }
    shrink(&mut log)?;
    let order_max = shared.numbers.order_max.load(Ordering::Acquire);
    shared.numbers.base.fetch_max(order_max, Ordering::AcqRel);
    log.tell();
    Ok(log)
}

fn remove(shared: &Shared, name: &str) -> Result<(), Fault> {
    match shared.layer.remove(&shared.settings.folder.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fault_of(&error)),
        _ => Ok(()),
    }
}

/// A segment that can't be read is deleted: otherwise nobody would count its bytes.
fn open_segment(shared: &Shared, number: u32) -> Result<(), Fault> {
    let name = FileName::Segment(number).name();
    let path = shared.settings.folder.join(&name);
    let read = || {
        let file = shared.layer.open(&path)?;
        let mut head = [0; SEGMENT_HEAD_BYTES as usize];
        let read = file.read_at(&mut head, 0)?;
        let bytes = file.bytes()?;
        Ok::<_, io::Error>((
            file,
            SegmentHead::decode(head.get(..read).unwrap_or_default()),
            bytes,
        ))
    };
    let Ok((file, head, bytes)) = read() else {
        shared.counters.add(Fault::ReadFailed);
        return remove(shared, &name);
    };
    match head {
        Ok(head) if head.number == number => {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            let segment = Segment::new(number, head.nonce, file, bytes);
            shared.segments.insert(Arc::new(segment));
            Ok(())
        }
        Err(Unreadable::OtherVersion) => {
            shared.counters.add(Fault::OtherVersion);
            remove(shared, &name)
        }
        Ok(_) | Err(Unreadable::Damaged) => {
            shared.counters.add(Fault::DamagedSegment);
            remove(shared, &name)
        }
    }
}

/// Reads the snapshot into the index; how far it knows each segment. One that can't be read is as none.
fn load(log: &mut Log) -> Result<HashMap<u32, u32>, Fault> {
    let shared = Arc::clone(&log.shared);
    let path = log.path(FileName::Snapshot);
    let Ok(file) = shared.layer.open(&path) else {
        shared.counters.add(Fault::DamagedSnapshot);
        return Ok(HashMap::new());
    };
    match read_snapshot(&shared, &*file) {
        Ok(known) => {
            log.snapshot_bytes = file.bytes().unwrap_or_default();
            Ok(known)
        }
        Err(unreadable) => {
            shared.index.clear();
            shared.counters.add(match unreadable {
                Unreadable::Damaged => Fault::DamagedSnapshot,
                Unreadable::OtherVersion => Fault::OtherVersion,
            });
            remove(&shared, &FileName::Snapshot.name())?;
            Ok(HashMap::new())
        }
    }
}

fn read_snapshot(shared: &Shared, file: &dyn LayerFile) -> Result<HashMap<u32, u32>, Unreadable> {
    let mut bytes = Bytes::new(file);
    let head = bytes.next(HEAD_BYTES as usize).ok_or(Unreadable::Damaged)?;
    let head = SnapshotHead::decode(&head)?;
    let mut number = 0;
    let mut known = HashMap::new();
    while let Some(segments) = block::<Known>(&head, &mut number, &mut bytes)? {
        for segment in segments {
            let there = shared.segments.get(segment.number);
            let there = there.filter(|there| there.nonce == segment.nonce);
            let bytes = there.as_ref().map_or(0, |there| there.bytes());
            if bytes < segment.bytes {
                shared.counters.add(Fault::LostSegment);
            }
            if there.is_some() {
                // What is left of it is not scanned anew: that would bring back what was removed.
                known.insert(segment.number, bytes.min(segment.bytes));
            }
        }
    }
    while let Some(entries) = block::<Entry>(&head, &mut number, &mut bytes)? {
        for entry in entries {
            let is_there = |number: u32, end: u64| {
                known
                    .get(&number)
                    .is_some_and(|&bytes| u64::from(bytes) >= end)
            };
            let end = u64::from(entry.offset) + u64::from(entry.bytes);
            if is_there(entry.segment, end) && is_there(entry.oldest(), 0) {
                shared.index.insert(entry);
            }
        }
    }
    shared
        .numbers
        .order_max
        .fetch_max(head.order_max, Ordering::AcqRel);
    Ok(known)
}

fn block<I: Item>(
    head: &SnapshotHead,
    number: &mut u32,
    bytes: &mut Bytes<'_>,
) -> Result<Option<Vec<I>>, Unreadable> {
    let items = head
        .read_block(*number, |wanted| bytes.next(wanted))
        .ok_or(Unreadable::Damaged)?;
    *number += 1;
    Ok(Some(items).filter(|items| !items.is_empty()))
}

/// Puts what is newer than the snapshot into the index, in the order in which it was written.
fn scan(shared: &Shared, segment: &Segment, known: Option<u32>) -> Result<(), Fault> {
    let mut frames = Frames::new(segment, known.unwrap_or(0), segment.bytes());
    loop {
        let met = match frames.next() {
            Ok(Some(met)) => met,
            Ok(None) => return Ok(()),
            Err(_) => {
                // What was read of it stays.
                shared.counters.add(Fault::ReadFailed);
                return Ok(());
            }
        };
        match met {
            Met::Head {
                offset,
                bytes,
                head,
            } => {
                let oldest = head.oldest(segment.number);
                let Ok(span) = u16::try_from(segment.number - oldest) else {
                    continue;
                };
                let order = head.order();
                shared.numbers.order_max.fetch_max(order, Ordering::AcqRel);
                let hash = KeyHash::of(head.head.key.as_ref());
                let has_all = head
                    .extents
                    .iter()
                    .all(|extent| shared.segments.get(extent.segment).is_some());
                if !has_all {
                    // A part of it is lost. What it took the place of stays out of the index, too.
                    shared.index.remove_up_to(hash, order);
                    continue;
                }
                let entry = Entry {
                    hash,
                    order,
                    segment: segment.number,
                    offset,
                    bytes,
                    span,
                    hits: 0,
                    is_proven: false,
                };
                put_scanned(shared, entry);
            }
            Met::Removal(removal) => {
                shared.index.remove_up_to(removal.hash, removal.order);
            }
            Met::Damaged => shared.counters.add(Fault::DamagedRecord),
            Met::Chunk => {}
        }
    }
}

/// What was written again has the order that it had: the copy is where it is now.
fn put_scanned(shared: &Shared, entry: Entry) {
    match shared.index.get(entry.hash) {
        Some(old) if old.order == entry.order => _ = shared.index.replace(&old, entry),
        _ => _ = shared.index.insert(entry),
    }
}

/// Drops what there is no room for: the tier may have become smaller.
fn shrink(log: &mut Log) -> Result<(), Fault> {
    use super::log::Stop;
    let settings = log.shared.settings.clone();
    loop {
        let fits = log.used() <= settings.segment_room()
            && log.shared.segments.len() as u64 <= settings.segments_max()
            && log.shared.index.len() <= settings.objects_max;
        if fits {
            return Ok(());
        }
        match log.drop_oldest() {
            Ok(true) => log.release(),
            Ok(false) | Err(Stop::Refused(_)) => return Ok(()),
            Err(Stop::Lost(fault)) => return Err(fault),
        }
    }
}

/// Reads a file from its beginning, some at a time.
struct Bytes<'a> {
    file: &'a dyn LayerFile,
    offset: u64,
    read: Vec<u8>,
    at: usize,
}

impl<'a> Bytes<'a> {
    fn new(file: &'a dyn LayerFile) -> Self {
        Self {
            file,
            offset: 0,
            read: Vec::new(),
            at: 0,
        }
    }

    /// Exactly so many; none: the file ends before, or can't be read.
    fn next(&mut self, bytes: usize) -> Option<Vec<u8>> {
        if self.read.len() - self.at < bytes {
            self.read.drain(..self.at);
            self.at = 0;
            let more = bytes.max(READ_BYTES);
            let kept = self.read.len();
            self.read.resize(kept + more, 0);
            let read = self
                .file
                .read_at(self.read.get_mut(kept..)?, self.offset)
                .ok()?;
            self.read.truncate(kept + read);
            self.offset += read as u64;
        }
        let taken = self.read.get(self.at..self.at + bytes)?.to_vec();
        self.at += bytes;
        Some(taken)
    }
}

const _: () = assert!(FORMAT_VERSION == 1, "readers of older versions belong here");
