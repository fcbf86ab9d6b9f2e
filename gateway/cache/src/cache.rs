//! The cache itself: look up, fill, revalidate.

use crate::{
    body::BodyReader,
    budget::{Budget, Charge},
    count::{CacheCount, Counters},
    hit_for_miss::HitForMiss,
    identity::TAGS_MAX,
    index::Index,
    key::{Key, KeyRef},
    liveness::Liveness,
    marks::{Fetching, Marks},
    object::{Fill, Object, Reader},
    record::{Metadata, Record},
    refusal::Refusal,
    rules::{Kept, Point, Rules},
    stream::{Broken, Stream},
    trust::{Arrival, StaleRefusal, Trust},
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
/// What an object costs beside its key, identity, metadata and body.
pub const OBJECT_OVERHEAD_BYTES: u64 = 512;
/// For so long, requests for a key whose body was too large, or found no room, do not wait for each other.
pub const UNSTORABLE_PERIOD: Duration = Duration::from_secs(10);

/// A memory cache whose objects carry metadata of type `M`.
pub struct Cache<M, R = Kept> {
    pub(crate) index: Index<M, R>,
    pub(crate) marks: Arc<Marks<R>>,
    pub(crate) counters: Counters,
    budget: Arc<Budget>,
    hit_for_miss: HitForMiss,
    next_fill: AtomicU64,
}

/// What a look-up found. It was live when the look-up looked at the marks.
#[derive(Debug)]
pub struct Found<M> {
    /// What is known of it.
    pub record: Arc<Record<M>>,
    /// Live, or soft-purged; never dead.
    pub liveness: Liveness,
    /// Reads its body.
    pub reader: Reader,
}

/// What a look-up found, and what may be done with it.
#[derive(Debug)]
pub enum Looked<M> {
    /// Nothing that lives.
    Absent,
    /// It may be used as it is.
    Usable(Found<M>),
    /// The edge is isolated and this was fetched before the request came: it may be validated, and is not to be used,
    /// stale or not, unless the origin says so.
    Doubtful(Found<M>),
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
        Arc::new(Self {
            index: Index::new(),
            marks,
            counters: Counters::default(),
            budget: Budget::new(bytes_max),
            hit_for_miss: HitForMiss::default(),
            next_fill: AtomicU64::new(0),
        })
    }

    /// The marks that it obeys.
    pub fn marks(&self) -> &Arc<Marks<R>> {
        &self.marks
    }

    /// A request has come. To be called before it looks anything up, for [`Trust::Isolated`].
    pub fn arrive(&self) -> Arrival {
        self.marks.arrive()
    }

    /// Begins a fetch or a validation. Must be called before the origin is asked, and what it returns be held until the
    /// body begins to be stored, or the 304 has renewed what it validated.
    pub fn begin_fetch(&self) -> Fetching {
        self.marks.begin()
    }

    /// The newest live object that the key has, complete or arriving. A dead one is taken out.
    pub fn find(&self, key: KeyRef<'_>) -> Option<Found<M>> {
        let offer = self.index.offer(key)?;
        R::reach(Point::OfferAndLook);
        for fill in offer.fills {
            let liveness = fill.record.liveness(&self.marks);
            // It may have stopped being open since it was offered.
            let follower = if liveness.is_dead() {
                None
            } else {
                R::reach(Point::LookAndFollow);
                fill.stream.follow()
            };
            if let Some(follower) = follower {
                let record = Arc::clone(&fill.record);
                return Some(Found {
                    record,
                    liveness,
                    reader: Reader::Following(follower),
                });
            }
        }
        let object = offer.stored?;
        let liveness = object.record.liveness(&self.marks);
        if liveness.is_dead() {
            R::reach(Point::LookAndRemove);
            if self.index.remove(key, &object.record) {
                Counters::add(&self.counters.dead);
            }
            return None;
        }
        let reader = Reader::Stored(BodyReader::new(Arc::clone(&object.body)));
        Some(Found {
            record: Arc::clone(&object.record),
            liveness,
            reader,
        })
    }

    /// The same for a request that may have to doubt the marks: what it finds may be used as it is
    /// ([`Looked::Usable`]), or must be validated first.
    pub fn look_up(&self, key: KeyRef<'_>, trust: Trust) -> Looked<M> {
        match self.find(key) {
            None => Looked::Absent,
            Some(found) if found.record.is_trusted(&self.marks, trust) => Looked::Usable(found),
            Some(found) => Looked::Doubtful(found),
        }
    }

    /// Whether what was found, and is stale, may be served after all: the marks are asked again, since purges may have
    /// come since it was found, and so is the trust, since the edge may be isolated by now. To be called directly before
    /// it is served. Ok says what the marks say now: live, or soft-purged.
    pub fn ask_before_stale(
        &self,
        record: &Record<M>,
        found: Liveness,
        trust: Trust,
    ) -> Result<Liveness, StaleRefusal> {
        if !R::ASK_AGAIN_BEFORE_STALE {
            return Ok(found);
        }
        if !record.is_trusted(&self.marks, trust) {
            return Err(StaleRefusal::Isolated);
        }
        record.liveness(&self.marks).into()
    }

    /// Follows exactly that fill, whatever the marks say by now: for the request that brings it.
    pub fn follow(&self, key: KeyRef<'_>, fill: u64) -> Option<Found<M>> {
        let fill = self.index.fill(key, fill)?;
        let follower = fill.stream.follow()?;
        Some(Found {
            record: Arc::clone(&fill.record),
            liveness: Liveness::Live,
            reader: Reader::Following(follower),
        })
    }

    /// Begins to store what a fetch brings. A refusal does not concern the client: its answer passes through.
    pub fn fill(
        self: &Arc<Self>,
        key: KeyRef<'_>,
        record: Record<M>,
        expectation: Expectation,
    ) -> Result<Writer<M, R>, Refusal> {
        let begun = self.try_fill(key.to_key(), record, expectation);
        if let Err(refusal) = &begun {
            self.refuse(key, *refusal);
        }
        begun
    }

    fn try_fill(
        self: &Arc<Self>,
        key: Key,
        record: Record<M>,
        expectation: Expectation,
    ) -> Result<Writer<M, R>, Refusal> {
        let bytes_max = expectation
            .bytes_max
            .min(self.budget.bytes_max() / OBJECT_SHARE);
        if expectation.bytes.is_some_and(|bytes| bytes > bytes_max) {
            return Err(Refusal::TooLarge);
        }
        if record.identity.tags.len() > TAGS_MAX {
            return Err(Refusal::TooManyTags);
        }
        let record_charge = self
            .charge(record_bytes(&key, &record))
            .ok_or(Refusal::NoRoom)?;
        let body_charge = self
            .charge(expectation.bytes.map_or(0, Writer::<M, R>::bytes_for))
            .ok_or(Refusal::NoRoom)?;
        let fill = Arc::new(Fill {
            id: self.next_fill.fetch_add(1, Ordering::Relaxed),
            record: Arc::new(record),
            stream: Stream::new(expectation.bytes, Arc::clone(&self.counters.passing_bytes)),
        });
        self.index.begin(&key, Arc::clone(&fill))?;
        Ok(Writer::new(
            Arc::clone(self),
            key,
            fill,
            bytes_max,
            record_charge,
            body_charge,
        ))
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
        if record.identity.tags.len() > TAGS_MAX {
            // It goes: what is stored does not have the tags that the origin says it has.
            self.index.remove(key, &stored);
            return Err(Refusal::TooManyTags);
        }
        let charge = self
            .charge(record_bytes(&key.to_key(), &record))
            .ok_or(Refusal::NoRoom)?;
        R::reach(Point::JudgeAndRenew);
        let (body, generation) = (record.body_generation, record.fetch.generation);
        let record = Arc::new(record);
        self.index.revalidate(key, body, generation, |old| Object {
            record,
            body: Arc::clone(&old.body),
            charge,
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
            hit_for_miss: self.hit_for_miss.len() as u64,
            ..self.counters.read()
        }
    }

    /// Charges bytes, evicting what nobody reads until they fit. None: that is not enough.
    pub(crate) fn charge(&self, bytes: u64) -> Option<Charge> {
        if bytes > self.budget.bytes_max() {
            return None;
        }
        loop {
            if let Some(charge) = self.budget.try_charge(bytes) {
                return Some(charge);
            }
            if !self.index.evict() {
                return None;
            }
            Counters::add(&self.counters.evicted);
        }
    }

    /// Stores a complete object, if nothing newer was there and no purge came between.
    pub(crate) fn store(&self, key: &Key, object: Object<M>) -> Result<(), Refusal> {
        if object.record.liveness(&self.marks).is_dead() {
            return Err(Refusal::Purged);
        }
        R::reach(Point::JudgeAndStore);
        self.index.store(key, Arc::new(object))?;
        self.hit_for_miss.forget(self.primary_hash(key.as_ref()));
        Counters::add(&self.counters.stored);
        Ok(())
    }

    pub(crate) fn refuse(&self, key: KeyRef<'_>, refusal: Refusal) {
        self.counters.refuse(refusal);
        if matches!(refusal, Refusal::TooLarge | Refusal::NoRoom) {
            self.remember_uncacheable(key, UNSTORABLE_PERIOD);
        }
    }

    /// Before a look-up the variance is unknown, so uncacheable answers are remembered without it.
    fn primary_hash(&self, key: KeyRef<'_>) -> u64 {
        self.index.hash(KeyRef {
            variance: None,
            ..key
        })
    }
}

impl<M> Found<M> {
    /// Whether its body is still arriving.
    pub fn is_filling(&self) -> bool {
        matches!(self.reader, Reader::Following(_))
    }

    /// Reads all of its body.
    pub async fn read_all(&mut self) -> Result<Vec<u8>, Broken> {
        let mut whole = Vec::new();
        while let Some(piece) = self.reader.read().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }
}

fn record_bytes<M: Metadata>(key: &Key, record: &Record<M>) -> u64 {
    OBJECT_OVERHEAD_BYTES + key.bytes() + record.identity.bytes() + record.meta.bytes()
}

impl<M, R> std::fmt::Debug for Cache<M, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
