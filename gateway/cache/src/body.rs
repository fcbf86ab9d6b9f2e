//! A complete body that readers share, and a reader that can seek.
//!
//! Bytes stay charged as long as anybody holds them: a piece that was read keeps its chunk, and the chunk its charge.

use crate::{budget::Charge, linger::Stay, stream::Broken};
use bytes::Bytes;
use parking_lot::RwLock;
use std::{
    ops::Range,
    sync::{Arc, OnceLock},
    time::Instant,
};
use tokio::sync::Notify;

/// A larger body is kept in chunks, and can be withdrawn from its readers.
pub const WHOLE_BYTES_MAX: u64 = 16 * 1024;
/// What a chunk costs beside its bytes.
pub(crate) const CHUNK_OVERHEAD_BYTES: u64 = 128;

/// A complete body.
#[derive(Debug)]
pub struct Body {
    bytes: Stored,
    /// For the record, and for bytes that no chunk is charged for.
    charge: Charge,
}

#[derive(Debug)]
enum Stored {
    /// In one piece: small, so that whoever reads it may have all of it in hand.
    Whole(Box<[u8]>),
    Chunked(Box<Chunked>),
}

#[derive(Debug)]
struct Chunked {
    length: u64,
    charged: u64,
    /// With where each ends. None: they are withdrawn.
    chunks: RwLock<Option<Chunks>>,
    /// It has left the index.
    stay: OnceLock<Stay>,
    withdrawn: Notify,
}

type Chunks = Box<[(u64, Arc<Chunk>)]>;

/// Some bytes of a body, and their charge once the body is complete.
#[derive(Debug)]
pub(crate) struct Chunk {
    bytes: Box<[u8]>,
    charge: OnceLock<Charge>,
}

/// Reads a complete body from some offset to some end.
#[derive(Debug)]
pub struct BodyReader {
    body: Arc<Body>,
    at: u64,
    end: u64,
}

/// The offset lies behind the end of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("offset {start} lies behind the end of a body of {length} bytes")]
pub struct OutOfRange {
    /// The offset.
    pub start: u64,
    /// The length of the body.
    pub length: u64,
}

/// Keeps a body of one piece.
struct WholePiece(Arc<Body>);

/// Keeps a chunk.
struct ChunkPiece(Arc<Chunk>);

impl Body {
    /// A body in one piece, and what is charged for it and its record.
    pub(crate) fn whole(bytes: Box<[u8]>, charge: Charge) -> Self {
        Self {
            bytes: Stored::Whole(bytes),
            charge,
        }
    }

