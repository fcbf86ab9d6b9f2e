//! Serving what is stale (RFC 9111 §4.2.4, RFC 5861), to HTTP/1.1 and HTTP/2 clients.

use super::{
    case::{Answer, Case, End, answer, case, status},
    world::World,
};
use latencify_tests::{Edge, Origin, Protocol, policy::one_route, reply};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stale_serves_where_it_may_and_nowhere_else() {
    let world = World::start().await;
    let mut cases = while_refreshed();
    cases.extend(on_errors());
    world
        .check(cases, &[Protocol::Http1, Protocol::Http2])
        .await;
    let told = case(
        "RFC 9112 §9.6",
        "a connection that ends after an error is told",
    )
    .answers([answer(
        "cache-control: max-age=3600, stale-if-error=3600 | age: 3700",
    )])
    .and_then(closing())
    .get("")
    .fetched(1)
    .get("")
    .stale(1)
    .has("connection: close");
    world.check(vec![told], &[Protocol::Http1]).await;
}

/// RFC 9111 §5.2.2.2, §5.2.2.8, §5.2.2.10: what may not be used without its origin is answered by 504 while that can't be
/// reached.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_its_origin_is_504_when_that_is_out_of_reach() {
    const CASES: [(&str, u16, &str); 5] = [
        ("max-age=3600, must-revalidate", 504, "not_revalidated"),
        ("max-age=3600, proxy-revalidate", 504, "not_revalidated"),
        ("s-maxage=3600", 504, "not_revalidated"),
        ("max-age=3600", 502, "origin_unreachable"),
        ("no-store", 502, "origin_unreachable"),
    ];
    let mut origin = Origin::serve(|call| async move {
        let number: usize = call.path()[1..].parse().unwrap();
        let answer = reply::text("stale").header("cache-control", CASES[number].0);
        answer.header("etag", "\"a\"").header("age", 3_700).done()
    })
    .await;
    let edge = Edge::alone(&one_route(&origin.url(), "cache: true"))
        .start()
        .await;
    for number in 0..CASES.len() {
        let stored = edge.get("shop.example", &format!("/{number}")).await;
        assert_eq!(stored.text(), "stale");
    }
    origin.stop().await;
    for (number, (control, status, name)) in CASES.into_iter().enumerate() {
        let answer = edge.get("shop.example", &format!("/{number}")).await;
        assert_eq!(answer.status, status, "{control}: {answer:?}");
        let problem: Value = answer.json();
        assert_eq!(problem["type"], format!("/problems/{name}"), "{control}");
    }
}

fn while_refreshed() -> Vec<Case> {
    let refreshed = |section, what, fields: &str| {
        case(section, what)
            .answers([answer(fields), answer("cache-control: max-age=3600")])
            .get("")
            .fetched(1)
            .get("")
            .stale(1)
            .until_asked(2)
            .get("")
            .hit(2)
            .eventually()
    };
    vec![
        refreshed(
            "RFC 5861 §3",
            "stale-while-revalidate",
            "cache-control: max-age=3600, stale-while-revalidate=3600 | age: 3700",
        ),
        refreshed(
            "RFC 5861 §3",
            "stale-while-revalidate beside s-maxage",
            "cache-control: s-maxage=3600, stale-while-revalidate=3600 | age: 3700",
        ),
        refreshed(
            "RFC 5861 §3",
            "the policy's grace",
            "cache-control: max-age=3600 | age: 3700 | etag: \"a\"",
        )
        .site("grace"),
        case("RFC 5861 §3", "a background refresh that gets a 304")
            .answers([
                answer(
                    "cache-control: max-age=3600, stale-while-revalidate=3600 | age: 3700 | etag: \"a\"",
                ),
                status(304, "cache-control: max-age=3600 | etag: \"a\" | x-new: b"),
            ])
            .get("")
            .fetched(1)
            .get("")
            .stale(1)
            .until_asked(2)
            .get("")
            .hit(1)
            .has("x-new: b")
            .eventually(),
        case("RFC 5861 §3", "a background refresh that fails takes nothing away")
            .answers([answer(
                "cache-control: max-age=3600, stale-while-revalidate=3600 | age: 3700",
            )])
            .and_then(closing())
            .get("")
            .fetched(1)
            .get("")
            .stale(1)
            .until_asked(2)
            .get("")
            .stale(1),
        case("RFC 5861 §3", "beyond the window")
            .answers([
                answer("cache-control: max-age=60, stale-while-revalidate=60 | age: 3700"),
                answer("cache-control: max-age=3600"),
            ])
            .get("")
            .fetched(1)
            .get("")
            .fetched(2),
        case("RFC 9111 §5.2.2.2", "must-revalidate beside stale-while-revalidate")
            .answers([
                answer(
                    "cache-control: max-age=3600, must-revalidate, stale-while-revalidate=3600 | age: 3700",
                ),
                answer("cache-control: max-age=3600"),
            ])
            .get("")
            .fetched(1)
            .get("")
            .fetched(2),
    ]
}

