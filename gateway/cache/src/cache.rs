//! The cache itself: fill, revalidate, make room.

use crate::{
    body::WHOLE_BYTES_MAX,
    budget::{Budget, Charge},
    count::{CacheCount, Counters},
    filling::Filling,
    hit_for_miss::HitForMiss,
    identity::{Identified as _, TAGS_MAX},
    index::{Eviction, Index},
    key::KeyRef,
    marks::{Fetching, History, Marks},
    object::{Fill, Object},
    record::{Metadata, Record},
    refusal::Refusal,
    rules::{Kept, Point, Rules},
    stream::Stream,
    trust::Arrival,
    writer::Writer,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// No object may take more than this share of the cache: 1 / this.
pub const OBJECT_SHARE: u64 = 4;
/// What an object costs beside its key, identity, metadata and body: `examples/memory.rs` of the gateway measures it.
pub const OBJECT_OVERHEAD_BYTES: u64 = 256;
/// For so long, requests for a key whose body was too large, or found no room, do not wait for each other.
pub const UNSTORABLE_PERIOD: Duration = Duration::from_secs(10);

/// A memory cache whose objects carry metadata of type `M`.
pub struct Cache<M, R = Kept> {
    pub(crate) index: Index<M, R>,
    pub(crate) marks: Arc<Marks<R>>,
    pub(crate) counters: Counters,
    pub(crate) filling: Filling,
    budget: Arc<Budget>,
    pub(crate) hit_for_miss: HitForMiss,
    pub(crate) next_fill: AtomicU64,
}

/// What is known of a body before it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    /// The length that its header announced.
    pub bytes: Option<u64>,
    /// A larger body is not stored.
    pub bytes_max: u64,
}

impl<M: Metadata, R: Rules> Cache<M, R> {
    /// An empty cache of that many bytes, those under way included, that obeys these marks.
    pub fn new(bytes_max: u64, marks: Arc<Marks<R>>) -> Arc<Self> {
        Self::open(bytes_max, Eviction::default(), marks)
    }

    /// The same, evicting in that way.
    pub fn open(bytes_max: u64, eviction: Eviction, marks: Arc<Marks<R>>) -> Arc<Self> {
        Arc::new(Self {
            index: Index::new(bytes_max, eviction),
            marks,
            counters: Counters::default(),
            filling: Filling::new(bytes_max),
            budget: Budget::new(bytes_max),
            hit_for_miss: HitForMiss::default(),
            next_fill: AtomicU64::new(0),
        })
    }

    /// The marks that it obeys.
    pub fn marks(&self) -> &Arc<Marks<R>> {
        &self.marks
    }

    /// A request has come that names sites as the history does that is obeyed now.
    pub fn arrive(&self) -> Arrival {
        self.arrive_under(self.marks.history())
    }

    /// A request has come, decided by a policy of that history. To be called before it looks anything up, for
    /// [`Trust::Isolated`](crate::Trust::Isolated), and for its [fetches](Self::begin_fetch_for).
    pub fn arrive_under(&self, history: History) -> Arrival {
        self.marks.arrive_under(history)
    }

    /// Begins a fetch or a validation. Must be called before the origin is asked, and what it returns be held until the
    /// body begins to be stored, or the 304 has renewed what it validated.
    pub fn begin_fetch(&self) -> Fetching {
        self.marks.begin()
    }

    /// The same for a request. None: nothing of what it brings is to be stored, for its policy is of another history than the one
    /// that is obeyed by now.
    pub fn begin_fetch_for(&self, arrival: Arrival) -> Option<Fetching> {
        self.marks.begin_for(arrival)
    }

    /// Begins to store what a fetch brings. A refusal does not concern the client: its answer passes through.
    pub fn fill(
        self: &Arc<Self>,
        key: KeyRef<'_>,
        record: Record<M>,
        expectation: Expectation,
    ) -> Result<Writer<M, R>, Refusal> {
        let begun = self.try_fill(record.keyed(key), expectation);
        if let Err(refusal) = &begun {
            self.refuse(key, *refusal);
        }
        begun
    }

    fn try_fill(
        self: &Arc<Self>,
        record: Record<M>,
        expectation: Expectation,
    ) -> Result<Writer<M, R>, Refusal> {
        let bytes_max = expectation.bytes_max.min(self.object_bytes_max());
        if expectation.bytes.is_some_and(|bytes| bytes > bytes_max) {
            return Err(Refusal::TooLarge);
        }
        if record.tags().count() > TAGS_MAX {
            return Err(Refusal::TooManyTags);
        }
        let body_bytes = expectation.bytes.map_or(0, Writer::<M, R>::bytes_for);
        let is_small = expectation
            .bytes
            .is_none_or(|bytes| bytes <= WHOLE_BYTES_MAX);
        let hold = self
            .hold(
                record_bytes(&record).saturating_add(body_bytes),
                if is_small { 0 } else { body_bytes },
            )
            .ok_or(Refusal::NoRoom)?;
        let fill = Arc::new(Fill {
            id: self.next_fill.fetch_add(1, Ordering::Relaxed),
            record: Arc::new(record),
            stream: Stream::new(expectation.bytes, Arc::clone(&self.counters.passing_bytes)),
        });
        self.index.begin(Arc::clone(&fill))?;
        Ok(Writer::new(Arc::clone(self), fill, bytes_max, hold))
    }

