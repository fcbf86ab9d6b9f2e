//! What is stored and how it is answered (RFC 9111, RFC 9110 §13 and §14, RFC 5861).

use futures::{StreamExt as _, stream};
use http_body_util::BodyExt as _;
use latencify_tests::{Client, Edge, Origin, body, policy::one_route, reply, wait_until};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

const CACHED: &str = "cache: true";

async fn edge(origin: &Origin, route: &str) -> Edge {
    Edge::alone(&one_route(&origin.url(), route)).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_request_is_a_hit_with_its_age() {
    let origin =
        Origin::serve(|_| async { reply::text("hello").max_age(60).header("age", 7).done() }).await;
    let edge = edge(&origin, CACHED).await;

    let first = edge.get("shop.example", "/a").await;
    assert_eq!((first.status.as_u16(), first.text()), (200, "hello"));
    assert!(!first.is_hit(), "{first:?}");
    assert!(first.header("cache-status").contains("fwd="), "{first:?}");

    let second = edge.get("shop.example", "/a").await;
    assert_eq!((second.status.as_u16(), second.text()), (200, "hello"));
    assert!(second.is_hit(), "{second:?}");
    assert!((7..60).contains(&second.age().unwrap()), "{second:?}");
    assert!(!second.header("via").is_empty(), "{second:?}");
    assert_eq!(origin.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_stored_is_not() {
    let origin = Origin::serve(|call| async move {
        let answer = reply::text("x");
        match call.path() {
            "/no-store" => answer.no_store(),
            "/private" => answer.header("cache-control", "private, max-age=60"),
            "/silent" => answer,
            "/vary-star" => answer.max_age(60).header("vary", "*"),
            "/partial" => answer
                .max_age(60)
                .status(206)
                .header("content-range", "bytes 0-0/9"),
            "/error" => answer.max_age(0).status(500),
            other => panic!("{other}"),
        }
        .done()
    })
    .await;
    let edge = edge(&origin, CACHED).await;
    for path in ["/no-store", "/private", "/silent", "/vary-star", "/error"] {
        edge.get("shop.example", path).await;
        let second = edge.get("shop.example", path).await;
        assert!(!second.is_hit(), "{path}: {second:?}");
        assert_eq!(origin.requests_for(path), 2, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_misses_at_once_are_one_fetch() {
    let origin = Origin::serve(|_| async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        reply::text("once").max_age(60).done()
    })
    .await;
    let edge = edge(&origin, CACHED).await;
    let replies = futures::future::join_all((0..200).map(|_| edge.get("shop.example", "/a"))).await;
    assert!(
        replies
            .iter()
            .all(|reply| reply.status == 200 && reply.text() == "once")
    );
    assert_eq!(origin.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_requests_for_an_uncacheable_answer_go_side_by_side() {
    const MANY: usize = 100;
    const PATIENCE: Duration = Duration::from_mins(1);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, highest) = (Arc::clone(&now), Arc::clone(&most));
    let began = Instant::now();
    let origin = Origin::serve(move |call| {
        let number = call.number;
        let (now, most) = (Arc::clone(&counted), Arc::clone(&highest));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // The first tells that nothing can be stored. The others stay until there are many of them: one after the
            // other, they would wait for that in vain.
            let end = began + PATIENCE;
            while number > 0 && most.load(Ordering::SeqCst) < MANY && Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            now.fetch_sub(1, Ordering::SeqCst);
            reply::text("yours alone").no_store().done()
        }
    })
    .await;
    let edge = edge(&origin, CACHED).await;
    let replies = futures::future::join_all((0..200).map(|_| edge.get("shop.example", "/a"))).await;
    assert!(
        replies
            .iter()
            .all(|reply| reply.status == 200 && reply.text() == "yours alone")
    );
    assert_eq!(origin.requests(), 200);
    let most = most.load(Ordering::SeqCst);
    assert!(most >= MANY, "at most {most} at a time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vary_keeps_variants_apart() {
    let origin = Origin::serve(|call| async move {
        let language = call.header("accept-language").to_owned();
        reply::text(language)
            .max_age(60)
            .header("vary", "accept-language")
            .done()
    })
    .await;
    let edge = edge(&origin, CACHED).await;
    for (language, hit) in [("de", false), ("fr", false), ("de", true), ("fr", true)] {
        let request =
            Client::request("GET", "shop.example", "/a").header("accept-language", language);
        let reply = Client::new()
            .send(edge.http(), request.body(body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!((reply.text(), reply.is_hit()), (language, hit), "{reply:?}");
    }
    assert_eq!(origin.requests(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sites_hosts_and_queries_are_kept_apart_and_the_key_follows_the_policy() {
    let origin = Origin::serve(|call| async move {
        reply::text(format!("{} {}", call.header("host"), call.request.uri()))
            .max_age(60)
            .done()
    })
    .await;
    let edge = edge(
        &origin,
        "cache: {key: {query: {except: ['utm_*']}, sort_query: true}}",
    )
    .await;
    for (host, path, expected, hit) in [
        ("a.example", "/p?x=1&y=2", "a.example /p?x=1&y=2", false),
        ("b.example", "/p?x=1&y=2", "b.example /p?x=1&y=2", false),
        ("a.example", "/p?x=1", "a.example /p?x=1", false),
        ("a.example", "/p?y=2&x=1", "a.example /p?x=1&y=2", true),
        (
            "a.example",
            "/p?x=1&utm_source=news",
            "a.example /p?x=1",
            true,
        ),
    ] {
        let reply = edge.get(host, path).await;
        assert_eq!(
            (reply.text(), reply.is_hit()),
            (expected, hit),
            "{host}{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_grown_stale_is_validated_and_lives_on() {
    let origin = Origin::serve(|call| async move {
        if call.header("if-none-match") == "\"v1\"" {
            return reply::status(304)
                .max_age(60)
                .header("etag", "\"v1\"")
                .done();
        }
        reply::text("hello")
            .max_age(60)
            .header("age", 59)
            .header("etag", "\"v1\"")
            .done()
    })
    .await;
    let edge = edge(&origin, CACHED).await;
    edge.get("shop.example", "/a").await;
    wait_until(
        "the stored answer is validated",
        Duration::from_mins(1),
        async || {
            let reply = edge.get("shop.example", "/a").await;
            assert_eq!((reply.status.as_u16(), reply.text()), (200, "hello"));
            if origin.requests() == 2 {
                Ok(())
            } else {
                Err(format!("{reply:?}"))
            }
        },
    )
    .await;
    let reply = edge.get("shop.example", "/a").await;
    assert!(reply.is_hit() && reply.text() == "hello", "{reply:?}");
    assert_eq!(origin.requests(), 2);
    assert_eq!(origin.seen()[1].headers["if-none-match"], "\"v1\"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_is_served_while_the_origin_fails() {
    let mut origin = Origin::serve(|_| async {
        reply::text("old")
            .header("cache-control", "max-age=1, stale-if-error=600")
            .done()
    })
    .await;
    let edge = edge(&origin, CACHED).await;
    edge.get("shop.example", "/a").await;
    origin.stop().await;
    wait_until("it is stale", Duration::from_mins(1), async || {
        let reply = edge.get("shop.example", "/a").await;
        assert_eq!(
            (reply.status.as_u16(), reply.text()),
            (200, "old"),
            "{reply:?}"
        );
        if reply.age().unwrap() > 1 {
            Ok(())
        } else {
            Err(format!("{reply:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_is_served_while_it_is_refreshed() {
    let may_answer = Arc::new(Semaphore::new(1));
    let wait = Arc::clone(&may_answer);
    let origin = Origin::serve(move |call| {
        let wait = Arc::clone(&wait);
        async move {
            wait.acquire().await.unwrap().forget();
            let control = "max-age=1, stale-while-revalidate=600";
            reply::text(call.number.to_string())
                .header("cache-control", control)
                .done()
        }
    })
    .await;
    let edge = edge(&origin, CACHED).await;
    edge.get("shop.example", "/a").await;
    // From here on the origin hangs until it may answer: nobody may wait for it.
    wait_until(
        "a refresh is under way",
        Duration::from_mins(1),
        async || {
            assert_eq!(edge.get("shop.example", "/a").await.text(), "0");
            if origin.requests() == 2 {
                Ok(())
            } else {
                Err("no refresh")
            }
        },
    )
    .await;
    for _ in 0..10 {
        assert_eq!(edge.get("shop.example", "/a").await.text(), "0");
    }
    assert_eq!(origin.requests(), 2, "one refresh is enough");
    may_answer.add_permits(100);
    wait_until(
        "the refreshed answer is served",
        Duration::from_mins(1),
        async || {
            let reply = edge.get("shop.example", "/a").await;
            if reply.text() == "0" {
                Err(format!("{reply:?}"))
            } else {
                Ok(())
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_follow_one_fill_that_is_still_coming() {
    let more = Arc::new(Semaphore::new(0));
    let held = more.clone();
    let origin = Origin::serve(move |_| {
        let held = held.clone();
        async move {
            let parts = stream::iter(0..20).then(move |part| {
                let held = held.clone();
                async move {
                    if part > 0 {
                        held.acquire().await.unwrap().forget();
                    }
                    Ok(format!("part {part}\n").into())
                }
            });
            reply::of(body::streamed(parts)).max_age(60).done()
        }
    })
    .await;
    let edge = edge(&origin, CACHED).await;
    let readers = (0..10).map(|_| async {
        let mut connection = Client::new().connect(edge.http()).await.unwrap();
        let request = Client::request("GET", "shop.example", "/a")
            .body(body::empty())
            .unwrap();
        let mut response = connection.stream(request).await.unwrap();
        let first = response.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(first.data_ref().unwrap(), "part 0\n");
        (connection, response)
    });
    // Everybody has the first part before the origin sends the second.
    let readers = futures::future::join_all(readers).await;
    more.add_permits(19);
    let rests = readers.into_iter().map(|(connection, response)| async {
        let rest = response.into_body().collect().await.unwrap().to_bytes();
        drop(connection);
        rest
    });
    for rest in futures::future::join_all(rests).await {
        let rest = String::from_utf8_lossy(&rest).into_owned();
        assert_eq!(rest.lines().count(), 19, "{rest}");
    }
    assert_eq!(origin.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_tier_stays_within_its_bytes() {
    const OBJECT: usize = 256 * 1024;
    let origin =
        Origin::serve(|_| async { reply::text("x".repeat(OBJECT)).max_age(600).done() }).await;
    let edge = Edge::alone(&one_route(&origin.url(), CACHED))
        .flag("--cache-memory", "4MiB")
        .start()
        .await;
    for index in 0..64 {
        edge.get("shop.example", &format!("/{index}")).await;
    }
    let mut hits = 0;
    for index in 0..64 {
        hits += usize::from(
            edge.get("shop.example", &format!("/{index}"))
                .await
                .is_hit(),
        );
    }
    assert!(
        hits * OBJECT <= 4 * 1024 * 1024,
        "{hits} objects of {OBJECT} bytes are held"
    );
}

/// 20 objects that were asked for again and again, and then far more than fits, each once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_evicts_as_it_is_told() {
    let origin =
        Origin::serve(|_| async { reply::text("x".repeat(8_000)).max_age(600).done() }).await;
    for (how, kept) in [("s3-fifo", 20), ("lru", 0)] {
        let edge = Edge::alone(&one_route(&origin.url(), CACHED))
            .flag("--cache-memory", "4MiB")
            .flag("--cache-eviction", how)
            .start()
            .await;
        for round in 0..4 {
            for name in 0..20 {
                let reply = edge.get("shop.example", &format!("/hot/{name}")).await;
                assert_eq!(reply.is_hit(), round > 0, "{how} {name}: {reply:?}");
            }
        }
        let mut connection = Client::new().connect(edge.http()).await.unwrap();
        for name in 0..1_500 {
            let request = Client::request("GET", "shop.example", &format!("/once/{name}"));
            let request = request.body(body::empty()).unwrap();
            connection.send(request).await.unwrap();
        }
        let mut hits = 0;
        for name in 0..20 {
            let reply = edge.get("shop.example", &format!("/hot/{name}")).await;
            hits += usize::from(reply.is_hit());
        }
        assert_eq!(hits, kept, "{how}");
    }
}
