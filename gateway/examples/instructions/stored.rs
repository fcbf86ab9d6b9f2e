//! What is asked for, and what is stored.

use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use latencify_conf::policy::DiskAdmission;
use latencify_decide::freshness::{Lifetime, LifetimeSource};
use latencify_framing::{HeadReader, Limits};
use latencify_gateway::{
    cache::{Fetched, Notes, fetched, name},
    context::Context,
    edge::Edge,
    hot::head::{Caller, Own},
    phases::caching,
    proxy,
};
use pingora::{
    cache::{CacheKey, CacheMeta, Storage, trace::Span},
    http::ResponseHeader,
};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::{Duration, SystemTime},
};

pub const BODY_BYTES: usize = 1_024;
const FOREVER: Duration = Duration::from_hours(100 * 365 * 24);

/// As a browser asks.
pub const REQUEST: &str = "GET /products/7/000000007?page=2&sort=price&utm_source=news HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://www.example.com/products/7\r\n\
    Cookie: session=0123456789abcdef; seen=1\r\n\
    Connection: keep-alive\r\n\r\n";

pub fn read(text: &str) -> Own {
    let reader = HeadReader::new(Limits::default()).read(text.as_bytes());
    let head = reader.unwrap().unwrap();
    let caller = Caller {
        peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        https: false,
    };
    Own::read(&head, BytesMut::from(text), caller).unwrap_or_else(|_| panic!("not read: {text}"))
}

/// The context of a request that was let in.
pub fn decided(edge: &Arc<Edge>, own: &mut Own) -> Box<Context> {
    let mut ctx = Box::new(Context::begin(edge));
    let decided = proxy::decide(edge, own, &mut ctx).now_or_never();
    assert!(decided.is_some_and(|decided| decided.is_ok()), "refused");
    ctx.caching.arrival = edge.cache.arrive();
    let rule = ctx.proxying().and_then(|proxy| proxy.cache.clone());
    ctx.caching.rule = rule;
    ctx
}

/// Stores what a request asks for; `varies`: of two variants the other one first.
pub async fn store(edge: &Arc<Edge>, request: &str, varies: bool) {
    let mut own = read(request);
    let mut ctx = decided(edge, &mut own);
    ctx.untold = None;
    let rule = ctx.caching.rule.clone().unwrap();
    let primary = caching::primary_key(&rule, own.headers(), &ctx).unwrap();
    let header = response(varies);
    let mut key = CacheKey::new(primary, "");
    let (site, path) = (
        ctx.taken.as_ref().unwrap().site.id,
        &ctx.asked.as_ref().unwrap().path,
    );
    name(&mut key, site, path.clone());
    let variant = caching::variant(&rule, &header.headers, own.headers());
    if varies {
        put(edge, &key, header.clone(), Some([7; 16])).await;
        key.set_variance_key(variant.unwrap());
    }
    put(edge, &key, header, variant).await;
}

async fn put(edge: &Edge, key: &CacheKey, header: ResponseHeader, variant: Option<[u8; 16]>) {
    let now = SystemTime::now();
    let mut meta = CacheMeta::new(now + FOREVER, now, u32::MAX, u32::MAX, header);
    if let Some(variant) = variant {
        meta.set_variance(variant);
    }
    let lifetime = Lifetime {
        born: now,
        fresh: Duration::from_hours(1),
        stale_while_revalidate: Duration::from_mins(1),
        stale_if_error: Duration::ZERO,
        always_revalidate: false,
        must_revalidate: false,
        immutable: false,
        source: LifetimeSource::MaxAge,
    };
    fetched(
        &mut meta,
        Fetched {
            fetch: *edge.cache.begin_fetch(),
            tags: ["product".into(), "category".into()].into(),
            object_bytes_max: u64::MAX,
            disk: DiskAdmission::Never,
            notes: Some(Notes { lifetime }),
        },
    );
    let span = Span::inactive().handle();
    let mut miss = edge
        .cache
        .get_miss_handler(key, &meta, &span)
        .await
        .unwrap();
    let body = Bytes::from(vec![b'x'; BODY_BYTES]);
    miss.write_body(body, true).await.unwrap();
    miss.finish().await.unwrap();
}

/// As an origin answers.
pub fn response(varies: bool) -> ResponseHeader {
    let mut header = ResponseHeader::build(200, None).unwrap();
    for (name, value) in [
        ("Date", "Mon, 23 Nov 2026 12:00:00 GMT"),
        ("Server", "nginx/1.27.3"),
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", "1024"),
        ("Last-Modified", "Sun, 22 Nov 2026 08:12:31 GMT"),
        ("ETag", "\"6741a1bf-000000007\""),
        (
            "Cache-Control",
            "public, max-age=3600, stale-while-revalidate=60",
        ),
        ("Surrogate-Key", "product category"),
        ("Accept-Ranges", "bytes"),
        ("X-Backend", "shop-7"),
    ] {
        header.append_header(name, value).unwrap();
    }
    if varies {
        header.append_header("Vary", "Accept-Encoding").unwrap();
    }
    header
}
