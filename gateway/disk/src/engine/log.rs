//! The end of the log: frames are gathered and written together, and what follows from them happens when they are written.

use super::fault_of;
use crate::{
    fill::Fill,
    format::{
        Extent, FRAME_BYTES, Frame, Kind, SEGMENT_HEAD_BYTES, SegmentHead, segment::FileName,
    },
    index::Entry,
    outcome::{Fault, Refusal},
    segments::Segment,
    shared::Shared,
    ticket::Promise,
};
use std::{
    any::Any,
    io,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

/// So many bytes are written together.
const FLUSH_BYTES: usize = 1 << 20;
/// Names that are tried for a new segment, if others have made files of ours.
const NUMBERS_TRIED: usize = 16;

/// The log, as its thread holds it.
pub(super) struct Log {
    pub(super) shared: Arc<Shared>,
    pub(super) active: Option<Active>,
    pub(super) next_number: u32,
    /// Dropped, and held by readers.
    pub(super) doomed: Vec<Arc<Segment>>,
    pub(super) snapshot_bytes: u64,
    pub(super) saved: Instant,
    /// Segments that were sealed since the index was saved.
    pub(super) sealed: u32,
    /// Something was written, or removed, since.
    pub(super) is_dirty: bool,
    pub(super) _lock: Box<dyn Any + Send + Sync>,
}

/// The segment that is written to.
pub(super) struct Active {
    pub(super) segment: Arc<Segment>,
    buffer: Vec<u8>,
    effects: Vec<Effect>,
}

/// What follows when what was gathered is written.
pub(super) enum Effect {
    Placed(Arc<Fill>, usize, Extent),
    Stored(Arc<Fill>, Entry, Promise<Result<(), Refusal>>),
    Renewed(Entry, Entry, Promise<Result<(), Refusal>>),
    Moved(Entry, Entry),
}

/// Why something can't go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// This object is not stored.
    Refused(Refusal),
    /// The folder can't be used any more.
    Lost(Fault),
}

impl Active {
    /// Where the next frame begins.
    pub(super) fn end(&self) -> u64 {
        u64::from(self.segment.bytes()) + self.buffer.len() as u64
    }
}

impl Log {
    pub(super) fn path(&self, name: FileName) -> PathBuf {
        self.shared.settings.folder.join(name.name())
    }

    /// Sees to it that a frame of so many bytes fits into the active segment.
    pub(super) fn reserve(&mut self, payload: u64) -> Result<(), Stop> {
        if self.fits(payload) {
            return Ok(());
        }
        self.seal()?;
        self.make_room()?;
        self.create()?;
        self.make_spare_room()?;
        // Hot objects may have been written again meanwhile, a quarter of a segment at most.
        if self.fits(payload) {
            Ok(())
        } else {
            Err(Stop::Refused(Refusal::NoRoom))
        }
    }

    /// Whether a frame of so many bytes fits into the active segment as it is.
    pub(super) fn fits(&self, payload: u64) -> bool {
        let segment_bytes = u64::from(self.shared.settings.layout.segment_bytes);
        self.active
            .as_ref()
            .is_some_and(|active| active.end() + u64::from(FRAME_BYTES) + payload <= segment_bytes)
    }

    /// Gathers a frame, for which there is room. `more` stands behind the part that the frame vouches for.
    pub(super) fn put<'a>(
        &mut self,
        kind: Kind,
        part: impl Iterator<Item = &'a [u8]> + Clone,
        more: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<Extent, Stop> {
        let full = self
            .active
            .as_ref()
            .is_some_and(|active| active.buffer.len() >= FLUSH_BYTES);
        if full {
            self.flush()?;
        }
        let Some(active) = &mut self.active else {
            return Err(Stop::Refused(Refusal::DiskFull));
        };
        let part_bytes: usize = part.clone().map(<[u8]>::len).sum();
        let more_bytes: usize = more.clone().map(<[u8]>::len).sum();
        let frame = Frame {
            kind,
            bytes: (part_bytes + more_bytes) as u32,
            part: part_bytes as u32,
            crc: part.clone().fold(0, crc32c::crc32c_append),
        };
        let offset = active.end() as u32;
        frame.encode(active.segment.place(offset), &mut active.buffer);
        for bytes in part.chain(more) {
            active.buffer.extend_from_slice(bytes);
        }
        self.is_dirty = true;
        Ok(Extent {
            segment: active.segment.number,
            offset,
            bytes: frame.bytes,
            crc: frame.crc,
        })
    }

    /// How many effects wait for what was put to be written.
    pub(super) fn effects(&self) -> u64 {
        let effects = self.active.as_ref().map(|active| active.effects.len());
        effects.unwrap_or_default() as u64
    }

    /// What follows when what was put last is written.
    pub(super) fn then(&mut self, effect: Effect) {
        if let Some(active) = &mut self.active {
            active.effects.push(effect);
        }
    }

    /// Writes what was gathered. If the disk is full, that is not stored, and the segment is left as it was.
    pub(super) fn flush(&mut self) -> Result<(), Stop> {
        let Some(active) = &mut self.active else {
            return Ok(());
        };
        if active.buffer.is_empty() {
            return Ok(());
        }
        let written = active.segment.bytes();
        let outcome = active
            .segment
            .file
            .write_at(&active.buffer, u64::from(written));
        let effects = std::mem::take(&mut active.effects);
        let bytes = active.buffer.len();
        active.buffer.clear();
        match outcome {
            Ok(()) => {
                active.segment.set_bytes(written + bytes as u32);
                let segment = Arc::clone(&active.segment);
                let sum = &self.shared.numbers.written_bytes;
                sum.fetch_add(bytes as u64, Ordering::Relaxed);
                for effect in effects {
                    self.happen(effect, &segment);
                }
                Ok(())
            }
            Err(error) => self.fail(&error, effects),
        }
    }

