//! How large the tier is, and the bounds that follow.

use crate::format::{SEGMENT_HEAD_BYTES, snapshot};
use std::{path::PathBuf, time::Duration};

/// The largest segment.
pub const SEGMENT_BYTES_MAX: u32 = 64 << 20;
/// The smallest segment of a tier that is not a test's.
pub const SEGMENT_BYTES_MIN: u32 = 4 << 20;
/// A tier has at least so many segments' room.
pub const SEGMENTS_MIN: u64 = 4;
/// A large body lies in chunks of so many bytes.
pub const CHUNK_BYTES: u32 = 256 << 10;
/// A body of at most so many bytes lies in its head's record.
pub const INLINE_BYTES_MAX: u32 = 64 << 10;
/// The smallest tier: what smaller ones could hold is not worth a disk.
pub const TIER_BYTES_MIN: u64 = 64 << 20;
/// One object for so many bytes of the tier, unless settings say otherwise: bounds the index in memory.
pub const BYTES_PER_OBJECT: u64 = 4 << 10;
/// No object may take more than this share of the tier: 1 / this.
pub const OBJECT_SHARE: u64 = 8;

/// How large the tier is, where it lies, and how patient it is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// An existing folder for it alone. It is not made: on a machine whose disk is not mounted, the tier waits.
    pub folder: PathBuf,
    /// The most bytes of all files in it, those being written included.
    pub bytes_max: u64,
    /// The most objects.
    pub objects_max: u64,
    /// Threads that read.
    pub readers: usize,
    /// The most bytes of bodies in memory that wait for the disk; and as many again that are not stored, and wait for those
    /// who follow them.
    pub queue_bytes_max: u64,
    /// The most look-ups that wait for the disk.
    pub lookups_max: usize,
    /// The most bodies that are read at once.
    pub bodies_max: usize,
    /// How long to wait before the folder is tried again.
    pub retry: Duration,
    /// How often the index is written down, if it changed.
    pub snapshot_period: Duration,
    /// How what is stored is laid out.
    pub layout: Layout,
}

/// How what is stored is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The size of a full segment.
    pub segment_bytes: u32,
    /// The size of a full chunk.
    pub chunk_bytes: u32,
    /// The largest body that lies in its head's record.
    pub inline_bytes_max: u32,
    /// The largest head: key, identity, header and where the chunks are.
    pub head_bytes_max: u32,
}

/// Settings that no tier can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// There is not room for enough segments.
    #[error("a disk tier of {given} bytes is too small: give it at least {least}")]
    TooSmall {
        /// Bytes given.
        given: u64,
        /// Bytes needed.
        least: u64,
    },
    /// A record would not fit into a segment.
    #[error("a record of {record} bytes does not fit into a segment of {segment}")]
    Layout {
        /// The largest record.
        record: u64,
        /// The size of a segment.
        segment: u64,
    },
}

impl Settings {
    /// A tier of so many bytes in an existing folder.
    pub fn new(folder: impl Into<PathBuf>, bytes_max: u64) -> Self {
        let segment_bytes = (bytes_max / 16)
            .clamp(u64::from(SEGMENT_BYTES_MIN), u64::from(SEGMENT_BYTES_MAX))
            as u32;
        Self {
            folder: folder.into(),
            bytes_max,
            objects_max: bytes_max / BYTES_PER_OBJECT,
            readers: 4,
            queue_bytes_max: 64 << 20,
            lookups_max: 1024,
            bodies_max: 8192,
            retry: Duration::from_secs(5),
            snapshot_period: Duration::from_mins(1),
            layout: Layout {
                segment_bytes,
                chunk_bytes: CHUNK_BYTES,
                inline_bytes_max: INLINE_BYTES_MAX,
                head_bytes_max: 512 << 10,
            },
        }
    }

    /// Whether a tier can have them.
    pub fn check(&self) -> Result<(), SettingsError> {
        let layout = &self.layout;
        let record = u64::from(layout.head_bytes_max)
            + u64::from(layout.inline_bytes_max.max(layout.chunk_bytes))
            + u64::from(crate::format::FRAME_BYTES);
        let segment = u64::from(layout.segment_bytes.saturating_sub(SEGMENT_HEAD_BYTES));
        if record > segment || layout.chunk_bytes == 0 {
            return Err(SettingsError::Layout { record, segment });
        }
        let least = self.snapshots_bytes() + SEGMENTS_MIN * u64::from(layout.segment_bytes);
        if self.bytes_max < least {
            return Err(SettingsError::TooSmall {
                given: self.bytes_max,
                least,
            });
        }
        Ok(())
    }

    /// Room for two snapshots of the index: the one that holds and the one being written.
    fn snapshots_bytes(&self) -> u64 {
        2 * snapshot::bytes(self.objects_max, self.segments_max())
    }

    /// The most segments, short ones included.
    pub(crate) fn segments_max(&self) -> u64 {
        2 * (self.bytes_max / u64::from(self.layout.segment_bytes)) + 16
    }

    /// Bytes that segments may take.
    pub(crate) fn segment_room(&self) -> u64 {
        self.bytes_max.saturating_sub(self.snapshots_bytes())
    }

    /// The largest body.
    pub(crate) fn object_bytes_max(&self) -> u64 {
        let extents =
            u64::from(self.layout.head_bytes_max / 2) / u64::from(crate::format::EXTENT_BYTES);
        (self.segment_room() / OBJECT_SHARE).min(extents * u64::from(self.layout.chunk_bytes))
    }
}
