//! Reading one head's record, and believing it only if everything agrees.

use crate::{
    format::{FRAME_BYTES, Frame, Kind, StoredHead},
    hash::KeyHash,
    index::Entry,
    segments::Segment,
};
use bytes::Bytes;

/// A head, and its body if that stands behind it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) head: StoredHead,
    pub(crate) body: Option<Bytes>,
}

/// Why a record can't be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordError {
    Damaged,
    ReadFailed,
}

impl Record {
    /// The record that an entry speaks of.
    pub(crate) fn read(segment: &Segment, entry: &Entry) -> Result<Self, RecordError> {
        let bytes = segment
            .read(entry.offset, entry.bytes)
            .map_err(|_| RecordError::ReadFailed)?;
        let record = Self::decode(segment, entry.offset, Bytes::from(bytes), true)
            .ok_or(RecordError::Damaged)?;
        let key = record.head.head.key.as_ref();
        let is_it = record.head.order() == entry.order && KeyHash::of(key) == entry.hash;
        is_it.then_some(record).ok_or(RecordError::Damaged)
    }

    /// The record that stands in those bytes; without its body, that body need not be there.
    pub(crate) fn decode(
        segment: &Segment,
        offset: u32,
        bytes: Bytes,
        with_body: bool,
    ) -> Option<Self> {
        let frame = Frame::decode(segment.place(offset), &bytes).ok()?;
        if frame.kind != Kind::Head || bytes.len() < FRAME_BYTES as usize {
            return None;
        }
        let payload = bytes.slice(FRAME_BYTES as usize..);
        let head = StoredHead::decode(frame.part(&payload).ok()?)?;
        let inline = frame.bytes - frame.part;
        let announced = if head.is_inline() { head.body_bytes } else { 0 };
        if u64::from(inline) != announced {
            return None;
        }
        if !with_body || !head.is_inline() {
            return Some(Self { head, body: None });
        }
        if payload.len() != frame.bytes as usize {
            return None;
        }
        let body = payload.slice(frame.part as usize..);
        (crc32c::crc32c(&body) == head.body_crc).then_some(Self {
            head,
            body: Some(body),
        })
    }
}
