//! Writes the index down, and what else is to be done when there is time.

use super::{
    fault_of,
    log::{Log, Stop},
};
use crate::{
    format::{
        segment::FileName,
        snapshot::{BLOCK_ITEMS, Item, Known, SnapshotHead},
    },
    index::{Entry, SHARDS},
    layer::LayerFile,
    outcome::Fault,
};
use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

/// The index is written down after so many full segments, whatever the time: a start reads no more than these anew.
pub const SEALED_MAX: u32 = 8;
/// So many bytes are written together.
const WRITE_BYTES: usize = 1 << 20;

impl Log {
    /// What is to be done when there is time.
    pub(super) fn tidy(&mut self, is_last: bool) -> Result<(), Stop> {
        self.release();
        let is_time = self.saved.elapsed() >= self.shared.settings.snapshot_period;
        let is_due = is_last || is_time || self.sealed >= SEALED_MAX;
        if self.is_dirty && is_due {
            self.save()?;
        }
        self.tell();
        Ok(())
    }

    /// The bytes of all files.
    pub(super) fn tell(&self) {
        let bytes = self.used() + self.snapshot_bytes;
        self.shared
            .numbers
            .disk_bytes
            .store(bytes, Ordering::Relaxed);
    }

    /// Writes the index down. What it speaks of is on the disk before.
    pub(super) fn save(&mut self) -> Result<(), Stop> {
        self.flush()?;
        let lost = |error: io::Error| Stop::Lost(fault_of(&error));
        if let Some(active) = &self.active {
            active.segment.file.sync().map_err(lost)?;
        }
        self.saved = Instant::now();
        self.sealed = 0;
        self.is_dirty = false;
        match self.write_snapshot() {
            Ok(bytes) => {
                self.snapshot_bytes = bytes;
                self.shared
                    .numbers
                    .snapshots
                    .fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            // The one before holds; what is newer is scanned.
            Err(error) if fault_of(&error) == Fault::DiskFull => {
                self.shared.counters.add(Fault::DiskFull);
                let _ = self.shared.layer.remove(&self.path(FileName::NewSnapshot));
                Ok(())
            }
            Err(error) => Err(lost(error)),
        }
    }

    fn write_snapshot(&self) -> io::Result<u64> {
        let layer = &self.shared.layer;
        let (new, name) = (
            self.path(FileName::NewSnapshot),
            self.path(FileName::Snapshot),
        );
        match layer.remove(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let head = SnapshotHead {
            nonce: layer.nonce(),
            order_max: self.shared.numbers.order_max.load(Ordering::Acquire),
        };
        let mut blocks = Blocks {
            file: layer.create(&new)?,
            buffer: head.encode(),
            written: 0,
            head,
            number: 0,
        };
        let known = |segment: Arc<crate::segments::Segment>| Known {
            number: segment.number,
            bytes: segment.bytes(),
            nonce: segment.nonce,
        };
        let segments: Vec<_> = self.shared.segments.all().into_iter().map(known).collect();
        blocks.put(&segments)?;
        blocks.end::<Known>()?;
        for shard in 0..SHARDS {
            blocks.put(&self.shared.index.shard(shard))?;
        }
        blocks.end::<Entry>()?;
        let bytes = blocks.finish()?;
        layer.rename(&new, &name)?;
        layer.sync_folder(&self.shared.settings.folder)?;
        Ok(bytes)
    }
}

/// A snapshot that is being written.
struct Blocks {
    file: Arc<dyn LayerFile>,
    buffer: Vec<u8>,
    written: u64,
    head: SnapshotHead,
    number: u32,
}

impl Blocks {
    fn put<I: Item>(&mut self, items: &[I]) -> io::Result<()> {
        for block in items.chunks(BLOCK_ITEMS as usize) {
            self.block(block)?;
        }
        Ok(())
    }

    fn end<I: Item>(&mut self) -> io::Result<()> {
        self.block::<I>(&[])
    }

    fn block<I: Item>(&mut self, items: &[I]) -> io::Result<()> {
        self.head.block(self.number, items, &mut self.buffer);
        self.number += 1;
        if self.buffer.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<u64> {
        self.flush()?;
        self.file.sync()?;
        Ok(self.written)
    }
}