/// The origin closes the connection, however often it is asked.
fn closing() -> [Answer; 1] {
    [answer("").ending(End::Nothing)]
}

fn on_errors() -> Vec<Case> {
    let errors = || {
        [
            (status(500, "cache-control: no-store"), "500"),
            (status(502, "cache-control: no-store"), "502"),
            (status(503, "cache-control: no-store"), "503"),
            (status(504, "cache-control: no-store"), "504"),
        ]
    };
    let mut cases: Vec<_> = errors()
        .into_iter()
        .zip([
            "an origin that says 500",
            "an origin that says 502",
            "an origin that says 503",
            "an origin that says 504",
        ])
        .map(|((error, _), what)| {
            case("RFC 5861 §4", what)
                .answers([
                    answer("cache-control: max-age=3600, stale-if-error=3600 | age: 3700"),
                    error,
                ])
                .get("")
                .fetched(1)
                .get("")
                .stale(1)
        })
        .collect();
    let closes = |section, what, fields: &str, serves: bool| {
        let case = case(section, what)
            .answers([answer(fields)])
            .and_then(closing())
            .get("")
            .fetched(1)
            .get("");
        if serves {
            case.stale(1)
        } else {
            case.status(502)
        }
    };
    cases.extend([
        closes(
            "RFC 5861 §4",
            "an origin that closes",
            "cache-control: max-age=3600, stale-if-error=3600 | age: 3700",
            true,
        ),
        closes(
            "RFC 5861 §4",
            "an origin that closes, beside s-maxage",
            "cache-control: s-maxage=3600, stale-if-error=3600 | age: 3700",
            true,
        ),
        closes(
            "RFC 5861 §4",
            "an origin that closes, beyond the window",
            "cache-control: max-age=60, stale-if-error=60 | age: 3700 | etag: \"a\"",
            false,
        ),
        closes(
            "RFC 9111 §5.2.2.2",
            "an origin that closes, and must-revalidate",
            "cache-control: max-age=3600, must-revalidate, stale-if-error=3600 | age: 3700",
            false,
        ),
        closes(
            "RFC 9111 §5.2.2.8",
            "an origin that closes, and proxy-revalidate",
            "cache-control: max-age=3600, proxy-revalidate, stale-if-error=3600 | age: 3700",
            false,
        ),
        closes(
            "RFC 9111 §5.2.2.10",
            "an origin that closes, and s-maxage alone",
            "cache-control: s-maxage=3600 | age: 3700 | etag: \"a\"",
            false,
        ),
        closes(
            "RFC 9111 §4.2.4",
            "an origin that closes, and nothing that allows what is stale",
            "cache-control: max-age=3600 | age: 3700 | etag: \"a\"",
            false,
        ),
        case("RFC 5861 §4", "404 is no error of an origin")
            .answers([
                answer("cache-control: max-age=3600, stale-if-error=3600 | age: 3700"),
                status(404, "cache-control: no-store"),
            ])
            .get("")
            .fetched(1)
            .get("")
            .fetched(2)
            .status(404),
        case("RFC 5861 §4", "stale-if-error of a request")
            .answers([
                answer("cache-control: max-age=3600 | age: 3700 | etag: \"a\""),
                status(503, "cache-control: no-store"),
            ])
            .get("")
            .fetched(1)
            .get("cache-control: stale-if-error=3600")
            .stale(1),
        case(
            "RFC 9111 §5.2.1.4",
            "no-cache of a request, and an origin that fails",
        )
        .answers([
            answer("cache-control: max-age=3600, stale-if-error=3600 | age: 60"),
            status(503, "cache-control: no-store"),
        ])
        .get("")
        .fetched(1)
        .get("cache-control: no-cache")
        .fetched(2)
        .status(503),
    ]);
    cases
}
