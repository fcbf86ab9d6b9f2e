//! Where every object is: in memory, at most [`ENTRY_MEMORY_BYTES_MAX`] bytes an object.
//!
//! Entries lie in pages that never move; a table of their numbers finds them. Were the entries in the table, its free half
//! after a doubling would cost more than they do.

use crate::hash::KeyHash;
use hashbrown::HashTable;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Parts with a lock each.
pub(crate) const SHARDS: usize = 64;
/// What an object costs in memory, at most, if there are many. `examples/fill.rs` measures it.
pub const ENTRY_MEMORY_BYTES_MAX: u64 = 64;
/// Hits beyond this are not told apart.
pub(crate) const HITS_MAX: u8 = 3;
const PAGE_ENTRIES: usize = 256;
const NONE: u64 = u64::MAX;

/// Where an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Entry {
    pub(crate) hash: KeyHash,
    /// Its place in the order of fetches, over all runs.
    pub(crate) order: u64,
    /// The segment of its head.
    pub(crate) segment: u32,
    /// Of the frame of its head.
    pub(crate) offset: u32,
    /// Of that frame, with what stands in it.
    pub(crate) bytes: u32,
    /// How many segments before that its oldest chunk is.
    pub(crate) span: u16,
    /// How often it was asked for since it was written.
    pub(crate) hits: u8,
    /// All of its chunks have been verified in this run, or were written in it.
    pub(crate) is_proven: bool,
}

const _: () = assert!(size_of::<Entry>() == 40);

/// The index.
#[derive(Debug)]
pub(crate) struct Index {
    shards: Vec<Mutex<Shard>>,
    objects: AtomicU64,
}

#[derive(Debug)]
struct Shard {
    table: HashTable<u32>,
    pages: Vec<Box<[Entry]>>,
    /// The first free entry; its order is the next one.
    free: u64,
}

impl Entry {
    /// The oldest segment that it has a part in.
    pub(crate) fn oldest(&self) -> u32 {
        self.segment.saturating_sub(u32::from(self.span))
    }

    /// Whether both speak of the same frame.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        (self.hash, self.segment, self.offset) == (other.hash, other.segment, other.offset)
    }
}

impl Index {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect(),
            objects: AtomicU64::new(0),
        }
    }

    fn with<T>(&self, hash: KeyHash, work: impl FnOnce(&mut Shard) -> T) -> Option<T> {
        let shard = self.shards.get(hash.high as usize % SHARDS)?;
        Some(work(&mut shard.lock()))
    }

    /// Where it is.
    pub(crate) fn get(&self, hash: KeyHash) -> Option<Entry> {
        self.with(hash, |shard| shard.find(hash).copied())?
    }

    /// Where it is; one more has asked for it.
    pub(crate) fn hit(&self, hash: KeyHash) -> Option<Entry> {
        self.with(hash, |shard| {
            let entry = shard.find(hash)?;
            entry.hits = (entry.hits + 1).min(HITS_MAX);
            Some(*entry)
        })?
    }

    /// Puts it there unless what is there is as new. False: it is.
    pub(crate) fn insert(&self, entry: Entry) -> bool {
        let inserted = self.with(entry.hash, |shard| match shard.find(entry.hash) {
            Some(old) if old.order >= entry.order => (false, false),
            Some(old) => {
                let hits = old.hits;
                *old = Entry { hits, ..entry };
                (true, false)
            }
            None => {
                shard.add(entry);
                (true, true)
            }
        });
        let (is_in, is_more) = inserted.unwrap_or_default();
        if is_more {
            self.objects.fetch_add(1, Ordering::Relaxed);
        }
        is_in
    }

    /// Puts it in the place of exactly that one. False: that one is no longer there.
    pub(crate) fn replace(&self, old: &Entry, new: Entry) -> bool {
        self.with(old.hash, |shard| match shard.find(old.hash) {
            Some(there) if there.is_at(old) => {
                *there = new;
                true
            }
            _ => false,
        })
        .unwrap_or_default()
    }

    /// All of its chunks were verified.
    pub(crate) fn prove(&self, of: &Entry) {
        self.with(of.hash, |shard| {
            if let Some(there) = shard.find(of.hash).filter(|there| there.is_at(of)) {
                there.is_proven = true;
            }
        });
    }

    /// Takes out exactly that one.
    pub(crate) fn remove(&self, entry: &Entry) -> bool {
        self.remove_if(entry.hash, |there| there.is_at(entry))
            .is_some()
    }

    /// Takes out what is there, if it is no newer.
    pub(crate) fn remove_up_to(&self, hash: KeyHash, order: u64) -> Option<Entry> {
        self.remove_if(hash, |there| there.order <= order)
    }

    fn remove_if(&self, hash: KeyHash, is_it: impl FnOnce(&Entry) -> bool) -> Option<Entry> {
        let removed = self.with(hash, |shard| {
            let there = *shard.find(hash)?;
            if !is_it(&there) {
                return None;
            }
            shard.remove(hash);
            Some(there)
        })??;
        self.objects.fetch_sub(1, Ordering::Relaxed);
        Some(removed)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.objects.load(Ordering::Relaxed)
    }

    /// What one shard holds, as it is now.
    pub(crate) fn shard(&self, number: usize) -> Vec<Entry> {
        self.collect(number, |_| true)
    }

    /// What has a part in a segment, or in an older one.
    pub(crate) fn of_segment(&self, segment: u32) -> Vec<Entry> {
        (0..SHARDS)
            .flat_map(|shard| self.collect(shard, |entry| entry.oldest() <= segment))
            .collect()
    }

    /// What has its head in a segment, from an offset on, in the order in which it stands there.
    pub(crate) fn behind(&self, segment: u32, offset: u32) -> Vec<Entry> {
        let is_there = |entry: &Entry| entry.segment == segment && entry.offset >= offset;
        let mut found: Vec<_> = (0..SHARDS)
            .flat_map(|shard| self.collect(shard, is_there))
            .collect();
        found.sort_unstable_by_key(|entry| entry.offset);
        found
    }

    fn collect(&self, number: usize, mut wanted: impl FnMut(&Entry) -> bool) -> Vec<Entry> {
        let Some(shard) = self.shards.get(number) else {
            return Vec::new();
        };
        let shard = shard.lock();
        let entries = shard.table.iter().filter_map(|&at| shard.at(at).copied());
        entries.filter(|entry| wanted(entry)).collect()
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            let gone = {
                let mut shard = shard.lock();
                std::mem::replace(&mut *shard, Shard::new())
            };
            self.objects
                .fetch_sub(gone.table.len() as u64, Ordering::Relaxed);
        }
    }
}

