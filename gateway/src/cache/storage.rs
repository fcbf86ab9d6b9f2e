//! The memory tier as Pingora's storage.

use super::{
    hit::Hit as HitReader,
    lock::FillLock,
    meta::{Fetched, Named, hit, key_ref, meta_of, meta_of_disk},
    miss::Miss,
    stored::StoredMeta,
};
use crate::disk::{Disk, DiskFill};
use async_trait::async_trait;
use latencify_cache::{
    Arrival, Cache, CacheCount, Eviction, Expectation, Fetching, Found, History, Identity,
    Liveness, Marks, Record, Refusal, Sweep,
};
use pingora::{
    Error, ErrorType, Result,
    cache::{
        CacheKey, CacheMeta, HitHandler, MissHandler, PurgeOutcome, PurgeTarget, PurgeType,
        Storage, storage::streaming_write::U64WriteId, trace::SpanHandle,
    },
};
use std::{
    any::Any,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// Whatever tags a response may have, an object may have.
const _: () = assert!(latencify_cache::TAGS_MAX == latencify_decide::tags::TAGS_MAX);

/// How large the cache is, and how patient.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The most bytes of all stored objects and of those under way.
    pub bytes_max: u64,
    /// Which objects leave when there is no room.
    pub eviction: Eviction,
    /// A fetch that has not brought a header after this long is no longer waited for.
    pub fill_lock_age: Duration,
}

/// The memory tier as Pingora sees it.
pub struct MemoryStorage {
    cache: Arc<Cache<StoredMeta>>,
    lock: FillLock,
    disk: OnceLock<Arc<Disk>>,
}

