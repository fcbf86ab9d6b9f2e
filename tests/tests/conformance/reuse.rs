//! What a client may demand of stored responses (RFC 9111 §5.2.1, §5.4; RFC 8246).

use super::{
    case::{Case, answer, case},
    world::World,
};
use latencify_tests::Protocol;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_gets_what_it_demands() {
    let world = World::start().await;
    let old = "cache-control: max-age=7200 | age: 3600";
    let stale = "cache-control: max-age=3600 | age: 3700 | etag: \"a\"";
    let pair = |section, what, fields: &str| -> Case {
        case(section, what)
            .answers([answer(fields), answer(fields)])
            .get("")
            .fetched(1)
    };
    let cases = vec![
        pair(
            "RFC 9111 §5.2.1.1",
            "max-age of zero",
            "cache-control: max-age=3600 | age: 1",
        )
        .get("cache-control: max-age=0")
        .fetched(2)
        .tells("fwd=request"),
        pair("RFC 9111 §5.2.1.1", "max-age below the age", old)
            .get("cache-control: max-age=60")
            .fetched(2),
        pair("RFC 9111 §5.2.1.1", "max-age above the age", old)
            .get("cache-control: max-age=7000")
            .hit(1),
        pair("RFC 9111 §5.2.1.2", "max-stale allows what is stale", stale)
            .get("cache-control: max-stale=1000")
            .hit(1),
        pair("RFC 9111 §5.2.1.2", "max-stale of any length", stale)
            .get("cache-control: max-stale")
            .hit(1),
        pair("RFC 9111 §5.2.1.2", "max-stale that is too short", stale)
            .get("cache-control: max-stale=10")
            .fetched(2),
        pair(
            "RFC 9111 §5.2.2.2",
            "must-revalidate against max-stale",
            "cache-control: max-age=3600, must-revalidate | age: 3700 | etag: \"a\"",
        )
        .get("cache-control: max-stale=1000")
        .fetched(2),
        pair(
            "RFC 9111 §5.2.2.8",
            "proxy-revalidate against max-stale",
            "cache-control: max-age=3600, proxy-revalidate | age: 3700 | etag: \"a\"",
        )
        .get("cache-control: max-stale=1000")
        .fetched(2),
        pair(
            "RFC 9111 §5.2.2.10",
            "s-maxage against max-stale",
            "cache-control: s-maxage=3600 | age: 3700 | etag: \"a\"",
        )
        .get("cache-control: max-stale=1000")
        .fetched(2),
        pair("RFC 9111 §5.2.1.3", "min-fresh that is left", old)
            .get("cache-control: min-fresh=3000")
            .hit(1),
        pair("RFC 9111 §5.2.1.3", "min-fresh that is not left", old)
            .get("cache-control: min-fresh=3700")
            .fetched(2),
        pair("RFC 9111 §5.2.1.4", "no-cache", old)
            .get("cache-control: no-cache")
            .fetched(2)
            .tells("fwd=request")
            .get("")
            .hit(2),
        pair(
            "RFC 9111 §5.4",
            "Pragma where there is no Cache-Control",
            old,
        )
        .get("pragma: no-cache")
        .fetched(2),
        pair(
            "RFC 9111 §5.4",
            "Pragma beside Cache-Control is ignored",
            old,
        )
        .get("pragma: no-cache | cache-control: foo")
        .hit(1),
        pair("RFC 9111 §5.2.1.7", "only-if-cached of what is stored", old)
            .get("cache-control: only-if-cached")
            .hit(1),
        case("RFC 9111 §5.2.1.7", "only-if-cached of what is not")
            .get("cache-control: only-if-cached")
            .alone(504),
        pair(
            "RFC 9111 §5.2.1.7",
            "only-if-cached of what is stale",
            stale,
        )
        .get("cache-control: only-if-cached")
        .alone(504),
        pair(
            "RFC 8246 §2",
            "immutable against max-age",
            "cache-control: max-age=7200, immutable | age: 3600",
        )
        .get("cache-control: max-age=0")
        .hit(1),
        pair(
            "RFC 8246 §2",
            "immutable that is no longer fresh",
            "cache-control: max-age=3600, immutable | age: 3700 | etag: \"a\"",
        )
        .get("")
        .fetched(2),
        pair(
            "RFC 8246 §2.1",
            "immutable against no-cache",
            "cache-control: max-age=7200, immutable",
        )
        .get("cache-control: no-cache")
        .fetched(2),
    ];
    world
        .check(cases, &[Protocol::Http1, Protocol::Http2])
        .await;
}
