//! What the phases and the cache tell each other: extensions of `CacheKey` (phase → cache) and of `CacheMeta` (both ways).

use http::{HeaderMap, StatusCode, header};
use latencify_cache::{Fetch, Found, Identity, KeyRef, Liveness, Metadata, Record};
use latencify_conf::change::SiteId;
use pingora::{
    cache::{CacheKey, CacheMeta},
    http::ResponseHeader,
};
use std::{
    any::Any,
    sync::{Arc, atomic::AtomicBool},
    time::SystemTime,
};

/// What a header field costs beside its name and value.
const FIELD_OVERHEAD_BYTES: usize = 64;

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

/// Marks the key of a request that may be refused; once this is set, it waits for nobody's fetch, and nobody for it.
pub fn refusable(key: &mut CacheKey) -> Arc<AtomicBool> {
    let refused = Arc::new(AtomicBool::new(false));
    key.extensions.insert(Refusable(refused.clone()));
    refused
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
    pub fn identity(&self) -> &Identity {
        &self.record.identity
    }

    /// Whether its body is still arriving.
    pub fn is_filling(&self) -> bool {
        self.filling
    }

    /// The notes of whoever had it stored.
    pub fn notes<T: Any>(&self) -> Option<&T> {
        self.record.meta.notes()
    }
}

/// The engine's form of a key: all of its bytes and the variance; `user_tag` tells nothing apart.
pub(super) fn key_ref(key: &CacheKey) -> KeyRef<'_> {
    KeyRef {
        primary: key.primary_key(),
        variance: key.get_variance_key().copied(),
    }
}

impl StoredMeta {
    /// The stored head.
    pub fn response(&self) -> ResponseHeader {
        self.header.clone()
    }

    /// The fields of the stored head.
    pub fn headers(&self) -> &HeaderMap {
        &self.header.headers
    }

    /// Which variant it is; none: of a response that does not vary.
    pub fn variance(&self) -> Option<[u8; 16]> {
        self.variance
    }

    /// The notes of whoever had it stored.
    pub fn notes<T: Any>(&self) -> Option<&T> {
        self.notes.as_ref()?.downcast_ref()
    }

    /// Takes a meta apart.
    pub(super) fn of(meta: &CacheMeta, notes: Option<Arc<dyn Any + Send + Sync>>) -> Self {
        Self {
            header: meta.response_header_copy(),
            fresh_until: meta.fresh_until(),
            provenance: meta.provenance(),
            epoch: meta.epoch(),
            stale_while_revalidate_sec: meta.stale_while_revalidate_sec(),
            stale_if_error_sec: meta.stale_if_error_sec(),
            variance: meta.variance(),
            notes,
        }
    }

    /// The body's length as the header announces it, for statuses that have a body.
    pub(super) fn announced_bytes(&self) -> Option<u64> {
        if !has_body(self.header.status) {
            return None;
        }
        self.header
            .headers
            .get(header::CONTENT_LENGTH)?
            .to_str()
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// Takes the length over from the header that this one renews: a 304 speaks of a body that it does not change, and
    /// some origins announce the length of the 304 itself.
    pub(super) fn keep_length(&mut self, base: &Self) {
        let kept = base.header.headers.get(header::CONTENT_LENGTH).cloned();
        self.header.remove_header(&header::CONTENT_LENGTH);
        if let Some(kept) = kept {
            // The value was a header's before, so it is one now.
            let _ = self.header.insert_header(header::CONTENT_LENGTH, kept);
        }
    }

    fn to_meta(&self) -> CacheMeta {
        let mut meta = CacheMeta::new(
            self.fresh_until,
            self.provenance,
            self.stale_while_revalidate_sec,
            self.stale_if_error_sec,
            self.header.clone(),
        );
        meta.set_epoch_override(self.epoch);
        if let Some(variance) = self.variance {
            meta.set_variance(variance);
        }
        meta
    }
}

impl Metadata for StoredMeta {
    fn bytes(&self) -> u64 {
        let fields = self.header.headers.iter();
        let fields: usize = fields
            .map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD_BYTES)
            .sum();
        (fields + size_of::<Self>()) as u64
    }

    /// A body whose length was not announced gets a `Content-Length`, so that ranges of it can be served.
    fn completed(&self, body_bytes: u64) -> Option<Self> {
        if !has_body(self.header.status) || self.header.headers.contains_key(header::CONTENT_LENGTH)
        {
            return None;
        }
        let mut header = self.header.clone();
        header.remove_header(&header::TRANSFER_ENCODING);
        header
            .insert_header(header::CONTENT_LENGTH, body_bytes.to_string())
            .ok()?;
        Some(Self {
            header,
            notes: self.notes.clone(),
            ..*self
        })
    }
}

/// A meta for Pingora of what a look-up found.
pub(super) fn meta_of(found: &Found<StoredMeta>) -> CacheMeta {
    let mut meta = found.record.meta.to_meta();
    meta.extensions_mut().insert(Hit {
        record: Arc::clone(&found.record),
        liveness: found.liveness,
        filling: found.is_filling(),
    });
    meta
}

/// RFC 9110 §6.4.1: 1xx, 204 and 304 have no content.
fn has_body(status: StatusCode) -> bool {
    !status.is_informational()
        && status != StatusCode::NO_CONTENT
        && status != StatusCode::NOT_MODIFIED
}
