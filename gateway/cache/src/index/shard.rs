//! One shard: what is stored and under way under each of its keys, and what to evict.

use super::{
    gone::Gone,
    queues::{Eviction, Fate, Queue, Queues, READS_MAX},
    slab::{Number, Slab},
};
use crate::{
    body::Body,
    key::KeyRef,
    object::{Fill, Object},
    record::Record,
    refusal::Refusal,
    rules::{Rules, is_later},
};
use hashbrown::HashTable;
use std::sync::{Arc, atomic::Ordering};

/// The most fetches for one key that are kept at once; more pass through unstored.
pub const FILLS_PER_KEY_MAX: usize = 4;

pub(super) struct Shard<M> {
    hasher: ahash::RandomState,
    /// What is stored, by key.
    table: HashTable<Number>,
    slab: Slab<M>,
    queues: Queues,
    /// What is under way, by key: none of these is empty.
    fills: HashTable<Vec<Arc<Fill<M>>>>,
}

/// What a key has to offer, before anyone asks whether it is live.
pub(crate) struct Offer<M> {
    /// Open bodies under way whose fetches began after that of what is stored, the newest first.
    pub(crate) fills: Vec<Arc<Fill<M>>>,
    pub(crate) stored: Option<Object<M>>,
}

impl<M> Shard<M> {
    pub(super) fn new(hasher: ahash::RandomState, eviction: Eviction) -> Self {
        Self {
            hasher,
            table: HashTable::new(),
            slab: Slab::new(),
            queues: Queues::new(eviction),
            fills: HashTable::new(),
        }
    }

    /// What a key has. Nothing is allocated unless a body is under way.
    pub(super) fn offer<R: Rules>(
        &self,
        hash: u64,
        key: KeyRef<'_>,
        gone: u64,
    ) -> Option<Offer<M>> {
        let slot = self
            .find(hash, key)
            .and_then(|number| self.slab.get(number));
        let stored = slot.and_then(|slot| slot.object.as_ref());
        let under_way = self.under_way(hash, key);
        if stored.is_none() && under_way.is_empty() {
            return None;
        }
        let newest = stored.map_or(gone, |object| gone.max(object.record.fetch.generation));
        let mut fills: Vec<_> = under_way
            .iter()
            .filter(|fill| {
                is_later::<R>(fill.record.fetch.generation, newest) && fill.stream.is_open()
            })
            .cloned()
            .collect();
        fills.sort_unstable_by_key(|fill| std::cmp::Reverse(fill.record.fetch.generation));
        if let Some(slot) = slot.filter(|slot| slot.reads.load(Ordering::Relaxed) < READS_MAX) {
            slot.reads.fetch_add(1, Ordering::Relaxed);
        }
        Some(Offer {
            fills,
            stored: stored.cloned(),
        })
    }

    /// What is stored under a key was read: for the policy that keeps an order of reads.
    pub(super) fn touch(&mut self, hash: u64, key: KeyRef<'_>) {
        if let Some(number) = self.find(hash, key) {
            self.queues.unlink(&mut self.slab, number);
            self.queues.push(&mut self.slab, number, Queue::Main);
        }
    }

    pub(super) fn stored(&self, hash: u64, key: KeyRef<'_>) -> Option<&Object<M>> {
        self.slab.object(self.find(hash, key)?)
    }

    /// The fill of that number, whatever the marks say.
    pub(super) fn fill(&self, hash: u64, key: KeyRef<'_>, id: u64) -> Option<Arc<Fill<M>>> {
        let mut fills = self.under_way(hash, key).iter();
        fills.find(|fill| fill.id == id).cloned()
    }