    /// Puts new metadata to the body that was validated, if it is still there and nothing newer is.
    pub fn revalidate(&self, key: KeyRef<'_>, record: Record<M>) -> Result<(), Refusal> {
        let renewed = self.try_revalidate(key, record);
        match renewed {
            Ok(()) => Counters::add(&self.counters.revalidated),
            Err(refusal) => self.counters.refuse(refusal),
        }
        renewed
    }

    fn try_revalidate(&self, key: KeyRef<'_>, record: Record<M>) -> Result<(), Refusal> {
        // The record of before, too: it may have been purged after it was found and before this validation began. What
        // is published after this question is newer than the validation's stamp, and so takes the new record as well.
        let stored = self.index.stored(key).ok_or(Refusal::Gone)?;
        let dead = |record: &Record<M>| record.liveness(&self.marks).is_dead();
        if dead(&stored) || dead(&record) {
            return Err(Refusal::Purged);
        }
        if record.tags().count() > TAGS_MAX {
            // It goes: what is stored does not have the tags that the origin says it has.
            self.index.remove(&stored);
            return Err(Refusal::TooManyTags);
        }
        let record = record.keyed(key);
        let charge = self.charge(record_bytes(&record)).ok_or(Refusal::NoRoom)?;
        R::reach(Point::JudgeAndRenew);
        self.index.revalidate(Arc::new(record), |body, old| {
            body.record_charge().absorb(charge);
            body.record_charge().give_back(record_bytes(old));
        })
    }

    /// For a period, requests for the key go to the origin side by side: its answer could not be cached.
    pub fn remember_uncacheable(&self, key: KeyRef<'_>, period: Duration) {
        self.hit_for_miss
            .remember(self.primary_hash(key), R::now(), period);
    }

    /// Whether requests for the key need not wait for each other.
    pub fn is_uncacheable(&self, key: KeyRef<'_>) -> bool {
        self.hit_for_miss.holds(self.primary_hash(key), R::now())
    }

    /// Numbers for metrics.
    pub fn count(&self) -> CacheCount {
        CacheCount {
            objects: self.index.objects() as u64,
            fills: self.index.fills() as u64,
            bytes: self.budget.used(),
            bytes_max: self.budget.bytes_max(),
            bytes_peak: self.budget.peak(),
            lingering_bytes: self.index.lingering().bytes(),
            filling_bytes: self.filling.bytes(),
            hit_for_miss: self.hit_for_miss.len() as u64,
            ..self.counters.read()
        }
    }

    /// Charges bytes, evicting until they fit, [withdrawing](crate::LINGER_RATE) what slow readers hold, and giving up slow fills.
    /// None: that is not enough.
    pub(crate) fn charge(&self, bytes: u64) -> Option<Charge> {
        if bytes > self.budget.bytes_max() {
            return None;
        }
        loop {
            if let Some(charge) = self.budget.try_charge(bytes) {
                return Some(charge);
            }
            if self.index.evict() {
                Counters::add(&self.counters.evicted);
            } else if self.index.lingering().withdraw_one(R::now()) {
                Counters::add(&self.counters.withdrawn);
            } else if !self.give_up_a_fill() {
                return None;
            }
        }
    }

    /// Stores a complete object, if nothing newer was there and no purge came between.
    pub(crate) fn store(&self, object: Object<M>) -> Result<(), Refusal> {
        if object.record.liveness(&self.marks).is_dead() {
            return Err(Refusal::Purged);
        }
        R::reach(Point::JudgeAndStore);
        let primary_hash = self.primary_hash(object.record.key());
        self.index.store(object)?;
        self.hit_for_miss.forget(primary_hash);
        Counters::add(&self.counters.stored);
        Ok(())
    }

    /// A larger body is not stored.
    pub fn object_bytes_max(&self) -> u64 {
        self.budget.bytes_max() / OBJECT_SHARE
    }

    pub(crate) fn refuse(&self, key: KeyRef<'_>, refusal: Refusal) {
        self.counters.refuse(refusal);
        if matches!(refusal, Refusal::TooLarge | Refusal::NoRoom) {
            self.remember_uncacheable(key, UNSTORABLE_PERIOD);
        }
    }

    /// Before a look-up the variance is unknown, so uncacheable answers are remembered without it.
    pub(crate) fn primary_hash(&self, key: KeyRef<'_>) -> u64 {
        self.index.hash(KeyRef {
            variance: None,
            ..key
        })
    }
}

/// What a record is charged.
pub(crate) fn record_bytes<M: Metadata>(record: &Record<M>) -> u64 {
    OBJECT_OVERHEAD_BYTES + record.name_bytes() + record.meta.bytes()
}

impl<M, R> std::fmt::Debug for Cache<M, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
