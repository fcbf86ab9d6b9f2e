//! Key → what is stored and under way, in shards, each behind its own lock. Marks are never asked under a shard's lock.

mod gone;
mod places;
mod queues;
mod shard;

pub use gone::BUCKETS as GONE_BUCKETS;
pub use queues::{GHOSTS_MAX, READS_MAX, SMALL_SHARE};
pub use shard::FILLS_PER_KEY_MAX;

use crate::{
    key::{AsKey, Key, KeyRef},
    object::{Fill, Object},
    record::Record,
    refusal::Refusal,
    rules::Rules,
};
use gone::Gone;
use parking_lot::RwLock;
use shard::Shard;
use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// How many locks the index is spread over.
pub const SHARDS: usize = 32;

use shard::{Offer, Stored};

/// Where a walk over everything that is stored stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cursor {
    shard: usize,
    place: usize,
}

pub(crate) struct Index<M, R> {
    shards: [RwLock<Shard<M>>; SHARDS],
    hasher: ahash::RandomState,
    gone: Gone,
    /// The shard that is evicted from next.
    next_eviction: AtomicUsize,
    rules: PhantomData<fn() -> R>,
}

impl<M, R: Rules> Index<M, R> {
    pub(crate) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::new(Shard::new())),
            hasher: R::hasher(),
            gone: Gone::new(),
            next_eviction: AtomicUsize::new(0),
            rules: PhantomData,
        }
    }

    /// A hash of the key that differs between processes.
    pub(crate) fn hash(&self, key: KeyRef<'_>) -> u64 {
        self.hasher.hash_one(&key as &dyn AsKey)
    }

    pub(crate) fn offer(&self, key: KeyRef<'_>) -> Option<Offer<M>> {
        let hash = self.hash(key);
        self.shard(hash)
            .read()
            .offer::<R>(key, self.gone.newest(hash))
    }

    /// The record of what is stored. Asking is no read of it.
    pub(crate) fn stored(&self, key: KeyRef<'_>) -> Option<Arc<Record<M>>> {
        self.shard(self.hash(key)).read().stored(key)
    }

    pub(crate) fn fill(&self, key: KeyRef<'_>, id: u64) -> Option<Arc<Fill<M>>> {
        self.shard(self.hash(key)).read().fill(key, id)
    }

    pub(crate) fn begin(&self, key: &Key, fill: Arc<Fill<M>>) -> Result<(), Refusal> {
        self.shard(self.hash(key.as_ref())).write().begin(key, fill)
    }

    pub(crate) fn end(&self, key: &Key, id: u64) {
        self.shard(self.hash(key.as_ref())).write().end(key, id);
    }

    pub(crate) fn store(&self, key: &Key, object: Arc<Object<M>>) -> Result<(), Refusal> {
        let hash = self.hash(key.as_ref());
        // What is replaced is dropped after the lock: a body may be large.
        let replaced = self
            .shard(hash)
            .write()
            .store::<R>(key, hash, object, &self.gone)?;
        drop(replaced);
        Ok(())
    }

    pub(crate) fn revalidate(
        &self,
        key: KeyRef<'_>,
        body_generation: u64,
        generation: u64,
        make: impl FnOnce(&Object<M>) -> Object<M>,
    ) -> Result<(), Refusal> {
        let mut shard = self.shard(self.hash(key)).write();
        let replaced = shard.revalidate::<R>(key, body_generation, generation, make)?;
        drop(shard);
        drop(replaced);
        Ok(())
    }

    /// Takes out the object of that record. False: another one is there by now.
    pub(crate) fn remove(&self, key: KeyRef<'_>, record: &Arc<Record<M>>) -> bool {
        let hash = self.hash(key);
        let removed = self
            .shard(hash)
            .write()
            .remove(key, hash, record, &self.gone);
        removed.is_some()
    }

    /// Evicts one object that nobody reads, from the shards in turn. False: there is none.
    pub(crate) fn evict(&self) -> bool {
        let first = self.next_eviction.fetch_add(1, Ordering::Relaxed);
        (0..SHARDS).any(|step| {
            let shard = self.shards.get((first + step) % SHARDS);
            let evicted =
                shard.and_then(|shard| shard.write().evict(|key| self.hash(key), &self.gone));
            evicted.is_some()
        })
    }

    /// What is stored at so many places from a cursor on, and the cursor to go on from; none: it is the end. What is stored
    /// during the whole walk is met; what comes or goes meanwhile may be.
    pub(crate) fn walk(&self, from: Cursor, places: usize) -> (Vec<Stored<M>>, Option<Cursor>) {
        let Some(shard) = self.shards.get(from.shard) else {
            return (Vec::new(), None);
        };
        let (stored, next) = shard.read().walk(from.place, places);
        let next = match next {
            Some(place) => Cursor { place, ..from },
            None => Cursor {
                shard: from.shard + 1,
                place: 0,
            },
        };
        (stored, (next.shard < SHARDS).then_some(next))
    }

    pub(crate) fn objects(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().objects()).sum()
    }

    pub(crate) fn fills(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().fills()).sum()
    }

    fn shard(&self, hash: u64) -> &RwLock<Shard<M>> {
        // The high bits: the maps inside use the low ones.
        &self.shards[(hash >> 48) as usize % SHARDS]
    }
}
