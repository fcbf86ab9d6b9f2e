//! One shard: what is stored and under way under each of its keys, and what to evict.

use super::{
    gone::Gone,
    places::Places,
    queues::{Queue, Queues, READS_MAX},
};
use crate::{
    key::{AsKey, Key, KeyRef},
    object::{Fill, Object},
    record::Record,
    refusal::Refusal,
    rules::{Rules, is_later},
};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

/// The most fetches for one key that are kept at once; more pass through unstored.
pub const FILLS_PER_KEY_MAX: usize = 4;
/// Stale places in the queues that are kept beside the valid ones, at most.
const STALE_PLACES_MAX: usize = 64;

pub(super) struct Shard<M> {
    slots: HashMap<Key, Slot<M>, ahash::RandomState>,
    queues: Queues,
    /// Every stored object has one.
    places: Places,
    objects: usize,
    fills: usize,
}

struct Slot<M> {
    stored: Option<Entry<M>>,
    fills: Vec<Arc<Fill<M>>>,
}

struct Entry<M> {
    object: Arc<Object<M>>,
    queue: Queue,
    ticket: u64,
    reads: AtomicU8,
    bytes: u64,
    place: usize,
}

/// What is stored under a key.
pub(crate) type Stored<M> = (Key, Arc<Record<M>>);

/// What a key has to offer, before anyone asks whether it is live.
pub(crate) struct Offer<M> {
    /// Open bodies under way whose fetches began after that of what is stored, the newest first.
    pub(crate) fills: Vec<Arc<Fill<M>>>,
    pub(crate) stored: Option<Arc<Object<M>>>,
}

impl<M> Shard<M> {
    pub(super) fn new() -> Self {
        Self {
            slots: HashMap::default(),
            queues: Queues::default(),
            places: Places::default(),
            objects: 0,
            fills: 0,
        }
    }

    /// What a key has. Nothing is allocated unless a body is under way.
    pub(super) fn offer<R: Rules>(&self, key: KeyRef<'_>, gone: u64) -> Option<Offer<M>> {
        let slot = self.slots.get(&key as &dyn AsKey)?;
        let stored = slot.stored.as_ref();
        let newest = stored.map_or(gone, |entry| gone.max(entry.object.record.fetch.generation));
        let mut fills: Vec<_> = slot
            .fills
            .iter()
            .filter(|fill| {
                is_later::<R>(fill.record.fetch.generation, newest) && fill.stream.is_open()
            })
            .cloned()
            .collect();
        fills.sort_unstable_by_key(|fill| std::cmp::Reverse(fill.record.fetch.generation));
        if let Some(entry) = stored.filter(|entry| entry.reads.load(Ordering::Relaxed) < READS_MAX)
        {
            entry.reads.fetch_add(1, Ordering::Relaxed);
        }
        Some(Offer {
            fills,
            stored: stored.map(|entry| Arc::clone(&entry.object)),
        })
    }

    pub(super) fn stored(&self, key: KeyRef<'_>) -> Option<Arc<Record<M>>> {
        let slot = self.slots.get(&key as &dyn AsKey)?;
        let entry = slot.stored.as_ref()?;
        Some(Arc::clone(&entry.object.record))
    }

    /// The fill of that number, whatever the marks say.
    pub(super) fn fill(&self, key: KeyRef<'_>, id: u64) -> Option<Arc<Fill<M>>> {
        self.slots
            .get(&key as &dyn AsKey)?
            .fills
            .iter()
            .find(|fill| fill.id == id)
            .cloned()
    }

    pub(super) fn begin(&mut self, key: &Key, fill: Arc<Fill<M>>) -> Result<(), Refusal> {
        let slot = self.slots.entry(key.clone()).or_insert_with(|| Slot {
            stored: None,
            fills: Vec::new(),
        });
        if slot.fills.len() >= FILLS_PER_KEY_MAX {
            return Err(Refusal::TooManyFills);
        }
        slot.fills.push(fill);
        self.fills += 1;
        Ok(())
    }