    pub(super) fn begin(&mut self, hash: u64, fill: Arc<Fill<M>>) -> Result<(), Refusal> {
        let same = |fills: &Vec<Arc<Fill<M>>>| is_for(fills, fill.record.key());
        if let Some(fills) = self.fills.find_mut(hash, same) {
            if fills.len() >= FILLS_PER_KEY_MAX {
                return Err(Refusal::TooManyFills);
            }
            fills.push(fill);
            return Ok(());
        }
        let hasher = &self.hasher;
        let hash_of = |fills: &Vec<Arc<Fill<M>>>| {
            fills
                .first()
                .map_or(0, |fill| hasher.hash_one(fill.record.key()))
        };
        self.fills.insert_unique(hash, vec![fill], hash_of);
        Ok(())
    }

    /// A fill is no longer under way.
    pub(super) fn end(&mut self, hash: u64, key: KeyRef<'_>, id: u64) {
        let Ok(mut entry) = self.fills.find_entry(hash, |fills| is_for(fills, key)) else {
            return;
        };
        // The key may be that of the fill that goes: the last of them goes with its entry.
        let fills = entry.get_mut();
        if fills.iter().any(|fill| fill.id != id) {
            fills.retain(|fill| fill.id != id);
        } else {
            entry.remove();
        }
    }

    /// Stores an object unless something newer is or was there. Returns what it replaces, to be dropped outside.
    pub(super) fn store<R: Rules>(
        &mut self,
        hash: u64,
        object: Object<M>,
        gone: &Gone,
    ) -> Result<Option<Object<M>>, Refusal> {
        let generation = object.record.fetch.generation;
        if !is_later::<R>(generation, gone.newest(hash)) {
            return Err(Refusal::Older);
        }
        let Some(number) = self.find(hash, object.record.key()) else {
            return self.insert(hash, object).map(|()| None);
        };
        let is_newer =
            |stored: &Object<M>| is_later::<R>(generation, stored.record.fetch.generation);
        if !self.slab.object(number).is_some_and(is_newer) {
            return Err(Refusal::Older);
        }
        Ok(self.replace(number, |slot| slot.replace(object)).flatten())
    }

    /// Stores an object that comes from another tier, unless something is there, or something has left since `gone` was the
    /// newest that had.
    pub(super) fn promote(
        &mut self,
        hash: u64,
        object: Object<M>,
        is_still: impl FnOnce() -> bool,
    ) -> Result<(), Refusal> {
        if !is_still() || self.find(hash, object.record.key()).is_some() {
            return Err(Refusal::Older);
        }
        self.insert(hash, object)
    }

    fn insert(&mut self, hash: u64, object: Object<M>) -> Result<(), Refusal> {
        if self.slab.is_full() {
            return Err(Refusal::NoRoom);
        }
        let number = self.slab.insert(object);
        let Self {
            hasher,
            table,
            slab,
            queues,
            ..
        } = self;
        table.insert_unique(hash, number, |&number| {
            let object = slab.object(number);
            object.map_or(0, |object| hasher.hash_one(object.record.key()))
        });
        let queue = queues.entrance(hash);
        queues.push(slab, number, queue);
        Ok(())
    }

    /// Changes an object in its place; it goes to the end of its queue.
    fn replace<T>(
        &mut self,
        number: Number,
        change: impl FnOnce(&mut Option<Object<M>>) -> T,
    ) -> Option<T> {
        let queue = self.slab.get(number)?.queue;
        self.queues.unlink(&mut self.slab, number);
        let changed = change(&mut self.slab.get_mut(number)?.object);
        self.queues.push(&mut self.slab, number, queue);
        Some(changed)
    }

    /// New metadata for a stored body, if it still is that body and nothing newer is there. Returns that of before.
    pub(super) fn revalidate<R: Rules>(
        &mut self,
        hash: u64,
        record: Arc<Record<M>>,
        recharge: impl FnOnce(&Body, &Record<M>),
    ) -> Result<Arc<Record<M>>, Refusal> {
        let number = self.find(hash, record.key()).ok_or(Refusal::Gone)?;
        let stored = self.slab.object(number).ok_or(Refusal::Gone)?;
        if stored.record.body_generation() != record.body_generation() {
            return Err(Refusal::Gone);
        }
        if !is_later::<R>(record.fetch.generation, stored.record.fetch.generation) {
            return Err(Refusal::Older);
        }
        let renew = |slot: &mut Option<Object<M>>| {
            let object = slot.as_mut()?;
            recharge(&object.body, &object.record);
            Some(std::mem::replace(&mut object.record, record))
        };
        self.replace(number, renew).flatten().ok_or(Refusal::Gone)
    }

