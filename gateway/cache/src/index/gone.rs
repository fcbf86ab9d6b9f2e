//! The newest generation that has left each key, remembered coarsely: a fetch that began before it must not bring back
//! an answer older than one that was served already.
//!
//! Keys share [`BUCKETS`] numbers by their hash. Two keys in one bucket may refuse a fetch that was under way
//! while the other key's object left; it then is not stored, and the next request fetches again.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many numbers are kept: 512 KiB of them.
pub const BUCKETS: usize = 1 << 16;

#[derive(Debug)]
pub(super) struct Gone(Box<[AtomicU64]>);

impl Gone {
    pub(super) fn new() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }

    /// An object of that generation leaves the key of that hash.
    pub(super) fn leave(&self, hash: u64, generation: u64) {
        if let Some(bucket) = self.bucket(hash) {
            bucket.fetch_max(generation, Ordering::AcqRel);
        }
    }

    /// No fetch for the key of that hash may be stored unless it began after this generation.
    pub(super) fn newest(&self, hash: u64) -> u64 {
        self.bucket(hash)
            .map_or(0, |bucket| bucket.load(Ordering::Acquire))
    }

    fn bucket(&self, hash: u64) -> Option<&AtomicU64> {
        self.0.get(hash as usize % BUCKETS)
    }
}
