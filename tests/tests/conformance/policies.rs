//! What a policy may change: keys, what reaches the origin, errors that are kept.

use super::{
    case::{answer, case, status},
    world::World,
};
use latencify_tests::Protocol;

const PHONE: &str = "user-agent: Mozilla/5.0 (iPhone) Mobile Safari";
const DESKTOP: &str = "user-agent: Mozilla/5.0 (X11; Linux) Firefox";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_bends_the_cache_where_it_says_so() {
    let world = World::start().await;
    let stored = "cache-control: max-age=3600";
    let many = || (0..6).map(move |_| answer(stored));
    let cases = vec![
        case("RFC 9111 §2", "the query is part of the key")
            .answers(many())
            .ask("GET", "?a=1", "")
            .fetched(1)
            .ask("GET", "?a=2", "")
            .fetched(2)
            .ask("GET", "?a=1", "")
            .hit(1),
        case(
            "key by policy",
            "parameters that don't count, and their order",
        )
        .site("keyed")
        .answers(many())
        .ask("GET", "?a=1&b=2", "")
        .fetched(1)
        .ask("GET", "?b=2&a=1&utm_source=x", "")
        .hit(1),
        case("key by policy", "a field of the request")
            .site("keyed")
            .answers(many())
            .get("x-tenant: one")
            .fetched(1)
            .origin_saw("x-tenant: one")
            .get("x-tenant: two")
            .fetched(2)
            .get("x-tenant: one")
            .hit(1),
        case("key by policy", "a cookie")
            .site("keyed")
            .answers(many())
            .get("cookie: edition=uk; other=1")
            .fetched(1)
            .get("cookie: edition=us; other=1")
            .fetched(2)
            .get("cookie: edition=uk; other=2")
            .hit(1),
        case("key by policy", "the kind of the device")
            .site("faceted")
            .answers(many())
            .get(PHONE)
            .fetched(1)
            .origin_saw("x-device: mobile")
            .get(DESKTOP)
            .fetched(2)
            .origin_saw("x-device: desktop")
            .get(&format!("{PHONE}/2"))
            .hit(1),
        case("key by policy", "a facet that a client claims")
            .site("faceted")
            .answers(many())
            .get(&format!("{PHONE} | x-device: desktop | x-country: XX"))
            .fetched(1)
            .origin_saw("x-device: mobile | x-country: *"),
        case(
            "cache poisoning",
            "a field that is not named does not reach the origin",
        )
        .answers(many())
        .get("x-forwarded-scheme: http | x-original-url: /admin | x-anything: at all | accept: a/b")
        .fetched(1)
        .origin_saw_no("x-forwarded-scheme")
        .origin_saw_no("x-original-url")
        .origin_saw_no("x-anything")
        .origin_saw("accept: a/b"),
        case("cache poisoning", "a field that is named does")
            .site("named")
            .answers(many())
            .get("x-named: a | x-other: b")
            .fetched(1)
            .origin_saw("x-named: a")
            .origin_saw_no("x-other"),
        case("cache poisoning", "what POST says goes on")
            .answers(many())
            .ask("POST", "", "x-anything: at all")
            .fetched(1)
            .origin_saw("x-anything: at all"),
        case("negative caching", "404 by policy")
            .site("negative")
            .answers([status(404, ""), status(404, "")])
            .get("")
            .fetched(1)
            .status(404)
            .get("")
            .hit(1)
            .status(404),
        case("negative caching", "503 by policy")
            .site("negative")
            .answers([status(503, ""), status(503, "")])
            .get("")
            .fetched(1)
            .status(503)
            .get("")
            .hit(1)
            .status(503),
        case("negative caching", "no 404 without it")
            .answers([status(404, ""), status(404, "")])
            .get("")
            .fetched(1)
            .status(404)
            .get("")
            .fetched(2)
            .status(404),
        case("tags", "they end at the edge")
            .answers([answer(
                "cache-control: max-age=3600 | surrogate-key: a b | cache-tag: c",
            )])
            .get("")
            .fetched(1)
            .lacks("surrogate-key")
            .lacks("cache-tag")
            .get("")
            .hit(1)
            .lacks("surrogate-key")
            .lacks("cache-tag"),
    ];
    world.check(cases, &[Protocol::Http1]).await;
}
