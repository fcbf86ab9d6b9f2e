//! From disk into memory: what is asked for once more costs no disk. What a request found is served from disk all the same; the
//! next one finds it in memory.

use super::{Disk, Found, FoundBody};
use crate::cache::{StoredMeta, key_ref};
use bytes::{Bytes, BytesMut};
use latencify_cache::{Cache, Promotion, Record};
use latencify_disk::Stored;
use pingora::cache::CacheKey;
use std::sync::Arc;
use tokio::{sync::Semaphore, time::timeout};

/// A larger body stays on disk.
pub const PROMOTE_BYTES_MAX: u64 = 4 << 20;
/// So many bodies that do not lie with their heads are read for memory at once, at most.
pub const PROMOTIONS_MAX: usize = 16;

/// Bodies that are being read for memory.
#[derive(Debug)]
pub struct Promotions(Arc<Semaphore>);

impl Default for Promotions {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PROMOTIONS_MAX)))
    }
}

/// Puts what was found into memory as well. A body that has to be read first is read in the background.
pub(super) fn promote(
    disk: &Arc<Disk>,
    cache: &Arc<Cache<StoredMeta>>,
    promotion: Promotion,
    key: &CacheKey,
    found: &Found,
) {
    let FoundBody::Stored(stored) = &found.body else {
        return;
    };
    if stored.body_bytes() > PROMOTE_BYTES_MAX.min(cache.object_bytes_max()) {
        return;
    }
    if let Some(body) = stored.inline() {
        put(disk, cache, promotion, key, stored, &found.record, body);
        return;
    }
    let Ok(permit) = Arc::clone(&disk.promotions.0).try_acquire_owned() else {
        return;
    };
    let (disk, cache, key) = (Arc::clone(disk), Arc::clone(cache), key.clone());
    let (stored, record) = (Arc::clone(stored), Arc::clone(&found.record));
    tokio::spawn(async move {
        if let Some(body) = read(&stored).await {
            put(&disk, &cache, promotion, &key, &stored, &record, &body);
        }
        drop(permit);
    });
}

fn put(
    disk: &Disk,
    cache: &Cache<StoredMeta>,
    promotion: Promotion,
    key: &CacheKey,
    stored: &Stored,
    record: &Record<StoredMeta>,
    body: &Bytes,
) {
    let head = stored.head();
    let meta = record.meta.clone();
    // Asked anew: it may have taken a while to read it.
    let taken = Record::taken_over(&disk.marks, head.identity.clone(), head.fetch, meta);
    let Ok((record, _)) = taken else {
        return;
    };
    if let Err(refusal) = cache.promote(promotion, key_ref(key), record, body) {
        tracing::debug!(refusal = refusal.name(), "not promoted");
    }
}

async fn read(stored: &Stored) -> Option<Bytes> {
    let length = stored.body_bytes();
    let mut body = BytesMut::with_capacity(usize::try_from(length).ok()?);
    while (body.len() as u64) < length {
        let piece = timeout(
            super::hit::READ_WITHIN,
            stored.read(body.len() as u64, length),
        );
        let piece = piece.await.ok()?.ok()?;
        if piece.is_empty() {
            return None;
        }
        body.extend_from_slice(&piece);
    }
    Some(body.freeze())
}