impl MemoryStorage {
    /// Opens the memory tier, for the life of the process.
    pub fn open(options: Options, marks: Arc<Marks>) -> &'static Self {
        let cache = Cache::open(options.bytes_max, options.eviction, marks);
        let lock = FillLock::new(Arc::clone(&cache), options.fill_lock_age);
        Box::leak(Box::new(Self {
            cache,
            lock,
            disk: OnceLock::new(),
        }))
    }

    /// The fill lock that goes with it.
    pub fn lock(&'static self) -> &'static FillLock {
        &self.lock
    }

    /// A tier below this one, asked for what is not here and given what is fetched. Set once.
    pub fn set_disk(&self, disk: Arc<Disk>) {
        let _ = self.disk.set(disk);
    }

    /// The tier below this one; none: there is none.
    pub fn disk(&self) -> Option<&Arc<Disk>> {
        self.disk.get()
    }

    /// The marks that it obeys.
    pub fn marks(&self) -> &Arc<Marks> {
        self.cache.marks()
    }

    /// A request has come that names sites as the history does that is obeyed now.
    pub fn arrive(&self) -> Arrival {
        self.cache.arrive()
    }

    /// A request has come, decided by a policy of that history: to be called before it looks anything up, for its
    /// [verdicts](crate::verdict) and fetches.
    pub fn arrive_under(&self, history: History) -> Arrival {
        self.cache.arrive_under(history)
    }

    /// Begins a fetch or a validation: to be called before the origin is asked, once for each attempt. What it returns is
    /// to be held until the response is stored: marks that it may need are kept as long.
    pub fn begin_fetch(&self) -> Fetching {
        self.cache.begin_fetch()
    }

    /// The same for a request. None: nothing of what it brings is to be stored, for its policy is of another history than the one
    /// that is obeyed by now.
    pub fn begin_fetch_for(&self, arrival: Arrival) -> Option<Fetching> {
        self.cache.begin_fetch_for(arrival)
    }

    /// The engine itself, for [verdicts](crate::verdict).
    pub fn engine(&self) -> &Cache<StoredMeta> {
        &self.cache
    }

    /// What the marks say *now* of the object behind a meta: before serving it stale, ask again. A meta that is not of
    /// a look-up is live.
    pub fn liveness(&self, meta: &CacheMeta) -> Liveness {
        hit(meta).map_or(Liveness::Live, |hit| hit.record.liveness(self.marks()))
    }

    /// Remembers that the answer for a key could not be cached: for so long, requests for it do not wait for each
    /// other. Call it before the cache is disabled, so that it is known when waiting readers wake.
    pub fn remember_uncacheable(&self, key: &CacheKey, period: Duration) {
        self.cache.remember_uncacheable(key_ref(key), period);
    }

    /// Whether the answer for a key is remembered as uncacheable: its requests go to the origin side by side.
    pub fn is_uncacheable(&self, key: &CacheKey) -> bool {
        self.cache.is_uncacheable(key_ref(key))
    }

    /// A sweep over what is stored, that has not begun.
    pub(super) fn sweep(&self) -> Sweep<StoredMeta> {
        Sweep::new(Arc::clone(&self.cache))
    }

    /// Numbers for metrics.
    pub fn count(&self) -> CacheCount {
        self.cache.count()
    }

    /// What memory has no room for is stored on disk alone: memory hands it on to the client that it is fetched for, and others follow
    /// it there. None: neither stores it.
    fn on_disk_alone(
        &self,
        key: &CacheKey,
        meta: &CacheMeta,
        expectation: Expectation,
        on_disk: DiskFill,
        why: Refusal,
    ) -> Option<MissHandler> {
        let is_wanted = expectation
            .bytes
            .is_none_or(|bytes| bytes <= expectation.bytes_max);
        let (identity, fetched) = Self::identify(key, meta).ok()?;
        if !is_wanted || !matches!(why, Refusal::TooLarge | Refusal::NoRoom) {
            on_disk.refused(why);
            return None;
        }
        let stored = StoredMeta::of(meta, fetched.notes);
        let record = Record::of_fetch(identity, fetched.fetch, stored);
        match self.cache.pass(key_ref(key), record, expectation, why) {
            Ok(writer) => {
                let memory = Arc::clone(&self.cache);
                Some(Box::new(Miss::new(memory, writer, Some(on_disk))))
            }
            Err(why) => {
                on_disk.refused(why);
                None
            }
        }
    }

    /// Everything that a response needs to be stored, or why it can't be.
    fn identify(key: &CacheKey, meta: &CacheMeta) -> Result<(Identity, Fetched)> {
        let named = key
            .extensions
            .get::<Named>()
            .ok_or_else(|| unprepared("name() on its key"))?;
        let fetched = meta
            .extensions()
            .get::<Fetched>()
            .ok_or_else(|| unprepared("fetched() on its meta"))?;
        let identity = Identity {
            site: named.site,
            path: Arc::clone(&named.path),
            tags: Arc::clone(&fetched.tags),
        };
        Ok((identity, fetched.clone()))
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn lookup(
        &'static self,
        key: &CacheKey,
        _trace: &SpanHandle,
    ) -> Result<Option<(CacheMeta, HitHandler)>> {
        if let Some(found) = self.cache.find(key_ref(key)) {
            return Ok(Some(handlers(found)));
        }
        let Some(disk) = self.disk() else {
            return Ok(None);
        };
        let found = disk.find(key, &self.cache).await;
        Ok(found.map(|found| (meta_of_disk(&found), found.into_reader(disk))))
    }

    async fn lookup_streaming_write(
        &'static self,
        key: &CacheKey,
        tag: Option<&[u8]>,
        _trace: &SpanHandle,
    ) -> Result<Option<(CacheMeta, HitHandler)>> {
        let fill = tag
            .and_then(|tag| U64WriteId::try_from(tag).ok())
            .map(u64::from);
        // An error here lets the answer pass uncached; "not found" would panic in Pingora.
        let found = fill.and_then(|fill| self.cache.follow(key_ref(key), fill));
        let found = found
            .ok_or_else(|| Error::explain(ErrorType::InternalError, "a fill lost its own body"))?;
        Ok(Some(handlers(found)))
    }

    async fn get_miss_handler(
        &'static self,
        key: &CacheKey,
        meta: &CacheMeta,
        _trace: &SpanHandle,
    ) -> Result<MissHandler> {
        let (identity, fetched) = Self::identify(key, meta)?;
        let stored = StoredMeta::of(meta, fetched.notes);
        let expectation = Expectation {
            bytes: stored.announced_bytes(),
            bytes_max: fetched.object_bytes_max,
        };
        let fill = |disk: &Arc<Disk>| disk.begin(key, &identity, &fetched, &stored);
        let on_disk = self.disk().and_then(fill);
        let record = Record::of_fetch(identity, fetched.fetch, stored);
        match self.cache.fill(key_ref(key), record, expectation) {
            Ok(writer) => {
                let memory = Arc::clone(&self.cache);
                Ok(Box::new(Miss::new(memory, writer, on_disk)))
            }
            Err(refusal) => {
                let alone = on_disk
                    .and_then(|disk| self.on_disk_alone(key, meta, expectation, disk, refusal));
                alone.ok_or_else(|| {
                    Error::because(
                        ErrorType::Custom("cache_refused"),
                        "the answer passes through unstored",
                        refusal,
                    )
                })
            }
        }
    }

    /// Purges are marks: see [`Marks`]. Pingora's own purge names a key, which no client of ours knows.
    async fn purge(
        &'static self,
        _target: PurgeTarget<'_>,
        _purge: PurgeType,
        _trace: &SpanHandle,
    ) -> Result<PurgeOutcome> {
        Error::e_explain(
            ErrorType::InternalError,
            "purges are marks, not deletions of keys",
        )
    }

    /// A late 304 changes nothing: that is no error, the client may have what it validated.
    async fn update_meta(
        &'static self,
        key: &CacheKey,
        meta: &CacheMeta,
        _trace: &SpanHandle,
    ) -> Result<bool> {
        let (mut identity, fetched) = Self::identify(key, meta)?;
        let base = hit(meta).ok_or_else(|| unprepared("a look-up"))?;
        // A 304 that does not repeat the tags takes none away: purging too much is better than too little.
        identity.tags = union(&base.record.identity().tags, &identity.tags);
        let mut stored = StoredMeta::of(meta, fetched.notes);
        stored.keep_length(&base.record.meta);
        if let Some(disk) = self.disk() {
            disk.renew(key, base, &identity, &fetched, &stored).await;
        }
        let record = Record::of_validation(&base.record, identity, fetched.fetch, stored);
        let renewed = self.cache.revalidate(key_ref(key), record);
        if let Err(refusal) = renewed {
            tracing::debug!(refusal = refusal.name(), "validation not stored");
        }
        Ok(renewed.is_ok() || base.is_on_disk())
    }

    fn support_streaming_partial_write(&self) -> bool {
        true
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

fn handlers(found: Found<StoredMeta>) -> (CacheMeta, HitHandler) {
    (meta_of(&found), Box::new(HitReader::new(found.reader)))
}

fn union(old: &Arc<[Box<str>]>, new: &Arc<[Box<str>]>) -> Arc<[Box<str>]> {
    if new.iter().all(|tag| old.contains(tag)) {
        return Arc::clone(old);
    }
    old.iter()
        .chain(new.iter().filter(|tag| !old.contains(tag)))
        .cloned()
        .collect()
}

fn unprepared(what: &str) -> Box<Error> {
    Error::explain(
        ErrorType::InternalError,
        format!("an answer can't be stored without {what}"),
    )
}
