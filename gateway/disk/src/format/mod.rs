//! What stands on disk, version 1. All numbers are little-endian.
//!
//! A **segment** is a head ([`segment`]) and **frames** ([`frame`]) behind each other. A frame's header carries a checksum over
//! itself, the segment's nonce and its own offset: what a disk brings from another place, or from a file that had these blocks
//! before, is not believed, and no body can look like a frame. The kinds: a *head* ([`head`]), with the body behind it
//! if that is small; a *chunk* of a larger body; a *removal*.
//!
//! An object's head is written after all of its chunks and names each with its checksum: an object without a head is
//! not there. The **snapshot** ([`snapshot`]) is the index as it stood, and how far it knew each segment.

mod cursor;
pub(crate) mod frame;
pub(crate) mod head;
pub(crate) mod segment;
pub(crate) mod snapshot;

pub(crate) use cursor::{Cursor, put_bytes};
pub(crate) use frame::{FRAME_BYTES, Frame, Kind};
pub(crate) use head::{EXTENT_BYTES, Extent, StoredHead};
pub(crate) use segment::{SEGMENT_HEAD_BYTES, SegmentHead};

/// The version that is written, and the only one that is read: what is stored is a copy of what an origin has.
pub const FORMAT_VERSION: u32 = 1;

/// What is on disk is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// It does not agree with its checksum, or with itself.
    #[error("damaged")]
    Damaged,
    /// It is whole, and of another version.
    #[error("of another version")]
    OtherVersion,
}