    /// A body in chunks. From the charge for it and its record, each chunk takes its own.
    pub(crate) fn chunked(chunks: Vec<Arc<Chunk>>, charge: Charge) -> Self {
        let mut length = 0;
        let mut charged = 0;
        let chunks: Chunks = chunks
            .into_iter()
            .map(|chunk| {
                let bytes = chunk.bytes.len() as u64;
                // Nobody has charged it before: chunks are charged here alone.
                let _ = chunk.charge.set(charge.split(bytes + CHUNK_OVERHEAD_BYTES));
                charged += chunk.charge.get().map_or(0, Charge::bytes);
                length += bytes;
                (length, chunk)
            })
            .collect();
        let chunked = Chunked {
            length,
            charged,
            chunks: RwLock::new(Some(chunks)),
            stay: OnceLock::new(),
            withdrawn: Notify::new(),
        };
        Self {
            bytes: Stored::Chunked(Box::new(chunked)),
            charge,
        }
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match &self.bytes {
            Stored::Whole(bytes) => bytes.len() as u64,
            Stored::Chunked(chunked) => chunked.length,
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes charged for it and its record.
    pub fn charged(&self) -> u64 {
        let chunks = match &self.bytes {
            Stored::Whole(_) => 0,
            Stored::Chunked(chunked) => chunked.charged,
        };
        self.charge.bytes() + chunks
    }

    /// What is charged for its record.
    pub(crate) fn record_charge(&self) -> &Charge {
        &self.charge
    }

    /// The rest of the chunk that holds the byte at `at`, cut at `end`; none at the end of the body.
    pub(crate) fn slice(self: &Arc<Self>, at: u64, end: u64) -> Result<Option<Bytes>, Broken> {
        if at >= end {
            return Ok(None);
        }
        match &self.bytes {
            Stored::Whole(bytes) => {
                let (start, stop) = (at as usize, end.min(bytes.len() as u64) as usize);
                let piece = || Bytes::from_owner(WholePiece(Arc::clone(self))).slice(start..stop);
                Ok((start < stop).then(piece))
            }
            Stored::Chunked(chunked) => chunked.slice(at, end),
        }
    }

    /// Whether its readers can lose it.
    pub(crate) fn is_withdrawable(&self) -> bool {
        matches!(self.bytes, Stored::Chunked(_))
    }

    /// It has left the index.
    pub(crate) fn linger(&self, stay: Stay) {
        if let Stored::Chunked(chunked) = &self.bytes {
            // It leaves once; a second stay would end here and count for nothing.
            let _ = chunked.stay.set(stay);
        }
    }

    /// Whether it lingers, and its readers take less than they must.
    pub(crate) fn is_slow(&self, now: Instant) -> bool {
        match &self.bytes {
            Stored::Whole(_) => false,
            Stored::Chunked(chunked) => chunked.stay.get().is_some_and(|stay| stay.is_slow(now)),
        }
    }

    /// Takes from its readers what they have not read.
    pub(crate) fn withdraw(&self) {
        if let Stored::Chunked(chunked) = &self.bytes {
            drop(chunked.chunks.write().take());
            if let Some(stay) = chunked.stay.get() {
                stay.end();
            }
            chunked.withdrawn.notify_waiters();
        }
    }
}

impl Chunked {
    fn slice(&self, at: u64, end: u64) -> Result<Option<Bytes>, Broken> {
        let chunks = self.chunks.read();
        let chunks = chunks.as_ref().ok_or(Broken::Withdrawn)?;
        let index = chunks.partition_point(|(chunk_end, _)| *chunk_end <= at);
        let Some((chunk_end, chunk)) = chunks.get(index) else {
            return Ok(None);
        };
        let length = chunk.bytes.len();
        let start = length - (chunk_end - at) as usize;
        let stop = length - chunk_end.saturating_sub(end) as usize;
        if let Some(stay) = self.stay.get() {
            stay.serve((stop - start) as u64);
        }
        Ok(Some(chunk.piece(start..stop)))
    }
}

impl Chunk {
    /// Of these bytes, not charged yet.
    pub(crate) fn new(bytes: Box<[u8]>) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            charge: OnceLock::new(),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Some of it.
    pub(crate) fn piece(self: &Arc<Self>, range: Range<usize>) -> Bytes {
        Bytes::from_owner(ChunkPiece(Arc::clone(self))).slice(range)
    }
}

impl AsRef<[u8]> for WholePiece {
    fn as_ref(&self) -> &[u8] {
        match &self.0.bytes {
            Stored::Whole(bytes) => bytes,
            Stored::Chunked(_) => &[],
        }
    }
}

impl AsRef<[u8]> for ChunkPiece {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl BodyReader {
    /// Reads the whole body.
    pub fn new(body: Arc<Body>) -> Self {
        Self {
            body,
            at: 0,
            end: u64::MAX,
        }
    }

    /// The next piece; none at the end. An error: the rest was [withdrawn](Broken::Withdrawn).
    pub fn read(&mut self) -> Result<Option<Bytes>, Broken> {
        let piece = self.body.slice(self.at, self.end)?;
        self.at += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Ok(piece)
    }

    /// All that is left to read, if it lies in one piece, to be copied.
    pub fn rest(&self) -> Option<&[u8]> {
        let Stored::Whole(bytes) = &self.body.bytes else {
            return None;
        };
        let end = self.end.min(bytes.len() as u64) as usize;
        bytes.get(self.at as usize..end)
    }

    /// Waits until the body is withdrawn from its readers: whoever holds pieces shall let them go. Most never are.
    pub async fn withdrawn(&self) {
        let Stored::Chunked(chunked) = &self.body.bytes else {
            return std::future::pending().await;
        };
        loop {
            let mut changed = std::pin::pin!(chunked.withdrawn.notified());
            // Registered before looking, so that a change between looking and waiting is not missed.
            changed.as_mut().enable();
            if chunked.chunks.read().is_none() {
                return;
            }
            changed.await;
        }
    }

    /// Goes to an offset, to read up to an end (exclusive); an end behind the body's means the body's.
    pub fn seek(&mut self, start: u64, end: Option<u64>) -> Result<(), OutOfRange> {
        if start > self.body.len() {
            return Err(OutOfRange {
                start,
                length: self.body.len(),
            });
        }
        (self.at, self.end) = (start, end.unwrap_or(u64::MAX));
        Ok(())
    }

    /// Its body.
    pub fn body(&self) -> &Arc<Body> {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    fn chunked(chunks: &[&[u8]], charge: Charge) -> Arc<Body> {
        let chunks = chunks.iter().map(|&chunk| Chunk::new(chunk.into()));
        Arc::new(Body::chunked(chunks.collect(), charge))
    }

    fn read(reader: &mut BodyReader) -> Vec<u8> {
        let pieces = std::iter::from_fn(|| reader.read().unwrap());
        pieces.flatten().collect()
    }

    #[test]
    fn every_range_of_a_body_reads_as_of_the_whole() {
        let whole = b"0123456789abcdef";
        let budget = Budget::new(1000);
        let charge = || budget.try_charge(300).unwrap();
        for body in [
            chunked(&[b"012", b"3456789a", b"bcdef"], charge()),
            Arc::new(Body::whole(whole.as_slice().into(), charge())),
        ] {
            assert_eq!(body.len(), 16);
            let mut reader = BodyReader::new(body);
            for start in 0..=whole.len() {
                for end in start..whole.len() + 3 {
                    reader.seek(start as u64, Some(end as u64)).unwrap();
                    let expected = &whole[start..end.min(whole.len())];
                    if let Some(rest) = reader.rest() {
                        assert_eq!(rest, expected);
                    }
                    assert_eq!(read(&mut reader), expected, "{start}..{end}");
                }
            }
            assert!(reader.seek(17, None).is_err());
        }
    }

    #[test]
    fn an_empty_body_reads_as_nothing() {
        let charge = Budget::new(1).try_charge(0).unwrap();
        let mut reader = BodyReader::new(Arc::new(Body::whole(Box::default(), charge)));
        assert_eq!(reader.read(), Ok(None));
        assert!(reader.seek(0, Some(0)).is_ok());
        assert_eq!(reader.read(), Ok(None));
    }

    #[test]
    fn a_piece_in_hand_keeps_its_chunk_charged_and_nothing_else() {
        let budget = Budget::new(1000);
        let body = chunked(&[b"one", b"two"], budget.try_charge(500).unwrap());
        assert_eq!(body.charged(), 500);
        let mut reader = BodyReader::new(Arc::clone(&body));
        let piece = reader.read().unwrap().unwrap();
        body.withdraw();
        assert_eq!(reader.read(), Err(Broken::Withdrawn));
        drop((reader, body));
        assert_eq!(budget.used(), 3 + CHUNK_OVERHEAD_BYTES);
        assert_eq!(piece, "one");
        drop(piece);
        assert_eq!(budget.used(), 0);
        let charge = budget.try_charge(9).unwrap();
        let mut reader = BodyReader::new(Arc::new(Body::whole((*b"whole").into(), charge)));
        let piece = reader.read().unwrap().unwrap();
        drop(reader);
        assert_eq!((&*piece, budget.used()), (&b"whole"[..], 9));
        drop(piece);
        assert_eq!(budget.used(), 0);
    }
}