    fn fail(&mut self, error: &io::Error, effects: Vec<Effect>) -> Result<(), Stop> {
        let fault = fault_of(error);
        let refusal = match fault {
            Fault::DiskFull => Refusal::DiskFull,
            _ => Refusal::WriteFailed,
        };
        for effect in effects {
            self.undo(effect, refusal);
        }
        let Some(active) = self.active.take() else {
            return Ok(());
        };
        if fault != Fault::DiskFull {
            return Err(Stop::Lost(fault));
        }
        self.shared.counters.add(fault);
        let segment = active.segment;
        if segment.bytes() < SEGMENT_HEAD_BYTES {
            self.shared.segments.remove(segment.number);
            let name = FileName::Segment(segment.number);
            // If it can't be deleted now, the next start does.
            let _ = self.shared.layer.remove(&self.path(name));
        } else {
            // What was half written is behind the end, and damaged for whoever looks there.
            let _ = segment.file.truncate(u64::from(segment.bytes()));
        }
        // Somebody else filled the disk, or it is smaller than the tier: give some of it back.
        self.drop_oldest()?;
        Ok(())
    }

    /// No more goes into the active segment.
    pub(super) fn seal(&mut self) -> Result<(), Stop> {
        self.flush()?;
        if let Some(active) = self.active.take() {
            self.sealed += 1;
            active
                .segment
                .file
                .sync()
                .map_err(|error| Stop::Lost(fault_of(&error)))?;
        }
        Ok(())
    }

    fn create(&mut self) -> Result<(), Stop> {
        for _ in 0..NUMBERS_TRIED {
            let number = self.next_number;
            self.next_number = number.saturating_add(1);
            let created = self
                .shared
                .layer
                .create(&self.path(FileName::Segment(number)));
            match created {
                Ok(file) => return self.begin(number, file),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return self.full_or_lost(&error),
            }
        }
        Err(Stop::Lost(Fault::WriteFailed))
    }

    fn begin(&mut self, number: u32, file: Arc<dyn crate::layer::LayerFile>) -> Result<(), Stop> {
        let nonce = self.shared.layer.nonce();
        let segment = Arc::new(Segment::new(number, nonce, file, 0));
        self.shared.segments.insert(Arc::clone(&segment));
        self.active = Some(Active {
            segment,
            buffer: SegmentHead { number, nonce }.encode(),
            effects: Vec::new(),
        });
        self.shared
            .layer
            .sync_folder(&self.shared.settings.folder)
            .map_err(|error| Stop::Lost(fault_of(&error)))
    }

    pub(super) fn full_or_lost(&mut self, error: &io::Error) -> Result<(), Stop> {
        match fault_of(error) {
            Fault::DiskFull => {
                self.shared.counters.add(Fault::DiskFull);
                self.drop_oldest()?;
                Err(Stop::Refused(Refusal::DiskFull))
            }
            fault => Err(Stop::Lost(fault)),
        }
    }

    fn happen(&self, effect: Effect, segment: &Arc<Segment>) {
        let Shared {
            index,
            numbers,
            counters,
            fills,
            ..
        } = &*self.shared;
        match effect {
            Effect::Placed(fill, number, extent) => fill.place(number, segment, extent),
            Effect::Stored(fill, entry, promise) => {
                let is_in = index.insert(entry);
                // Only now: in between, look-ups would find neither.
                fills.end(&fill);
                if is_in {
                    numbers.stored.fetch_add(1, Ordering::Relaxed);
                    numbers.order_max.fetch_max(entry.order, Ordering::AcqRel);
                    promise.keep(Ok(()));
                } else {
                    counters.add(Refusal::Older);
                    promise.keep(Err(Refusal::Older));
                }
            }
            Effect::Renewed(old, new, promise) => {
                if index.replace(&old, new) {
                    numbers.order_max.fetch_max(new.order, Ordering::AcqRel);
                    promise.keep(Ok(()));
                } else {
                    // What was written must not come back with the next start.
                    self.shared.write_removal(&new);
                    counters.add(Refusal::Gone);
                    promise.keep(Err(Refusal::Gone));
                }
            }
            Effect::Moved(old, new) => _ = index.replace(&old, new),
        }
    }

    fn undo(&self, effect: Effect, refusal: Refusal) {
        match effect {
            Effect::Placed(fill, ..) => fill.give_up(&self.shared, refusal),
            Effect::Stored(fill, _, promise) => {
                fill.give_up(&self.shared, refusal);
                promise.keep(Err(refusal));
            }
            Effect::Renewed(.., promise) => {
                self.shared.counters.add(refusal);
                promise.keep(Err(refusal));
            }
            Effect::Moved(..) => {}
        }
    }

    /// What was put and is not written never will be.
    pub(super) fn abandon(&mut self) {
        let effects = self.active.take().map(|active| active.effects);
        for effect in effects.unwrap_or_default() {
            self.undo(effect, Refusal::WriteFailed);
        }
    }
}