    /// Takes out the object of that record, if it is still the stored one.
    pub(super) fn remove(
        &mut self,
        hash: u64,
        record: &Arc<Record<M>>,
        gone: &Gone,
    ) -> Option<Object<M>> {
        let number = self.find(hash, record.key())?;
        let stored = self.slab.object(number)?;
        if !Arc::ptr_eq(&stored.record, record) {
            return None;
        }
        self.take_out(hash, number, gone)
    }

    /// Evicts one object. None: there is none that may go. `lets_go` says whether this body may: it may be being read.
    pub(super) fn evict(
        &mut self,
        gone: &Gone,
        mut lets_go: impl FnMut(&Arc<Body>) -> bool,
    ) -> Option<Object<M>> {
        // Every step takes a read from an object's count, or meets one that may not go: after so many steps all that
        // are left may not.
        let steps_max = (usize::from(READS_MAX) + 2) * self.slab.objects();
        for _ in 0..steps_max {
            let number = self.queues.next()?;
            let slot = self.slab.get_mut(number)?;
            let reads = *slot.reads.get_mut();
            let fate = self.queues.fate(slot.queue, reads);
            let object = slot.object.as_ref()?;
            let (queue, reads) = match fate {
                Fate::Leaves { as_ghost } if lets_go(&object.body) => {
                    let hash = self.hasher.hash_one(object.record.key());
                    if as_ghost {
                        self.queues.haunt(hash);
                    }
                    return self.take_out(hash, number, gone);
                }
                Fate::Leaves { .. } => (Queue::Main, 0),
                Fate::Stays { queue, reads } => (queue, reads),
            };
            *slot.reads.get_mut() = reads;
            self.queues.unlink(&mut self.slab, number);
            self.queues.push(&mut self.slab, number, queue);
        }
        None
    }

    /// What is stored under so many numbers from `from` on, and where to go on from; none: these were the last.
    pub(super) fn walk(&self, from: usize, numbers: usize) -> (Vec<Arc<Record<M>>>, Option<usize>) {
        let stored = self.slab.from(from, numbers);
        let records = stored.map(|object| Arc::clone(&object.record)).collect();
        let next = from.saturating_add(numbers);
        (records, (next < self.slab.end()).then_some(next))
    }

    pub(super) fn objects(&self) -> usize {
        self.slab.objects()
    }

    pub(super) fn fills(&self) -> usize {
        self.fills.iter().map(Vec::len).sum()
    }

    fn take_out(&mut self, hash: u64, number: Number, gone: &Gone) -> Option<Object<M>> {
        self.queues.unlink(&mut self.slab, number);
        if let Ok(entry) = self.table.find_entry(hash, |&other| other == number) {
            entry.remove();
        }
        let object = self.slab.remove(number)?;
        gone.leave(hash, object.record.fetch.generation);
        Some(object)
    }

    fn find(&self, hash: u64, key: KeyRef<'_>) -> Option<Number> {
        let is_it = |&number: &Number| {
            let object = self.slab.object(number);
            object.is_some_and(|object| object.record.key() == key)
        };
        self.table.find(hash, is_it).copied()
    }

    fn under_way(&self, hash: u64, key: KeyRef<'_>) -> &[Arc<Fill<M>>] {
        if self.fills.is_empty() {
            return &[];
        }
        let fills = self.fills.find(hash, |fills| is_for(fills, key));
        fills.map_or(&[], Vec::as_slice)
    }
}

/// Whether these fills are of that key.
fn is_for<M>(fills: &[Arc<Fill<M>>], key: KeyRef<'_>) -> bool {
    fills.first().is_some_and(|fill| fill.record.key() == key)
}
