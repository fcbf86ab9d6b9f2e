//! What the phases and the cache tell each other: extensions of `CacheKey` (phase → cache) and of `CacheMeta` (both ways).

use latencify_cache::{Fetch, Identity, Liveness, Record};
use latencify_conf::change::SiteId;
use pingora::{
    cache::{CacheKey, CacheMeta},
    http::ResponseHeader,
};
use std::{any::Any, sync::Arc, time::SystemTime};

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
    /// Whatever the phases want to find again at a hit (lifetimes, flags); the cache never looks inside.
    pub notes: Option<Arc<dyn Any + Send + Sync>>,
}

/// A stored object as a look-up found it, in the extensions of its `CacheMeta`.
#[derive(Clone)]
pub struct Hit {
    pub(super) record: Arc<Record<StoredMeta>>,
    pub(super) liveness: Liveness,
    pub(super) filling: bool,
}

/// The pieces of a `CacheMeta`, decoded, as they are stored.
pub struct StoredMeta {
    pub(super) header: ResponseHeader,
    pub(super) fresh_until: SystemTime,
    /// Pingora compares a variant's `created` with the primary's `provenance`; keeping the provenance as both lets
    /// variants outlive a refill of the primary.
    pub(super) provenance: SystemTime,
    pub(super) epoch: SystemTime,
    pub(super) stale_while_revalidate_sec: u32,
    pub(super) stale_if_error_sec: u32,
    pub(super) variance: Option<[u8; 16]>,
    pub(super) notes: Option<Arc<dyn Any + Send + Sync>>,
}

/// Tells the cache what purges call the object of this key. Every key needs it (`cache_key_callback`).
pub fn name(key: &mut CacheKey, site: SiteId, path: Arc<str>) {
    key.extensions.insert(Named { site, path });
}

/// Marks the key of a background refresh, which must never wait for the permit that its parent holds.
pub fn mark_background(key: &mut CacheKey) {
    key.extensions.insert(Background);
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

    /// What purges can name of it.
    pub fn identity(&self) -> &Identity {
        &self.record.identity
    }

    /// Whether its body is still arriving.
    pub fn is_filling(&self) -> bool {
        self.filling
    }

    /// The notes of whoever had it stored.
    pub fn notes<T: Any>(&self) -> Option<&T> {
        self.record.meta.notes.as_ref()?.downcast_ref()
    }
}