impl Shard {
    fn new() -> Self {
        Self {
            table: HashTable::new(),
            pages: Vec::new(),
            free: NONE,
        }
    }

    fn at(&self, number: u32) -> Option<&Entry> {
        let (page, entry) = place(number);
        self.pages.get(page)?.get(entry)
    }

    fn at_mut(&mut self, number: u32) -> Option<&mut Entry> {
        let (page, entry) = place(number);
        self.pages.get_mut(page)?.get_mut(entry)
    }

    fn number(&self, hash: KeyHash) -> Option<u32> {
        let is_it = |&at: &u32| self.at(at).is_some_and(|entry| entry.hash == hash);
        self.table.find(hash.low, is_it).copied()
    }

    fn find(&mut self, hash: KeyHash) -> Option<&mut Entry> {
        let number = self.number(hash)?;
        self.at_mut(number)
    }

    fn add(&mut self, entry: Entry) {
        if self.free == NONE {
            self.add_page();
        }
        let number = self.free as u32;
        if let Some(place) = self.at_mut(number) {
            let next = place.order;
            *place = entry;
            self.free = next;
            let pages = &self.pages;
            self.table.insert_unique(entry.hash.low, number, |&at| {
                let (page, entry) = place_of(pages, at);
                page.and_then(|page| page.get(entry))
                    .map_or(0, |entry| entry.hash.low)
            });
        }
    }

    fn add_page(&mut self) {
        let first = (self.pages.len() * PAGE_ENTRIES) as u64;
        let last = first + PAGE_ENTRIES as u64 - 1;
        let page = (first..=last)
            .map(|number| Entry {
                order: if number == last { NONE } else { number + 1 },
                ..Entry::default()
            })
            .collect();
        self.pages.push(page);
        self.free = first;
    }

    fn remove(&mut self, hash: KeyHash) {
        let Some(number) = self.number(hash) else {
            return;
        };
        if let Ok(found) = self.table.find_entry(hash.low, |&at| at == number) {
            found.remove();
        }
        let free = self.free;
        if let Some(place) = self.at_mut(number) {
            *place = Entry {
                order: free,
                ..Entry::default()
            };
            self.free = u64::from(number);
        }
    }
}

fn place(number: u32) -> (usize, usize) {
    let number = number as usize;
    (number / PAGE_ENTRIES, number % PAGE_ENTRIES)
}

fn place_of(pages: &[Box<[Entry]>], number: u32) -> (Option<&[Entry]>, usize) {
    let (page, entry) = place(number);
    (pages.get(page).map(|page| &**page), entry)
}
