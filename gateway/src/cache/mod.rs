//! Pingora adapters of the cache engine (`latencify-cache`).
//!
//! How the phases use it:
//! - start: `let cache = MemoryStorage::open(options, marks)`; it lives as long as the process, and so does the task that
//!   [sweeps](keep_swept) it.
//! - `request_cache_filter`: `session.cache.enable(cache, None, None, Some(cache.lock()), overrides)`: no eviction manager (the
//!   storage evicts), no predictor (hit-for-miss lives in the lock). Set `wait_timeout` and `max_lock_retries` in the
//!   overrides. Never call `set_max_file_size_bytes`: it breaks off a response midway; [`Fetched::object_bytes_max`] does not.
//! - `cache_key_callback`: [`name`] every key; [`mark_background`] too in a subrequest.
//! - `cache_hit_filter`: [`verdict::judge`](crate::verdict::judge) says what the object may be used for.
//! - when a request comes: `storage.arrive_under(history)`, for its look-ups ([`verdict`](crate::verdict)) and fetches.
//! - before every attempt to ask the origin (`upstream_request_filter`): `ctx.fetch = cache.begin_fetch_for(arrival)`; none: nothing
//!   of the answer is stored.
//! - `response_cache_filter`: cacheable → [`fetched`] on the meta; uncacheable → `cache.remember_uncacheable(key, …)`.
//! - `should_serve_stale`: [`verdict::ask_before_stale`](crate::verdict::ask_before_stale) asks again; false when refused, and false in a subrequest.

mod failed;
mod fields;
mod hit;
mod lock;
mod meta;
mod miss;
mod notes;
mod storage;
mod stored;
mod sweep;

pub use failed::{FAILED_FETCHES_MAX, FailedFetches};
pub use hit::is_withdrawn;
pub use lock::{FillLock, OTHER_HISTORY};
pub(crate) use meta::key_ref;
pub use meta::{Fetched, Hit, Named, fetched, hit, mark_background, meets_nobody, name, refusable};
pub use notes::Notes;
pub use storage::{MemoryStorage, Options};
pub use stored::{Decoded, StoredMeta};
pub use sweep::keep_swept;

#[cfg(test)]
mod tests;
