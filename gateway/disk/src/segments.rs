//! The segments that are there. A reader pins those that it needs by holding them.

use crate::{
    format::{Extent, FRAME_BYTES, Frame, Kind, frame::Place},
    layer::LayerFile,
    outcome::Broken,
};
use bytes::Bytes;
use parking_lot::RwLock;
use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// One segment.
pub(crate) struct Segment {
    pub(crate) number: u32,
    pub(crate) nonce: u64,
    pub(crate) file: Arc<dyn LayerFile>,
    /// How far it is written.
    bytes: AtomicU32,
}

/// All that may be read, by number.
#[derive(Default)]
pub(crate) struct Segments(RwLock<BTreeMap<u32, Arc<Segment>>>);

impl Segment {
    pub(crate) fn new(number: u32, nonce: u64, file: Arc<dyn LayerFile>, bytes: u32) -> Self {
        Self {
            number,
            nonce,
            file,
            bytes: AtomicU32::new(bytes),
        }
    }

    pub(crate) fn bytes(&self) -> u32 {
        self.bytes.load(Ordering::Acquire)
    }

    pub(crate) fn set_bytes(&self, bytes: u32) {
        self.bytes.store(bytes, Ordering::Release);
    }

    pub(crate) fn place(&self, offset: u32) -> Place {
        Place {
            nonce: self.nonce,
            offset,
        }
    }

    /// Bytes at an offset; fewer than asked: the file ends there.
    pub(crate) fn read(&self, offset: u32, bytes: u32) -> io::Result<Vec<u8>> {
        let mut into = vec![0; bytes as usize];
        let read = self.file.read_at(&mut into, u64::from(offset))?;
        into.truncate(read);
        Ok(into)
    }

    /// A chunk, verified against what its head says of it.
    pub(crate) fn chunk(&self, extent: &Extent) -> Result<Bytes, Broken> {
        let whole = FRAME_BYTES.saturating_add(extent.bytes);
        let read = self
            .read(extent.offset, whole)
            .map_err(|_| Broken::ReadFailed)?;
        let frame = Frame::decode(self.place(extent.offset), &read).map_err(|_| Broken::Damaged)?;
        let expected = Frame {
            kind: Kind::Chunk,
            bytes: extent.bytes,
            part: extent.bytes,
            crc: extent.crc,
        };
        let payload = Bytes::from(read).slice(FRAME_BYTES as usize..);
        if frame != expected || payload.len() != extent.bytes as usize {
            return Err(Broken::Damaged);
        }
        frame.part(&payload).map_err(|_| Broken::Damaged)?;
        Ok(payload)
    }
}

impl Segments {
    pub(crate) fn get(&self, number: u32) -> Option<Arc<Segment>> {
        self.0.read().get(&number).cloned()
    }

    pub(crate) fn insert(&self, segment: Arc<Segment>) {
        self.0.write().insert(segment.number, segment);
    }

    pub(crate) fn remove(&self, number: u32) -> Option<Arc<Segment>> {
        self.0.write().remove(&number)
    }

    pub(crate) fn clear(&self) {
        self.0.write().clear();
    }

    /// All of them, the oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Segment>> {
        self.0.read().values().cloned().collect()
    }

    /// The first whose number is at least that.
    pub(crate) fn from(&self, number: u32) -> Option<Arc<Segment>> {
        let segments = self.0.read();
        segments
            .range(number..)
            .next()
            .map(|(_, segment)| Arc::clone(segment))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.read().len()
    }
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Segment({}, {} bytes)", self.number, self.bytes())
    }
}