    /// A fill is no longer under way.
    pub(super) fn end(&mut self, key: &Key, id: u64) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let before = slot.fills.len();
        slot.fills.retain(|fill| fill.id != id);
        self.fills -= before - slot.fills.len();
        if slot.fills.is_empty() && slot.stored.is_none() {
            self.slots.remove(key);
        }
    }

    /// Stores an object unless something newer is or was there. Returns what it replaces, to be dropped outside.
    pub(super) fn store<R: Rules>(
        &mut self,
        key: &Key,
        hash: u64,
        object: Arc<Object<M>>,
        gone: &Gone,
    ) -> Result<Option<Arc<Object<M>>>, Refusal> {
        let generation = object.record.fetch.generation;
        if !is_later::<R>(generation, gone.newest(hash)) {
            return Err(Refusal::Older);
        }
        let bytes = object.charged();
        let slot = self.slots.entry(key.clone()).or_insert_with(|| Slot {
            stored: None,
            fills: Vec::new(),
        });
        if let Some(entry) = &mut slot.stored {
            if !is_later::<R>(generation, entry.object.record.fetch.generation) {
                return Err(Refusal::Older);
            }
            self.queues.leave(entry.queue, entry.bytes);
            entry.ticket = self.queues.push(entry.queue, key.clone(), bytes);
            entry.bytes = bytes;
            let replaced = std::mem::replace(&mut entry.object, object);
            self.forget_stale_places();
            return Ok(Some(replaced));
        }
        let (queue, ticket) = self.queues.enter(key, hash, bytes);
        slot.stored = Some(Entry {
            object,
            queue,
            ticket,
            reads: AtomicU8::new(0),
            bytes,
            place: self.places.take(key),
        });
        self.objects += 1;
        Ok(None)
    }

    /// New metadata for a stored body, if it still is that body and nothing newer is there.
    pub(super) fn revalidate<R: Rules>(
        &mut self,
        key: KeyRef<'_>,
        body_generation: u64,
        generation: u64,
        make: impl FnOnce(&Object<M>) -> Object<M>,
    ) -> Result<Arc<Object<M>>, Refusal> {
        let entry = self
            .slots
            .get_mut(&key as &dyn AsKey)
            .and_then(|slot| slot.stored.as_mut())
            .filter(|entry| entry.object.record.body_generation == body_generation)
            .ok_or(Refusal::Gone)?;
        if !is_later::<R>(generation, entry.object.record.fetch.generation) {
            return Err(Refusal::Older);
        }
        let object = Arc::new(make(&entry.object));
        self.queues.leave(entry.queue, entry.bytes);
        entry.bytes = object.charged();
        entry.ticket = self.queues.push(entry.queue, key.to_key(), entry.bytes);
        let replaced = std::mem::replace(&mut entry.object, object);
        self.forget_stale_places();
        Ok(replaced)
    }

    /// Takes out the object of that record, if it is still the stored one.
    pub(super) fn remove(
        &mut self,
        key: KeyRef<'_>,
        hash: u64,
        record: &Arc<Record<M>>,
        gone: &Gone,
    ) -> Option<Arc<Object<M>>> {
        let slot = self.slots.get_mut(&key as &dyn AsKey)?;
        let entry = slot
            .stored
            .take_if(|entry| Arc::ptr_eq(&entry.object.record, record))?;
        if slot.fills.is_empty() {
            self.slots.remove(&key as &dyn AsKey);
        }
        self.queues.leave(entry.queue, entry.bytes);
        self.places.leave(entry.place);
        self.objects -= 1;
        gone.leave(hash, entry.object.record.fetch.generation);
        self.forget_stale_places();
        Some(entry.object)
    }

    /// Evicts one object that nobody reads. None: there is none.
    pub(super) fn evict(
        &mut self,
        hash_of: impl Fn(KeyRef<'_>) -> u64,
        gone: &Gone,
    ) -> Option<Arc<Object<M>>> {
        // Every step takes a read from an object's count, or meets one that is being read: after so many steps all
        // that are left are being read.
        let steps_max = (usize::from(READS_MAX) + 2) * self.queues.len();
        for _ in 0..steps_max {
            let (queue, place) = self.queues.pop()?;
            let Some(slot) = self.slots.get_mut(&place.key) else {
                continue;
            };
            let Some(entry) = slot
                .stored
                .as_mut()
                .filter(|entry| entry.ticket == place.ticket)
            else {
                continue;
            };
            self.queues.leave(queue, entry.bytes);
            let reads = entry.reads.get_mut();
            let stays = entry.object.is_being_read()
                || match queue {
                    Queue::Small => *reads > 1,
                    Queue::Main => *reads > 0,
                };
            if stays {
                *reads = if queue == Queue::Small {
                    0
                } else {
                    reads.saturating_sub(1)
                };
                entry.queue = Queue::Main;
                entry.ticket = self.queues.push(Queue::Main, place.key, entry.bytes);
                continue;
            }
            let entry = slot.stored.take()?;
            if slot.fills.is_empty() {
                self.slots.remove(&place.key);
            }
            let hash = hash_of(place.key.as_ref());
            if queue == Queue::Small {
                self.queues.haunt(hash);
            }
            self.places.leave(entry.place);
            self.objects -= 1;
            gone.leave(hash, entry.object.record.fetch.generation);
            return Some(entry.object);
        }
        None
    }

    /// What is stored at so many places from `from` on, and where to go on from; none: these were the last.
    pub(super) fn walk(&self, from: usize, places: usize) -> (Vec<Stored<M>>, Option<usize>) {
        let stored = self.places.from(from, places).filter_map(|key| {
            let record = self.stored(key.as_ref())?;
            Some((key.clone(), record))
        });
        let next = from.saturating_add(places);
        (stored.collect(), (next < self.places.end()).then_some(next))
    }

    pub(super) fn objects(&self) -> usize {
        self.objects
    }

    pub(super) fn fills(&self) -> usize {
        self.fills
    }

    fn forget_stale_places(&mut self) {
        if self.queues.len() > 2 * self.objects + STALE_PLACES_MAX {
            let slots = &self.slots;
            self.queues.retain(|place| {
                let entry = slots.get(&place.key).and_then(|slot| slot.stored.as_ref());
                entry.is_some_and(|entry| entry.ticket == place.ticket)
            });
        }
    }
}
