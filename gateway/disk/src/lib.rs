//! The disk tier, without a proxy around it. Its own threads do the I/O; nothing that is called waits for a disk.
//!
//! # Dramatis personae
//! - [`Tier`]: look-ups, fills, removals, sweeps, numbers. Each answers at once, or gives a [`Ticket`] to await.
//! - [`Head`]: what is known of an object: key, identity, fetch (its stamp goes wherever the object goes), header.
//! - [`Judge`]: asks the marks, and the tier's floor. Nothing is handed out, stored, written again or renewed unasked.
//! - [`Writer`] and [`Follower`]: bring a body, and read it meanwhile ([`fill`]). [`Stored`]: reads one that is on disk.
//! - The segments: files that are only appended to ([`mod@format`]); the oldest goes first ([`engine`]).
//! - The index: where every object is ([`index`]), in memory, and written down now and then.
//! - [`Layer`]: the file system, which tests replace by one that loses, delays and refuses.
//!
//! # The play
//! 1. A fill's chunks are gathered in memory, and written as they become full. If more wait than may, the fill is refused and
//!    goes on without the disk; nobody waits.
//! 2. Its head is written last, and names every chunk with its checksum. Only then the index knows it.
//! 3. A look-up asks the index, and a thread reads the head. Checksums, the whole key and the judge have to agree.
//! 4. A large body is read chunk by chunk, each verified. Whoever must not break off what it has begun to send
//!    [proves](Stored::prove) the body first, once a run.
//! 5. When there is no room, the oldest segment is dropped; what was asked for since is written again.
//! 6. At a start the index is read, and what is newer is scanned. What the disk lost in between does not agree with its
//!    checksums, and is a miss.
//! 7. Whatever goes wrong with the folder makes every look-up a miss, and is tried again until it goes right.
//!
//! # What was rejected
//! - A file an object: a million files cost more in names than in bodies, and a start has to list them.
//! - Waiting for the disk before a fill is acknowledged: nothing that is served rests on what a power loss takes. Purges
//!   rest on stamps, and the marks are kept elsewhere.
//! - Memory-mapped files: a page that can't be read ends the process.

mod count;
mod engine;
mod fill;
mod format;
mod hash;
mod head;
mod index;
mod layer;
mod memory;
mod outcome;
mod pool;
mod proof;
mod queue;
mod record;
mod scan;
mod segments;
mod settings;
mod shared;
mod stored;
mod sweep;
mod ticket;
mod tier;

pub use count::TierCount;
pub use engine::{DOOMED_SHARE, REWRITE_SHARE};
pub use fill::{Abandoned, FILLS_MAX, FILLS_PER_KEY_MAX, Follower, WINDOW_BYTES_MAX, Writer};
pub use format::{FORMAT_VERSION, segment::OWNERS_PREFIX};
pub use head::{Head, Judge, Version};
pub use index::ENTRY_MEMORY_BYTES_MAX;
pub use layer::{FileSystem, Layer, LayerFile};
pub use outcome::{Broken, Fault, Miss, Refusal};
pub use queue::{OPERATIONS_MAX, REMOVALS_MAX};
pub use settings::{
    BYTES_PER_OBJECT, CHUNK_BYTES, INLINE_BYTES_MAX, Layout, OBJECT_SHARE, SEGMENT_BYTES_MAX,
    SEGMENT_BYTES_MIN, SEGMENTS_MIN, Settings, SettingsError, TIER_BYTES_MIN,
};
pub use stored::Stored;
pub use sweep::{GIVEN_UP_MAX, Place, Walked};
pub use ticket::{Outcome, Ticket};
pub use tier::{Look, Tier};

#[cfg(test)]
mod tests;
