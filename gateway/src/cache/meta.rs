//! What the phases and the cache tell each other: extensions of `CacheKey` (phase → cache) and of `CacheMeta` (both ways).

use super::{notes::Notes, stored::StoredMeta};
use crate::disk;
use latencify_cache::{Fetch, Found, Identity, KeyRef, Liveness, Record};
use latencify_conf::{change::SiteId, policy::DiskAdmission};
use latencify_disk::Version;
use pingora::cache::{CacheKey, CacheMeta};
use std::sync::{Arc, atomic::AtomicBool};

/// What purges call the object that a key is for. [`name`] puts it into the key.
#[derive(Debug, Clone)]
pub struct Named {
    /// The site.
    pub site: SiteId,
    /// The normal client path, before any rewrite, without a query.
    pub path: Arc<str>,
}

/// Marks the key of a background refresh.
#[derive(Debug, Clone, Copy)]
pub(super) struct Background;

/// A request that may turn out to be refused: it then takes no part in waiting for fetches.
#[derive(Debug, Clone)]
pub(super) struct Refusable(pub(super) Arc<AtomicBool>);

/// A request for which nothing will be stored: it waits for nobody's fetch, and nobody for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct MeetsNobody;

/// What `response_cache_filter` tells the cache of a response that is to be stored, or that validated a stored one.
/// [`fetched`] puts it into the meta; without it nothing is stored.
#[derive(Clone)]
pub struct Fetched {
    /// Taken by [`begin_fetch`](super::MemoryStorage::begin_fetch) before the origin was asked.
    pub fetch: Fetch,
    /// The response's surrogate keys.
    pub tags: Arc<[Box<str>]>,
    /// A larger body passes through and is not stored.
    pub object_bytes_max: u64,
    /// Whether it goes to the disk tier, if there is one.
    pub disk: DiskAdmission,
    /// What the phases want to find again at a hit.
    pub notes: Option<Notes>,
}

/// A stored object as a look-up found it, in the extensions of its `CacheMeta`.
#[derive(Clone)]
pub struct Hit {
    pub(super) record: Arc<Record<StoredMeta>>,
    pub(super) liveness: Liveness,
    pub(super) filling: bool,
    /// The version that was found on disk; none: it was found in memory.
    pub(super) on_disk: Option<Version>,
}

/// Tells the cache what purges call the object of this key. Every key needs it (`cache_key_callback`).
pub fn name(key: &mut CacheKey, site: SiteId, path: Arc<str>) {
    key.extensions.insert(Named { site, path });
}

/// Marks the key of a background refresh, which must never wait for the permit that its parent holds.
pub fn mark_background(key: &mut CacheKey) {
    key.extensions.insert(Background);
}

/// Marks the key of a request that may be refused; once this is set, it waits for nobody's fetch, and nobody for it.
pub fn refusable(key: &mut CacheKey) -> Arc<AtomicBool> {
    let refused = Arc::new(AtomicBool::new(false));
    key.extensions.insert(Refusable(refused.clone()));
    refused
}

/// Marks the key of a request for which nothing will be stored: it waits for nobody's fetch, and nobody for it.
pub fn meets_nobody(key: &mut CacheKey) {
    key.extensions.insert(MeetsNobody);
}

/// Tells the cache what it needs to store a response under this meta.
pub fn fetched(meta: &mut CacheMeta, fetched: Fetched) {
    meta.extensions_mut().insert(fetched);
}

/// The stored object behind a meta that a look-up returned; none for a meta that was just made of a response.
pub fn hit(meta: &CacheMeta) -> Option<&Hit> {
    meta.extensions().get::<Hit>()
}

impl Hit {
    /// What the marks said when it was found: live, or soft-purged since. Dead objects are not found.
    pub fn liveness(&self) -> Liveness {
        self.liveness
    }

    /// The fetch or validation that brought its metadata.
    pub fn fetch(&self) -> Fetch {
        self.record.fetch
    }

    /// All that the engine knows of it.
    pub fn record(&self) -> &Record<StoredMeta> {
        &self.record
    }

    /// What purges can name of it.
    pub fn identity(&self) -> Identity {
        self.record.identity()
    }

    /// Whether its body is still arriving.
    pub fn is_filling(&self) -> bool {
        self.filling
    }

    /// Which version on disk it is, if it was found there.
    pub(crate) fn on_disk(&self) -> Option<Version> {
        self.on_disk
    }

    /// Whether it was found on disk.
    pub fn is_on_disk(&self) -> bool {
        self.on_disk.is_some()
    }
}

/// The engine's form of a key: all of its bytes and the variance; `user_tag` tells nothing apart.
pub(crate) fn key_ref(key: &CacheKey) -> KeyRef<'_> {
    KeyRef {
        primary: key.primary_key(),
        variance: key.get_variance_key().copied(),
    }
}

/// A meta for Pingora of what a look-up found.
pub(super) fn meta_of(found: &Found<StoredMeta>) -> CacheMeta {
    let mut meta = found.record.meta.to_meta();
    meta.extensions_mut().insert(Hit {
        record: Arc::clone(&found.record),
        liveness: found.liveness,
        filling: found.is_filling(),
        on_disk: None,
    });
    meta
}

/// The same of what was found on disk, or on its way there.
pub(super) fn meta_of_disk(found: &disk::Found) -> CacheMeta {
    let on_disk = found.version();
    let mut meta = found.record.meta.to_meta();
    meta.extensions_mut().insert(Hit {
        record: Arc::clone(&found.record),
        liveness: found.liveness,
        filling: on_disk.is_none(),
        on_disk,
    });
    meta
}
