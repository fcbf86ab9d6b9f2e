//! The adapters as Pingora drives them.

mod locks;
mod packing;
mod storing;
mod sweeping;
mod trust;

use super::*;
use bytes::Bytes;
use latencify_cache::{Eviction, Fetch, Marks};
use latencify_conf::change::{Mode, SiteId, Target};
use latencify_decide::freshness::{Lifetime, LifetimeSource};
use pingora::{
    cache::{CacheKey, CacheMeta, HitHandler, MissHandler, Storage, trace::Span},
    http::ResponseHeader,
};
use std::time::{Duration, SystemTime};

const SITE: SiteId = SiteId(1);

fn open() -> &'static MemoryStorage {
    let options = Options {
        bytes_max: 16 << 20,
        eviction: Eviction::default(),
        fill_lock_age: Duration::from_secs(30),
    };
    MemoryStorage::open(options, Marks::new())
}

fn key(path: &str) -> CacheKey {
    let mut key = CacheKey::new(path.as_bytes().to_vec(), "");
    name(&mut key, SITE, path.into());
    key
}

fn url(path: &str) -> Target {
    Target::Url {
        site: SITE,
        path: path.into(),
    }
}

fn header(fields: &[(&'static str, &str)]) -> ResponseHeader {
    let mut header = ResponseHeader::build(200, None).unwrap();
    for (name, value) in fields {
        header.append_header(*name, *value).unwrap();
    }
    header
}

fn lifetime() -> Lifetime {
    Lifetime {
        born: SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789),
        fresh: Duration::from_mins(1),
        stale_while_revalidate: Duration::ZERO,
        stale_if_error: Duration::ZERO,
        always_revalidate: false,
        must_revalidate: true,
        immutable: false,
        source: LifetimeSource::MaxAge,
    }
}

/// The meta of a response that was fetched so, fresh for a minute.
fn meta(fetch: Fetch, header: ResponseHeader, tags: &[&str]) -> CacheMeta {
    let now = SystemTime::now();
    let mut meta = CacheMeta::new(now + Duration::from_mins(1), now, 5, 6, header);
    let tags = tags.iter().map(|&tag| tag.into()).collect();
    fetched(
        &mut meta,
        Fetched {
            disk: latencify_conf::policy::DiskAdmission::default(),
            fetch,
            tags,
            object_bytes_max: 1 << 20,
            notes: Some(Notes {
                lifetime: lifetime(),
            }),
        },
    );
    meta
}

async fn begin(
    storage: &'static MemoryStorage,
    key: &CacheKey,
    meta: &CacheMeta,
) -> pingora::Result<MissHandler> {
    storage
        .get_miss_handler(key, meta, &Span::inactive().handle())
        .await
}

async fn put(
    storage: &'static MemoryStorage,
    key: &CacheKey,
    meta: &CacheMeta,
    body: &'static str,
) {
    let mut miss = begin(storage, key, meta).await.unwrap();
    miss.write_body(Bytes::from(body), true).await.unwrap();
    miss.finish().await.unwrap();
}

async fn find(storage: &'static MemoryStorage, key: &CacheKey) -> Option<(CacheMeta, HitHandler)> {
    storage
        .lookup(key, &Span::inactive().handle())
        .await
        .unwrap()
}

async fn read(hit: &mut HitHandler) -> pingora::Result<String> {
    let mut whole = Vec::new();
    while let Some(piece) = hit.read_body().await? {
        whole.extend_from_slice(&piece);
    }
    Ok(String::from_utf8(whole).unwrap())
}
