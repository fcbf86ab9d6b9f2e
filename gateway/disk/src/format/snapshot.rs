//! The snapshot of the index.
//!
//! A block is its number of items (4 bytes), the items, and the CRC32C of the snapshot's nonce, the block's number in the file and
//! all of that. The first block has one item, the head; then follow blocks of segments up to an empty one, and blocks of
//! entries up to an empty one. Nothing stands behind that.

use super::{Cursor, FORMAT_VERSION, Unreadable};
use crate::{hash::KeyHash, index::Entry};

/// The most items of one block.
pub(crate) const BLOCK_ITEMS: u32 = 4096;
/// Length of an entry on disk.
pub(crate) const ENTRY_BYTES: u32 = 40;
const SEGMENT_BYTES: u32 = 16;
/// Length of the head.
pub(crate) const HEAD_BYTES: u32 = 28;
const MAGIC: [u8; 8] = *b"LcyIndex";
const BLOCK_OVERHEAD: u32 = 8;

/// The most bytes of a snapshot of so many entries.
pub(crate) const fn bytes(entries: u64, segments: u64) -> u64 {
    // Every shard of the index ends a block.
    let blocks = entries / BLOCK_ITEMS as u64
        + segments / BLOCK_ITEMS as u64
        + crate::index::SHARDS as u64
        + 8;
    HEAD_BYTES as u64
        + entries * ENTRY_BYTES as u64
        + segments * SEGMENT_BYTES as u64
        + blocks * BLOCK_OVERHEAD as u64
}

/// What a snapshot begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SnapshotHead {
    pub(crate) nonce: u64,
    /// The highest order that was ever given.
    pub(crate) order_max: u64,
}

/// How far a snapshot knows a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) number: u32,
    pub(crate) bytes: u32,
    pub(crate) nonce: u64,
}

/// What stands in blocks.
pub(crate) trait Item: Sized {
    const BYTES: u32;
    fn put(&self, into: &mut Vec<u8>);
    fn take(cursor: &mut Cursor<'_>) -> Option<Self>;
}

impl SnapshotHead {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES as usize);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.nonce.to_le_bytes());
        bytes.extend_from_slice(&self.order_max.to_le_bytes());
        bytes
    }

    /// The head; what vouches for it is the first block.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut cursor = Cursor(bytes);
        let magic: [u8; 8] = cursor.array().ok_or(Unreadable::Damaged)?;
        if magic != MAGIC {
            return Err(Unreadable::Damaged);
        }
        if cursor.u32().ok_or(Unreadable::Damaged)? != FORMAT_VERSION {
            return Err(Unreadable::OtherVersion);
        }
        let mut rest = || {
            Some(Self {
                nonce: cursor.u64()?,
                order_max: cursor.u64()?,
            })
        };
        rest().ok_or(Unreadable::Damaged)
    }

    fn crc(&self, number: u32, block: &[u8]) -> u32 {
        // The head is vouched for by every block.
        let crc = crc32c::crc32c(&self.encode());
        let crc = crc32c::crc32c_append(crc, &number.to_le_bytes());
        crc32c::crc32c_append(crc, block)
    }

    /// One block.
    pub(crate) fn block<I: Item>(&self, number: u32, items: &[I], into: &mut Vec<u8>) {
        let start = into.len();
        into.extend_from_slice(&(items.len() as u32).to_le_bytes());
        for item in items {
            item.put(into);
        }
        let crc = self.crc(number, into.get(start..).unwrap_or_default());
        into.extend_from_slice(&crc.to_le_bytes());
    }

    /// Reads one block: `next` brings exactly as many bytes as it is asked for. Empty: there are no more of these.
    pub(crate) fn read_block<I: Item>(
        &self,
        number: u32,
        mut next: impl FnMut(usize) -> Option<Vec<u8>>,
    ) -> Option<Vec<I>> {
        let mut block = next(4)?;
        let items = Cursor(&block).u32().filter(|&items| items <= BLOCK_ITEMS)?;
        let rest = next((items * I::BYTES + 4) as usize)?;
        let (content, crc) = rest.split_at_checked((items * I::BYTES) as usize)?;
        block.extend_from_slice(content);
        if Cursor(crc).u32()? != self.crc(number, &block) {
            return None;
        }
        let mut cursor = Cursor(content);
        (0..items).map(|_| I::take(&mut cursor)).collect()
    }
}

impl Item for Known {
    const BYTES: u32 = SEGMENT_BYTES;

    fn put(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.number.to_le_bytes());
        into.extend_from_slice(&self.bytes.to_le_bytes());
        into.extend_from_slice(&self.nonce.to_le_bytes());
    }

    fn take(cursor: &mut Cursor<'_>) -> Option<Self> {
        Some(Self {
            number: cursor.u32()?,
            bytes: cursor.u32()?,
            nonce: cursor.u64()?,
        })
    }
}

impl Item for Entry {
    const BYTES: u32 = ENTRY_BYTES;

    fn put(&self, into: &mut Vec<u8>) {
        for number in [self.hash.high, self.hash.low, self.order] {
            into.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.segment, self.offset, self.bytes] {
            into.extend_from_slice(&number.to_le_bytes());
        }
        into.extend_from_slice(&self.span.to_le_bytes());
        into.push(self.hits);
        into.push(0);
    }

    fn take(cursor: &mut Cursor<'_>) -> Option<Self> {
        let entry = Self {
            hash: KeyHash {
                high: cursor.u64()?,
                low: cursor.u64()?,
            },
            order: cursor.u64()?,
            segment: cursor.u32()?,
            offset: cursor.u32()?,
            bytes: cursor.u32()?,
            span: cursor.u16()?,
            hits: cursor.u8()?,
            is_proven: false,
        };
        cursor.u8()?;
        Some(entry)
    }
}
