//! What the threads of the tier, its readers and its writers share.

use crate::{
    fill::Fills,
    format::head::Removal,
    hash::KeyHash,
    head::Judge,
    index::{Entry, Index},
    layer::Layer,
    memory::Memory,
    outcome::{Counters, Fault},
    pool::Pool,
    proof::Proofs,
    queue::Queue,
    segments::Segments,
    settings::Settings,
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// What they share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) layer: Arc<dyn Layer>,
    pub(crate) judge: Arc<dyn Judge>,
    pub(crate) index: Index,
    pub(crate) segments: Segments,
    pub(crate) fills: Fills,
    /// What waits for the disk.
    pub(crate) memory: Arc<Memory>,
    /// What followers of refused fills have not read.
    pub(crate) passing: Arc<Memory>,
    pub(crate) proofs: Proofs,
    pub(crate) queue: Queue,
    pub(crate) pool: Pool,
    pub(crate) counters: Counters,
    pub(crate) numbers: Numbers,
    bodies: Arc<AtomicUsize>,
}

/// What is counted beside outcomes, and the order.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// What the orders of this run begin behind.
    pub(crate) base: AtomicU64,
    /// The highest order that was given.
    pub(crate) order_max: AtomicU64,
    pub(crate) stored: AtomicU64,
    pub(crate) found: AtomicU64,
    pub(crate) evicted: AtomicU64,
    pub(crate) rewritten_bytes: AtomicU64,
    pub(crate) written_bytes: AtomicU64,
    pub(crate) disk_bytes: AtomicU64,
    pub(crate) snapshots: AtomicU64,
    pub(crate) openings: AtomicU64,
    /// Why the folder is not open: the fault's place in [`Fault::ALL`], from 1; 0: it is, or was not opened yet.
    pub(crate) trouble: AtomicUsize,
}

/// One body that is being read.
#[derive(Debug)]
pub(crate) struct BodyPermit(Arc<AtomicUsize>);

impl Shared {
    pub(crate) fn new(settings: Settings, layer: Arc<dyn Layer>, judge: Arc<dyn Judge>) -> Self {
        Self {
            layer,
            judge,
            index: Index::new(),
            segments: Segments::default(),
            fills: Fills::default(),
            memory: Memory::new(settings.queue_bytes_max),
            passing: Memory::new(settings.queue_bytes_max),
            proofs: Proofs::default(),
            queue: Queue::new(),
            pool: Pool::new(settings.lookups_max),
            counters: Counters::default(),
            numbers: Numbers::default(),
            bodies: Arc::default(),
            settings,
        }
    }

    /// None: enough bodies are being read.
    pub(crate) fn body_permit(&self) -> Option<BodyPermit> {
        let max = self.settings.bodies_max;
        let more = |bodies: usize| (bodies < max).then_some(bodies + 1);
        self.bodies
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()
            .map(|_| BodyPermit(Arc::clone(&self.bodies)))
    }

    pub(crate) fn bodies(&self) -> usize {
        self.bodies.load(Ordering::Relaxed)
    }

    /// The place of a generation of this run in the order over all runs.
    pub(crate) fn order(&self, generation: u64) -> u64 {
        self.numbers
            .base
            .load(Ordering::Acquire)
            .saturating_add(generation)
    }

    /// The generation that an order stands for in this run; 0: an earlier run's.
    pub(crate) fn generation(&self, order: u64) -> u64 {
        order.saturating_sub(self.numbers.base.load(Ordering::Acquire))
    }

    /// The folder can't be used, for that reason.
    pub(crate) fn is_lost(&self, fault: Fault) {
        self.counters.add(fault);
        let place = Fault::ALL.iter().position(|other| *other == fault);
        let place = place.map_or(0, |place| place + 1);
        self.numbers.trouble.store(place, Ordering::Relaxed);
    }

    /// Why the folder is not open.
    pub(crate) fn trouble(&self) -> Option<Fault> {
        let place = self.numbers.trouble.load(Ordering::Relaxed);
        Fault::ALL.get(place.checked_sub(1)?).copied()
    }

    /// What began to be fetched before that is not offered any more: something later was served that is not stored.
    pub(crate) fn forget_older(&self, hash: KeyHash, order: u64) {
        self.remove_up_to(hash, order.saturating_sub(1));
    }

    /// Takes out what is there, if it is no newer, and for good. True: it was there. While the folder is not open it is not known
    /// what is there: it is removed when it is.
    pub(crate) fn remove_up_to(&self, hash: KeyHash, order: u64) -> bool {
        loop {
            let opening = self.queue.opening();
            if opening.is_none() {
                match self.queue.remove_later(Removal { hash, order }) {
                    Some(true) => return false,
                    Some(false) => {
                        self.counters.add(Fault::RemovalLost);
                        return false;
                    }
                    None => continue,
                }
            }
            if let Some(entry) = self.index.remove_up_to(hash, order) {
                self.write_removal(&entry);
                return true;
            }
            if self.queue.opening() == opening {
                return false;
            }
        }
    }

    /// Forgets an object, for good: what is on disk of it is not believed after a restart either.
    pub(crate) fn forget(&self, entry: &Entry) -> bool {
        let is_forgotten = self.index.remove(entry);
        if is_forgotten {
            self.write_removal(entry);
        }
        is_forgotten
    }

    pub(crate) fn write_removal(&self, entry: &Entry) {
        let removal = Removal {
            hash: entry.hash,
            order: entry.order,
        };
        if !self.queue.remove(removal) {
            self.counters.add(Fault::RemovalLost);
        }
    }
}

impl Drop for BodyPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
