//! Why something was not found, not stored, or broke. Stable names: records and metrics read them.

use crate::ticket::Outcome;
use std::sync::atomic::{AtomicU64, Ordering};

/// An enum whose every value has a stable name, and a place in [`Counters`].
macro_rules! named {
    ($(#[$about:meta])* $kind:ident { $($(#[$what:meta])* $value:ident = $name:literal, $text:literal;)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum $kind {
            $($(#[$what])* #[error($text)] $value,)*
        }

        impl $kind {
            /// All of them, for metrics.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$value),*];

            /// The stable name, as records and metrics show it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $name,)*
                }
            }
        }
    };
}

named! {
    /// Why a look-up found nothing. Never an error to a client.
    Miss {
        /// The key is not in the index.
        Absent = "absent", "it is not stored";
        /// The tier has no folder: it is being opened, or waits for it to come back.
        NotReady = "not_ready", "the folder is not open";
        /// Enough look-ups wait for the disk.
        QueueFull = "queue_full", "enough look-ups wait for the disk";
        /// Enough bodies are being read.
        TooManyReaders = "too_many_readers", "enough bodies are being read";
        /// Its segment was dropped between index and read.
        Evicted = "evicted", "it was evicted while it was looked up";
        /// What is on disk does not agree with its checksum; it is forgotten.
        Damaged = "damaged", "what is stored is damaged";
        /// The disk did not give what was asked; it is forgotten.
        ReadFailed = "read_failed", "the disk could not be read";
        /// Another key has the same hash.
        OtherKey = "other_key", "another key has the same hash";
        /// The marks, or the floor, say that it may not be served; it is forgotten.
        Dead = "dead", "it was purged";
        /// The tier was closed meanwhile.
        Stopped = "stopped", "the tier was closed";
    }
}

named! {
    /// Why something was not stored. Never an error to a client.
    Refusal {
        /// The tier has no folder.
        NotReady = "not_ready", "the folder is not open";
        /// More would wait for the disk than may.
        QueueFull = "queue_full", "enough waits for the disk";
        /// Enough fills are under way, in all or of this key.
        TooManyFills = "too_many_fills", "enough fills are under way";
        /// The body is larger than one object may be.
        TooLarge = "too_large", "the body is too large for one object";
        /// Key, identity and header together are larger than they may be.
        HeadTooLarge = "head_too_large", "key, identity and header are too large";
        /// The body has another length than announced.
        WrongLength = "wrong_length", "the body does not have the length that was announced";
        /// A later fetch has brought its answer already, or this one is stored.
        Older = "older", "a later fetch brought its answer first";
        /// It was purged while it was under way.
        Purged = "purged", "it was purged while it was under way";
        /// Nothing could be evicted: readers hold what should go.
        NoRoom = "no_room", "readers hold what could be evicted";
        /// A part of it was evicted before the rest came.
        TooSlow = "too_slow", "a part of it was evicted before the rest came";
        /// The file system has no space.
        DiskFull = "disk_full", "the file system is full";
        /// The disk did not take it.
        WriteFailed = "write_failed", "the disk could not be written";
        /// What was validated is no longer stored.
        Gone = "gone", "what was validated is no longer stored";
        /// Its writer went away before the end.
        Aborted = "aborted", "its writer went away before the end";
        /// The tier was closed.
        Stopped = "stopped", "the tier was closed";
    }
}

impl Refusal {
    /// Whether the answer itself is good, and may be served from elsewhere: what it replaces must not come after it.
    pub(crate) fn is_of_the_tier(self) -> bool {
        !matches!(
            self,
            Self::WrongLength | Self::Older | Self::Purged | Self::Aborted
        )
    }
}

named! {
    /// Why a body that was begun can't be read on.
    Broken {
        /// Its writer went away before the end.
        Aborted = "aborted", "the fetch that brought this body broke off";
        /// It has another length than announced.
        WrongLength = "wrong_length", "the body does not have the length that was announced";
        /// This reader fell too far behind a body that is not stored.
        TooSlow = "too_slow", "the reader fell too far behind a body that is not stored";
        /// A chunk does not agree with its checksum; the object is forgotten.
        Damaged = "damaged", "a chunk is damaged";
        /// The disk did not give a chunk; the object is forgotten.
        ReadFailed = "read_failed", "the disk could not be read";
        /// The tier was closed.
        Stopped = "stopped", "the tier was closed";
    }
}

named! {
    /// What was found wrong with the folder or the disk.
    Fault {
        /// The folder is not there.
        MissingFolder = "missing_folder", "the folder is missing";
        /// It may not be written.
        ReadOnly = "read_only", "the folder can't be written";
        /// Another process has it.
        Locked = "locked", "another process has the folder";
        /// The file system has no space.
        DiskFull = "disk_full", "the file system is full";
        /// The disk could not be read.
        ReadFailed = "read_failed", "the disk could not be read";
        /// A record that a sweep met can't be read; it is forgotten.
        UnreadableRecord = "unreadable_record", "a record can't be read";
        /// The disk could not be written.
        WriteFailed = "write_failed", "the disk could not be written";
        /// A record does not agree with its checksum.
        DamagedRecord = "damaged_record", "a record is damaged";
        /// A segment has no head that can be read; it is deleted.
        DamagedSegment = "damaged_segment", "a segment is damaged";
        /// A segment of the snapshot is not there, is shorter, or is another one.
        LostSegment = "lost_segment", "a segment is missing or cut off";
        /// The snapshot of the index can't be read: all segments are.
        DamagedSnapshot = "damaged_snapshot", "the snapshot of the index is damaged";
        /// A file of another version of the format; it is deleted.
        OtherVersion = "other_version", "a file has another version of the format";
        /// A file that is none of ours; it is left alone.
        ForeignFile = "foreign_file", "a file is none of ours";
        /// Too many removals waited: one may be forgotten by the next start.
        RemovalLost = "removal_lost", "too many removals waited";
    }
}

/// How often each was met.
#[derive(Debug)]
pub(crate) struct Counters {
    misses: [AtomicU64; Miss::ALL.len()],
    refusals: [AtomicU64; Refusal::ALL.len()],
    broken: [AtomicU64; Broken::ALL.len()],
    faults: [AtomicU64; Fault::ALL.len()],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            misses: std::array::from_fn(|_| AtomicU64::new(0)),
            refusals: std::array::from_fn(|_| AtomicU64::new(0)),
            broken: std::array::from_fn(|_| AtomicU64::new(0)),
            faults: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

/// What can be counted.
pub(crate) trait Counted: Copy {
    fn counter(self, counters: &Counters) -> Option<&AtomicU64>;
}

macro_rules! counted {
    ($($kind:ident in $field:ident),*) => {
        $(impl Counted for $kind {
            fn counter(self, counters: &Counters) -> Option<&AtomicU64> {
                counters.$field.get(self as usize)
            }
        })*
    };
}

counted!(Miss in misses, Refusal in refusals, Broken in broken, Fault in faults);

impl Counters {
    pub(crate) fn add(&self, what: impl Counted) {
        if let Some(counter) = what.counter(self) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self, what: impl Counted) -> u64 {
        what.counter(self)
            .map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}

impl<T: Send + 'static> Outcome for Result<T, Miss> {
    fn abandoned() -> Self {
        Err(Miss::Stopped)
    }
}

impl<T: Send + 'static> Outcome for Result<T, Refusal> {
    fn abandoned() -> Self {
        Err(Refusal::Stopped)
    }
}

impl<T: Send + 'static> Outcome for Result<T, Broken> {
    fn abandoned() -> Self {
        Err(Broken::Stopped)
    }
}
