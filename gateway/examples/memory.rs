//! What an object costs in memory beside its body and its header: `cargo run --release -p latencify-gateway --example memory [OBJECTS]`.
//!
//! The tier that ships, with the allocator that ships, is filled through Pingora's interface; the rest is read from `/proc`.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a measuring program

use bytes::Bytes;
use http::HeaderValue;
use latencify_cache::{Eviction, Marks};
use latencify_conf::{change::SiteId, policy::DiskAdmission};
use latencify_decide::freshness::{Lifetime, LifetimeSource};
use latencify_gateway::cache::{Fetched, MemoryStorage, Notes, Options, fetched, name};
use pingora::{
    cache::{CacheKey, CacheMeta, Storage, trace::Span},
    http::ResponseHeader,
};
use std::{
    env, fs, thread,
    time::{Duration, SystemTime},
};
use tikv_jemalloc_ctl::background_thread;
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

const OBJECTS: usize = 1_000_000;
const BODY_BYTES: usize = 1_024;
const CACHE_BYTES: u64 = 1 << 40;
/// The allocator gives back what it does not need within this.
const SETTLED_AFTER: Duration = Duration::from_secs(12);
const FOREVER: Duration = Duration::from_hours(100 * 365 * 24);

/// Bytes that were given to the cache.
#[derive(Default)]
struct Given {
    bodies: usize,
    headers: usize,
    keys: usize,
    tags: usize,
}

fn main() {
    background_thread::write(true).unwrap();
    let objects = env::args().nth(1).map_or(OBJECTS, |n| n.parse().unwrap());
    let options = Options {
        bytes_max: CACHE_BYTES,
        eviction: Eviction::default(),
        fill_lock_age: Duration::from_secs(30),
    };
    let storage = MemoryStorage::open(options, Marks::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut given = Given::default();
    let mut warm_up = Given::default();
    runtime.block_on(store(storage, usize::MAX, &mut warm_up));
    thread::sleep(SETTLED_AFTER);
    let before = resident();
    for number in 0..objects {
        runtime.block_on(store(storage, number, &mut given));
    }
    thread::sleep(SETTLED_AFTER);
    let grown = resident() - before;
    let count = storage.count();
    assert_eq!(count.objects as usize, objects + 1);
    let each = |bytes: usize| bytes as f64 / objects as f64;
    println!("{objects} objects; bytes each:");
    println!("  resident   {:8.1}", each(grown));
    println!("  body       {:8.1}", each(given.bodies));
    println!("  header     {:8.1}  as HTTP/1 lines", each(given.headers));
    println!("  key        {:8.1}", each(given.keys));
    println!("  tags       {:8.1}", each(given.tags));
    println!("  charged    {:8.1}", each(count.bytes as usize));
    let overhead = each(grown.saturating_sub(given.bodies + given.headers));
    println!("  overhead   {overhead:8.1}  resident less body and header");
}

async fn store(storage: &'static MemoryStorage, number: usize, given: &mut Given) {
    let path = format!("/products/{}/{number:09}", number % 500);
    let tags = [
        format!("product-{number:09}"),
        format!("category-{}", number % 500),
    ];
    let key = key_of(&path);
    given.bodies += BODY_BYTES;
    given.keys += key.len();
    given.tags += tags.iter().map(String::len).sum::<usize>();
    let mut key = CacheKey::new(key, "");
    name(&mut key, SiteId(1), path.into());
    let now = SystemTime::now();
    let header = header_of(number, &tags);
    let mut wire = Vec::new();
    header.header_to_h1_wire(&mut wire);
    given.headers += wire.len();
    let mut meta = CacheMeta::new(now + FOREVER, now, u32::MAX, u32::MAX, header);
    let fetching = storage.begin_fetch();
    fetched(
        &mut meta,
        Fetched {
            fetch: *fetching,
            tags: tags.into_iter().map(String::into_boxed_str).collect(),
            object_bytes_max: u64::MAX,
            disk: DiskAdmission::Never,
            notes: Some(Notes {
                lifetime: Lifetime {
                    born: now,
                    fresh: Duration::from_hours(1),
                    stale_while_revalidate: Duration::from_mins(1),
                    stale_if_error: Duration::ZERO,
                    always_revalidate: false,
                    must_revalidate: false,
                    immutable: false,
                    source: LifetimeSource::MaxAge,
                },
            }),
        },
    );
    let span = Span::inactive().handle();
    let mut miss = storage.get_miss_handler(&key, &meta, &span).await.unwrap();
    let body = Bytes::from(vec![b'x'; BODY_BYTES]);
    miss.write_body(body, true).await.unwrap();
    miss.finish().await.unwrap();
}

/// As `latencify_decide::key::cache_key` joins it: site, scheme, host and path, each with its lengths.
fn key_of(path: &str) -> Vec<u8> {
    let mut key = Vec::new();
    let parts: [&[u8]; 4] = [
        &1_u64.to_be_bytes(),
        b"https",
        b"www.example.com",
        path.as_bytes(),
    ];
    for (kind, part) in parts.iter().enumerate() {
        key.push(kind as u8);
        key.extend(1_u32.to_be_bytes());
        key.extend((part.len() as u32).to_be_bytes());
        key.extend_from_slice(part);
    }
    key
}

/// Its values are parts of one buffer, as of what was read from an origin.
fn header_of(number: usize, tags: &[String]) -> ResponseHeader {
    let fields = [
        ("Date", "Mon, 23 Nov 2026 12:00:00 GMT".to_owned()),
        ("Server", "nginx/1.27.3".to_owned()),
        ("Content-Type", "text/html; charset=utf-8".to_owned()),
        ("Content-Length", BODY_BYTES.to_string()),
        ("Last-Modified", "Sun, 22 Nov 2026 08:12:31 GMT".to_owned()),
        ("ETag", format!("\"6741a1bf-{number:09x}\"")),
        (
            "Cache-Control",
            "public, max-age=3600, stale-while-revalidate=60".to_owned(),
        ),
        ("Surrogate-Key", tags.join(" ")),
        ("Accept-Ranges", "bytes".to_owned()),
        ("X-Backend", format!("shop-{}", number % 12)),
    ];
    let buffer: Bytes = fields
        .iter()
        .map(|(_, value)| value.as_str())
        .collect::<String>()
        .into();
    let mut header = ResponseHeader::build(200, None).unwrap();
    let mut at = 0;
    for (name, value) in &fields {
        let end = at + value.len();
        let value = HeaderValue::from_maybe_shared(buffer.slice(at..end)).unwrap();
        header.append_header(*name, value).unwrap();
        at = end;
    }
    header
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse::<usize>();
    kib.unwrap() * 1_024
}
