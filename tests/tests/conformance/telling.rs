//! `Cache-Status` (RFC 9211).

use super::{
    case::{End, answer, case, status},
    world::World,
};
use latencify_tests::{Edge, Origin, Protocol, policy::one_route, reply, wait_until};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_status_tells_what_happened() {
    let world = World::start().await;
    let stale = "cache-control: max-age=3600 | age: 3700 | etag: \"a\"";
    let cases = vec![
        case("RFC 9211 §2", "a miss that is stored, then a hit")
            .answers([answer("cache-control: max-age=86400")])
            .get("")
            .fetched(1)
            .tells("fwd=uri-miss")
            .tells("stored")
            .tells("ttl=86")
            .tells_no("hit")
            .tells_no("collapsed")
            .get("")
            .hit(1)
            .tells("hit")
            .tells("ttl=86")
            .tells_no("fwd")
            .tells_no("stored"),
        case("RFC 9211 §2.5", "a miss that is not stored")
            .answers([answer("cache-control: no-store")])
            .get("")
            .fetched(1)
            .tells("fwd=uri-miss")
            .tells_no("stored")
            .tells("detail=no_store"),
        case("RFC 9211 §2.2", "stale, and validated")
            .answers([
                answer(stale),
                status(304, "cache-control: max-age=3600 | etag: \"a\""),
            ])
            .get("")
            .fetched(1)
            .get("")
            .validated(1)
            .tells("fwd=stale")
            .tells("fwd-status=304")
            .tells("stored"),
        case(
            "RFC 9211 §2.3",
            "an origin that fails while something stale serves",
        )
        .answers([
            answer("cache-control: max-age=3600, stale-if-error=3600 | age: 3700"),
            status(503, "cache-control: no-store"),
        ])
        .get("")
        .fetched(1)
        .get("")
        .stale(1)
        .tells("ttl=-"),
        case("RFC 9211 §2.2", "another variant")
            .answers([
                answer("cache-control: max-age=3600 | vary: accept"),
                answer("cache-control: max-age=3600 | vary: accept"),
            ])
            .get("accept: a/b")
            .fetched(1)
            .tells("fwd=uri-miss")
            .get("accept: a/c")
            .fetched(2)
            .tells("fwd=vary-miss"),
        case("RFC 9211 §2.2", "a method that no cache answers")
            .answers([answer("cache-control: max-age=3600")])
            .ask("POST", "", "")
            .fetched(1)
            .tells("fwd=method"),
        case("RFC 9211 §2.2", "a client that demands it")
            .answers([
                answer("cache-control: max-age=3600"),
                answer("cache-control: max-age=3600"),
            ])
            .get("")
            .fetched(1)
            .get("cache-control: no-cache")
            .fetched(2)
            .tells("fwd=request"),
        case("RFC 9211 §2", "only-if-cached")
            .get("cache-control: only-if-cached")
            .alone(504)
            .tells("detail=only_if_cached")
            .tells_no("fwd"),
        case("RFC 9211 §2.2", "an origin that gives no answer")
            .answers([answer("").ending(End::Nothing)])
            .get("")
            .status(502)
            .tells("fwd=uri-miss")
            .tells("detail=origin_failed")
            .tells_no("hit")
            .tells_no("stored"),
        case(
            "RFC 9211 §2.2",
            "one that gives none while something stale must not serve",
        )
        .answers([answer(stale), answer("").ending(End::Nothing)])
        .get("")
        .fetched(1)
        .get("")
        .status(502)
        .tells("fwd=stale")
        .tells("detail=origin_failed"),
        case(
            "RFC 9211 §2.8",
            "no detail of an error where the policy tells none",
        )
        .site("silent")
        .answers([answer("").ending(End::Nothing)])
        .get("")
        .status(502)
        .tells("fwd=uri-miss")
        .tells_no("detail"),
        case(
            "RFC 9211 §2.5",
            "an interim answer does not say whether the answer is stored",
        )
        .answers([answer("cache-control: no-store").after(103, "link: </style.css>")])
        .get("")
        .fetched(1)
        .tells("fwd=uri-miss")
        .tells("detail=no_store")
        .tells_no("stored"),
        case("RFC 9211 §2", "a member is appended to those of others")
            .answers([answer(
                "cache-control: max-age=3600 | cache-status: origin-cache; hit",
            )])
            .get("")
            .asks(1)
            .tells("origin-cache")
            .tells("fwd=uri-miss"),
        case("RFC 9211 §2.7", "the key, where the policy tells it")
            .site("telling")
            .answers([answer("cache-control: max-age=3600")])
            .get("")
            .fetched(1)
            .tells("key=")
            .get("")
            .hit(1)
            .tells("key="),
        case("RFC 9211 §2.7", "no key by default")
            .answers([answer("cache-control: max-age=3600")])
            .get("")
            .fetched(1)
            .tells_no("key="),
        case("RFC 9211 §2.8", "no detail where the policy tells none")
            .site("silent")
            .answers([answer("cache-control: no-store")])
            .get("")
            .fetched(1)
            .tells_no("detail"),
    ];
    world
        .check(cases, &[Protocol::Http1, Protocol::Http2])
        .await;
    let own = case("RFC 9211 §2", "a host that nobody answers for")
        .site("nobody")
        .get("")
        .alone(404)
        .tells("detail=no_site")
        .tells_no("fwd")
        .tells_no("hit");
    world.check(vec![own], &[Protocol::Http1]).await;
}

/// RFC 9211 §2.6. Whether a request comes while another waits is chance: it is tried until it does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_waited_for_anothers_fetch_says_so() {
    let origin = Origin::serve(|_| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        reply::text("once").max_age(600).done()
    })
    .await;
    let edge = Edge::alone(&one_route(&origin.url(), "cache: true"))
        .start()
        .await;
    let mut round = 0;
    wait_until("a request waits", Duration::from_mins(1), async || {
        round += 1;
        let path = format!("/{round}");
        let asked = (0..5).map(|_| edge.get("shop.example", &path));
        let replies = futures::future::join_all(asked).await;
        assert_eq!(origin.requests_for(&path), 1);
        let told = |reply: &latencify_tests::Reply| {
            let status = reply.header("cache-status");
            assert_eq!(reply.text(), "once", "{reply:?}");
            status.contains("; fwd=miss; ") && status.ends_with("; collapsed")
        };
        if replies.iter().filter(|reply| told(reply)).count() > 0 {
            Ok(())
        } else {
            Err(format!("{:?}", replies.last()))
        }
    })
    .await;
}
