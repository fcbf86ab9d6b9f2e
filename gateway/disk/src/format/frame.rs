//! The frame: what every record in a segment stands in.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | magic |
//! | 4 | kind |
//! | 4 | length of the payload |
//! | 4 | length of its first part: of a head, what stands before the body; else all of it |
//! | 4 | CRC32C of that part |
//! | 4 | CRC32C of the segment's nonce, the frame's offset and the 20 bytes above |

use super::{Cursor, Unreadable};

/// Length of a frame's header.
pub(crate) const FRAME_BYTES: u32 = 24;
/// What it begins with.
pub(crate) const MAGIC: [u8; 4] = *b"LcyR";

/// What stands in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Head = 1,
    Chunk = 2,
    Removal = 3,
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    /// Length of the payload.
    pub(crate) bytes: u32,
    /// Length of the part that `crc` is of.
    pub(crate) part: u32,
    pub(crate) crc: u32,
}

/// Where a frame stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) nonce: u64,
    pub(crate) offset: u32,
}

impl Frame {
    pub(crate) fn encode(&self, place: Place, into: &mut Vec<u8>) {
        let start = into.len();
        into.extend_from_slice(&MAGIC);
        for number in [self.kind as u32, self.bytes, self.part, self.crc] {
            into.extend_from_slice(&number.to_le_bytes());
        }
        let crc = place.crc(into.get(start..).unwrap_or_default());
        into.extend_from_slice(&crc.to_le_bytes());
    }

    pub(crate) fn decode(place: Place, bytes: &[u8]) -> Result<Self, Unreadable> {
        Self::read(place, bytes).ok_or(Unreadable::Damaged)
    }

    fn read(place: Place, bytes: &[u8]) -> Option<Self> {
        let covered = bytes.get(..FRAME_BYTES as usize - 4)?;
        let mut cursor = Cursor(bytes);
        let magic: [u8; 4] = cursor.array()?;
        let kind = match cursor.u32()? {
            1 => Kind::Head,
            2 => Kind::Chunk,
            3 => Kind::Removal,
            _ => return None,
        };
        let frame = Self {
            kind,
            bytes: cursor.u32()?,
            part: cursor.u32()?,
            crc: cursor.u32()?,
        };
        let is_whole = magic == MAGIC && place.crc(covered) == cursor.u32()?;
        (is_whole && frame.part <= frame.bytes).then_some(frame)
    }

    /// The part that the frame vouches for, out of its payload, if it does.
    pub(crate) fn part<'a>(&self, payload: &'a [u8]) -> Result<&'a [u8], Unreadable> {
        payload
            .get(..self.part as usize)
            .filter(|part| crc32c::crc32c(part) == self.crc)
            .ok_or(Unreadable::Damaged)
    }

    /// Header and payload.
    pub(crate) fn whole_bytes(&self) -> u64 {
        u64::from(FRAME_BYTES) + u64::from(self.bytes)
    }
}

impl Place {
    fn crc(self, header: &[u8]) -> u32 {
        let crc = crc32c::crc32c(&self.nonce.to_le_bytes());
        let crc = crc32c::crc32c_append(crc, &self.offset.to_le_bytes());
        crc32c::crc32c_append(crc, header)
    }
}
