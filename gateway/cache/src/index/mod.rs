//! Key → what is stored and under way, in shards, each behind its own lock. Marks are never asked under a shard's lock.

mod gone;
mod queues;
mod shard;
mod slab;

pub use gone::BUCKETS as GONE_BUCKETS;
pub use queues::{Eviction, GHOSTS_MAX, READS_MAX, SMALL_SHARE};
pub use shard::FILLS_PER_KEY_MAX;

use crate::{
    body::Body,
    key::KeyRef,
    linger::Lingering,
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

use shard::Offer;

/// Where a walk over everything that is stored stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cursor {
    shard: usize,
    place: usize,
}

pub(crate) struct Index<M, R> {
    shards: [RwLock<Shard<M>>; SHARDS],
    /// How many objects each shard holds, to be read without its lock.
    objects: [AtomicUsize; SHARDS],
    hasher: ahash::RandomState,
    eviction: Eviction,
    gone: Gone,
    lingering: Lingering,
    rules: PhantomData<fn() -> R>,
}

impl<M, R: Rules> Index<M, R> {
    /// Of a cache of that many bytes.
    pub(crate) fn new(bytes_max: u64, eviction: Eviction) -> Self {
        let hasher = R::hasher();
        Self {
            shards: std::array::from_fn(|_| RwLock::new(Shard::new(hasher.clone(), eviction))),
            objects: std::array::from_fn(|_| AtomicUsize::new(0)),
            hasher,
            eviction,
            gone: Gone::new(),
            lingering: Lingering::new(bytes_max),
            rules: PhantomData,
        }
    }

    /// A hash of the key that differs between processes.
    pub(crate) fn hash(&self, key: KeyRef<'_>) -> u64 {
        self.hasher.hash_one(key)
    }

    /// What left the index while it was read.
    pub(crate) fn lingering(&self) -> &Lingering {
        &self.lingering
    }

    pub(crate) fn offer(&self, key: KeyRef<'_>) -> Option<Offer<M>> {
        let hash = self.hash(key);
        let newest_gone = self.gone.newest(hash);
        let offer = self.shard(hash).read().offer::<R>(hash, key, newest_gone);
        if self.eviction == Eviction::Lru && offer.is_some() {
            self.shard(hash).write().touch(hash, key);
        }
        offer
    }

    /// The record of what is stored. Asking is no read of it.
    pub(crate) fn stored(&self, key: KeyRef<'_>) -> Option<Arc<Record<M>>> {
        let hash = self.hash(key);
        let shard = self.shard(hash).read();
        shard
            .stored(hash, key)
            .map(|object| Arc::clone(&object.record))
    }

    pub(crate) fn fill(&self, key: KeyRef<'_>, id: u64) -> Option<Arc<Fill<M>>> {
        let hash = self.hash(key);
        self.shard(hash).read().fill(hash, key, id)
    }

    pub(crate) fn begin(&self, fill: Arc<Fill<M>>) -> Result<(), Refusal> {
        let hash = self.hash(fill.record.key());
        self.shard(hash).write().begin(hash, fill)
    }

    pub(crate) fn end(&self, key: KeyRef<'_>, id: u64) {
        let hash = self.hash(key);
        self.shard(hash).write().end(hash, key, id);
    }

    pub(crate) fn store(&self, object: Object<M>) -> Result<(), Refusal> {
        let hash = self.hash(object.record.key());
        // What is replaced is dropped after the lock: a body may be large.
        let replaced = self.change(Self::place(hash), |shard| {
            shard.store::<R>(hash, object, &self.gone)
        })?;
        if let Some(replaced) = replaced {
            self.left(&replaced.body);
        }
        Ok(())
    }

    /// The newest generation that has left the key: to be given to [`promote`](Self::promote).
    pub(crate) fn newest_gone(&self, key: KeyRef<'_>) -> u64 {
        self.gone.newest(self.hash(key))
    }

    /// Stores what another tier had, if nothing is stored under its key and nothing has left it since.
    pub(crate) fn promote(&self, object: Object<M>, newest_gone: u64) -> Result<(), Refusal> {
        let hash = self.hash(object.record.key());
        let is_still = || !R::GENERATIONS || self.gone.newest(hash) == newest_gone;
        self.change(Self::place(hash), |shard| {
            shard.promote(hash, object, is_still)
        })
    }

    pub(crate) fn revalidate(
        &self,
        record: Arc<Record<M>>,
        recharge: impl FnOnce(&Body, &Record<M>),
    ) -> Result<(), Refusal> {
        let hash = self.hash(record.key());
        let mut shard = self.shard(hash).write();
        let replaced = shard.revalidate::<R>(hash, record, recharge)?;
        drop(shard);
        drop(replaced);
        Ok(())
    }

    /// Takes out the object of that record. False: another one is there by now.
    pub(crate) fn remove(&self, record: &Arc<Record<M>>) -> bool {
        let hash = self.hash(record.key());
        let removed = self.change(Self::place(hash), |shard| {
            shard.remove(hash, record, &self.gone)
        });
        removed.is_some_and(|removed| {
            self.left(&removed.body);
            true
        })
    }

    /// Evicts one object, from the shard that holds the most. False: there is none that may go. What is being read may, as far as
    /// bodies may linger.
    ///
    /// Chance spreads keys evenly, so shards that hold as many objects each hold objects as old. Were they evicted from in turn
    /// instead, what each holds would go its own way by chance, and the poor ones would evict what is read all the time.
    pub(crate) fn evict(&self) -> bool {
        let lets_go = |body: &Arc<Body>| self.lingering.lets_go(body, R::now());
        let fullest = self.fullest();
        (0..SHARDS).any(|step| {
            let evicted = self.change((fullest + step) % SHARDS, |shard| {
                shard.evict(&self.gone, lets_go)
            });
            evicted.is_some()
        })
    }

    /// What is stored at so many places from a cursor on, and the cursor to go on from; none: it is the end. What is stored
    /// during the whole walk is met; what comes or goes meanwhile may be.
    pub(crate) fn walk(
        &self,
        from: Cursor,
        places: usize,
    ) -> (Vec<Arc<Record<M>>>, Option<Cursor>) {
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
        self.held().sum()
    }

    pub(crate) fn fills(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().fills()).sum()
    }

    /// A body was purged or replaced.
    fn left(&self, body: &Arc<Body>) {
        self.lingering.left(body, R::now());
    }

    /// How many objects each shard holds.
    pub(crate) fn held(&self) -> impl Iterator<Item = usize> {
        self.objects.iter().map(|held| held.load(Ordering::Relaxed))
    }

    fn fullest(&self) -> usize {
        let fullest = self.held().enumerate().max_by_key(|(_, held)| *held);
        fullest.map_or(0, |(place, _)| place)
    }

    /// Changes what a shard holds.
    fn change<T>(&self, place: usize, change: impl FnOnce(&mut Shard<M>) -> T) -> T {
        let place = place % SHARDS;
        let mut shard = self.shards[place].write();
        let changed = change(&mut shard);
        self.objects[place].store(shard.objects(), Ordering::Relaxed);
        changed
    }

    fn shard(&self, hash: u64) -> &RwLock<Shard<M>> {
        &self.shards[Self::place(hash)]
    }

    /// Where the shard of that hash stands.
    fn place(hash: u64) -> usize {
        // Bits in between: the tables inside use the lowest and the highest.
        (hash >> 48) as usize % SHARDS
    }
}
