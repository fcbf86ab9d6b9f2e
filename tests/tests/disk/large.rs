//! What memory has no room for is kept on disk alone.

use super::*;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use http_body_util::BodyExt as _;
use latencify_tests::{Client, Connection};
use tokio::sync::watch;

/// Less than the body.
fn with_little_memory(options: EdgeOptions) -> EdgeOptions {
    with_disk(options).flag("--cache-memory", "2MiB")
}

fn asking(method: &str, path: &str, range: &str) -> http::Request<body::Body> {
    let request = Client::request(method, HOST, path);
    let request = match range {
        "" => request,
        range => request.header("range", range),
    };
    request.body(body::empty()).unwrap()
}

async fn ask(setting: &Setting, method: &str, path: &str, range: &str) -> Reply {
    let request = asking(method, path, range);
    let client = setting.edge.client();
    client.send(setting.edge.http(), request).await.unwrap()
}

/// It is served whole and in parts, without asking the origin.
async fn is_kept(setting: &Setting, path: &str) {
    let (whole, asked) = (large(1), setting.origin.requests_for(path));
    for (range, expected) in [
        ("bytes=1000000-1999999", &whole[1_000_000..2_000_000]),
        ("bytes=-5", &whole[LARGE_BYTES - 5..]),
        ("", &whole[..]),
    ] {
        let reply = ask(setting, "GET", path, range).await;
        let is_it = reply.is_hit() && reply.body == expected;
        assert!(is_it, "{range}: {} {:?}", reply.status, reply.headers);
    }
    let head = ask(setting, "HEAD", path, "").await;
    assert!(head.is_hit() && head.header("content-length") == LARGE_BYTES.to_string());
    assert_eq!(setting.origin.requests_for(path), asked);
    assert!(setting.edge.metric("latencify_gateway_cache_objects").await < 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_larger_than_all_of_memory_is_a_hit_from_disk() {
    let mut setting = Setting::with("cache: true", with_little_memory).await;
    setting.store("/large").await;
    is_kept(&setting, "/large").await;
    setting.edge.process().kill();
    setting.restart().await;
    is_kept(&setting, "/large").await;
    setting.stop().await;
    setting.restart().await;
    is_kept(&setting, "/large").await;
    assert_eq!(setting.origin.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_it_that_is_asked_for_first_brings_all_of_it() {
    let setting = Setting::with("cache: true", with_little_memory).await;
    let reply = ask(&setting, "GET", "/large", "bytes=2500000-").await;
    assert_eq!(reply.status, 206, "{:?}", reply.headers);
    assert!(reply.body == large(1)[2_500_000..], "{:?}", reply.headers);
    setting
        .until("it is on disk", "stored_total", |stored| stored > 0.0)
        .await;
    is_kept(&setting, "/large").await;
}

/// An edge before an origin that gives out half of the body, and the rest when it is let.
async fn halved() -> (Setting, watch::Sender<bool>) {
    let (let_go, is_let) = watch::channel(false);
    let origin = Origin::serve(move |_| {
        let mut is_let = is_let.clone();
        async move {
            let whole = Bytes::from(large(1));
            let (first, rest) = (
                whole.slice(..LARGE_BYTES / 2),
                whole.slice(LARGE_BYTES / 2..),
            );
            let rest = stream::once(async move {
                is_let.wait_for(|is_let| *is_let).await.unwrap();
                Ok(rest)
            });
            reply::of(body::streamed(stream::iter([Ok(first)]).chain(rest)))
                .header("content-length", LARGE_BYTES)
                .max_age(600)
                .done()
        }
    })
    .await;
    let setting = before(origin).await;
    (setting, let_go)
}

/// An edge with little memory and a disk before that origin.
async fn before(origin: Origin) -> Setting {
    let edge = with_little_memory(Edge::alone(&one_route(&origin.url(), "cache: true")))
        .start()
        .await;
    let version = Arc::default();
    let setting = Setting {
        origin,
        version,
        edge,
    };
    setting.until_ready().await;
    setting
}

/// Asks for it, and reads up to where the origin stands still.
async fn first_half(setting: &Setting) -> (Connection, http::Response<hyper::body::Incoming>) {
    let connected = setting.edge.client().connect(setting.edge.http()).await;
    let mut connection = connected.unwrap();
    let request = asking("GET", "/large", "");
    let mut response = connection.stream(request).await.unwrap();
    let mut read = 0;
    while read < LARGE_BYTES / 2 {
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        read += frame.into_data().unwrap().len();
    }
    (connection, response)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_while_it_is_fetched_follows_it() {
    let (setting, let_go) = halved().await;
    let mut reading = vec![first_half(&setting).await];
    for _ in 0..3 {
        let (connection, response) = first_half(&setting).await;
        let told = response.headers()["cache-status"].to_str().unwrap();
        assert!(told.contains("; hit"), "{told}");
        reading.push((connection, response));
    }
    assert_eq!(setting.origin.requests(), 1);
    let_go.send_replace(true);
    for (_connection, response) in reading {
        let rest = response.into_body().collect().await.unwrap().to_bytes();
        assert!(rest == large(1)[LARGE_BYTES / 2..], "{} bytes", rest.len());
    }
    setting
        .until("it is on disk", "stored_total", |stored| stored > 0.0)
        .await;
    is_kept(&setting, "/large").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_stored_although_its_client_has_gone() {
    let (setting, let_go) = halved().await;
    drop(first_half(&setting).await);
    let_go.send_replace(true);
    setting
        .until("it is on disk", "stored_total", |stored| stored > 0.0)
        .await;
    is_kept(&setting, "/large").await;
    assert_eq!(setting.origin.requests(), 1);
}

/// What was small enough for memory, and is stale there, does not hide what took its place, whether that is known to be
/// too large for memory from its header or turns out to be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_memory_had_before_gives_way() {
    for is_announced in [true, false] {
        memory_gives_way(is_announced).await;
    }
}

async fn memory_gives_way(is_announced: bool) {
    let origin = Origin::serve(move |call| async move {
        let whole = Bytes::from(large(1));
        let grown = if is_announced {
            body::full(whole)
        } else {
            body::streamed(stream::iter([Ok(whole)]))
        };
        match call.number {
            0 => reply::text("small")
                .max_age(0)
                .header("etag", "\"1\"")
                .done(),
            _ => reply::of(grown).max_age(600).done(),
        }
    })
    .await;
    let setting = before(origin).await;
    setting.store("/grown").await;
    setting.store("/grown").await;
    is_kept(&setting, "/grown").await;
    assert_eq!(setting.origin.requests(), 2);
}
