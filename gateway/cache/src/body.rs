//! A complete body: chunks that readers share, and a reader that can seek.

use crate::budget::Charge;
use bytes::Bytes;
use std::sync::Arc;

/// What a chunk costs beside its bytes.
pub(crate) const CHUNK_OVERHEAD_BYTES: u64 = 64;

/// A complete body. Its bytes stay charged until the last reader is gone.
#[derive(Debug)]
pub struct Body {
    chunks: Vec<Bytes>,
    /// Where each chunk ends.
    ends: Vec<u64>,
    charge: Charge,
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

impl Body {
    pub(crate) fn new(chunks: Vec<Bytes>, charge: Charge) -> Self {
        let ends = chunks
            .iter()
            .scan(0, |end, chunk| {
                *end += chunk.len() as u64;
                Some(*end)
            })
            .collect();
        Self {
            chunks,
            ends,
            charge,
        }
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes charged for it.
    pub fn charged(&self) -> u64 {
        self.charge.bytes()
    }

    /// The rest of the chunk that holds the byte at `at`, cut at `end`; none at the end of the body.
    pub fn slice(&self, at: u64, end: u64) -> Option<Bytes> {
        if at >= end {
            return None;
        }
        let index = self.ends.partition_point(|&chunk_end| chunk_end <= at);
        let chunk = self.chunks.get(index)?;
        let chunk_end = self.ends.get(index)?;
        let start = chunk.len() - (chunk_end - at) as usize;
        let stop = chunk.len() - chunk_end.saturating_sub(end) as usize;
        Some(chunk.slice(start..stop))
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

    /// The next piece; none at the end.
    pub fn read(&mut self) -> Option<Bytes> {
        let piece = self.body.slice(self.at, self.end)?;
        self.at += piece.len() as u64;
        Some(piece)
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

    #[test]
    fn every_range_of_a_chunked_body_reads_as_of_the_whole() {
        let whole = b"0123456789abcdef";
        let chunks = vec![
            Bytes::from_static(b"012"),
            Bytes::from_static(b"3456789a"),
            Bytes::from_static(b"bcdef"),
        ];
        let body = Arc::new(Body::new(chunks, Budget::new(100).try_charge(16).unwrap()));
        assert_eq!(body.len(), 16);
        let mut reader = BodyReader::new(body);
        for start in 0..=whole.len() {
            for end in start..whole.len() + 3 {
                reader.seek(start as u64, Some(end as u64)).unwrap();
                let read: Vec<u8> = std::iter::from_fn(|| reader.read()).flatten().collect();
                assert_eq!(read, &whole[start..end.min(whole.len())], "{start}..{end}");
            }
        }
        assert!(reader.seek(17, None).is_err());
    }

    #[test]
    fn an_empty_body_reads_as_nothing() {
        let mut reader = BodyReader::new(Arc::new(Body::new(
            vec![],
            Budget::new(1).try_charge(0).unwrap(),
        )));
        assert_eq!(reader.read(), None);
        assert!(reader.seek(0, Some(0)).is_ok());
        assert_eq!(reader.read(), None);
    }
}
