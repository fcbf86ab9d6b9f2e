//! Validation of what is stored (RFC 9111 §4.3), and what its answers change (§3.2).

use super::{
    case::{Case, answer, case, status},
    world::World,
};
use latencify_tests::Protocol;

const STALE: &str = "cache-control: max-age=3600 | age: 3700";
const MODIFIED: &str = "Fri, 01 Nov 2024 00:00:00 GMT";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stale_is_validated_and_updated() {
    let world = World::start().await;
    let mut cases = asked();
    cases.extend(updated());
    cases.extend(refused());
    world
        .check(cases, &[Protocol::Http1, Protocol::Http2])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_refreshes_what_is_stored() {
    let world = World::start().await;
    world.check(heads(), &[Protocol::Http1]).await;
}

fn asked() -> Vec<Case> {
    let section = "RFC 9111 §4.3.1";
    vec![
        case(section, "by the entity tag")
            .answers([
                answer(&format!("{STALE} | etag: \"a\"")),
                status(304, "cache-control: max-age=3600 | etag: \"a\""),
            ])
            .get("")
            .fetched(1)
            .get("")
            .validated(1)
            .origin_saw("if-none-match: \"a\"")
            .origin_saw_no("if-modified-since")
            .get("")
            .hit(1),
        case(section, "by a weak entity tag")
            .answers([
                answer(&format!("{STALE} | etag: W/\"a\"")),
                status(304, "cache-control: max-age=3600 | etag: W/\"a\""),
            ])
            .get("")
            .fetched(1)
            .get("")
            .validated(1)
            .origin_saw("if-none-match: W/\"a\"")
            .get("")
            .hit(1),
        case(section, "by the date of the last change")
            .answers([
                answer(&format!("{STALE} | last-modified: {MODIFIED}")),
                status(304, "cache-control: max-age=3600"),
            ])
            .get("")
            .fetched(1)
            .get("")
            .validated(1)
            .origin_saw(&format!("if-modified-since: {MODIFIED}"))
            .get("")
            .hit(1),
        case(section, "by both")
            .answers([
                answer(&format!(
                    "{STALE} | etag: \"a\" | last-modified: {MODIFIED}"
                )),
                status(304, "cache-control: max-age=3600 | etag: \"a\""),
            ])
            .get("")
            .fetched(1)
            .get("")
            .validated(1)
            .origin_saw(&format!(
                "if-none-match: \"a\" | if-modified-since: {MODIFIED}"
            )),
        case(section, "no-cache with a validator, each time")
            .answers([
                answer("cache-control: no-cache | etag: \"a\""),
                status(304, "cache-control: no-cache | etag: \"a\""),
                status(304, "cache-control: no-cache | etag: \"a\""),
            ])
            .get("")
            .fetched(1)
            .get("")
            .validated(1)
            .get("")
            .validated(1),
        case(
            section,
            "a client's own condition does not stand in its way",
        )
        .answers([
            answer(&format!("{STALE} | etag: \"a\"")),
            status(304, "cache-control: max-age=3600 | etag: \"a\""),
        ])
        .get("")
        .fetched(1)
        .get("if-none-match: \"old\"")
        .validated(1)
        .origin_saw("if-none-match: \"a\"")
        .get("")
        .hit(1),
        case(
            section,
            "a client that has it is told so after the validation",
        )
        .answers([
            answer(&format!("{STALE} | etag: \"a\"")),
            status(304, "cache-control: max-age=3600 | etag: \"a\""),
        ])
        .get("")
        .fetched(1)
        .get("if-none-match: \"a\"")
        .status(304)
        .asks(1),
        case(
            section,
            "a client's condition is not the origin's where nothing is stored",
        )
        .answers([answer("cache-control: max-age=3600 | etag: \"a\"")])
        .get("if-none-match: \"a\"")
        .status(304)
        .asks(1)
        .get("")
        .hit(1),
        case("RFC 9111 §4.3.3", "another answer takes its place")
            .answers([
                answer(&format!("{STALE} | etag: \"a\"")),
                answer("cache-control: max-age=3600 | etag: \"b\""),
            ])
            .get("")
            .fetched(1)
            .get("")
            .fetched(2)
            .tells("fwd=stale")
            .get("")
            .hit(2)
            .has("etag: \"b\""),
    ]
}

fn updated() -> Vec<Case> {
    let section = "RFC 9111 §3.2";
    let update = |what, first: &str, second: &str| {
        case(section, what)
            .answers([
                answer(&format!("{STALE} | etag: \"a\" | {first}")),
                status(304, &format!("cache-control: max-age=3600 | {second}")),
            ])
            .get("")
            .fetched(1)
            .get("")
            .validated(1)
    };
    vec![
        update(
            "a field is replaced",
            "x-kind: old",
            "etag: \"a\" | x-kind: new",
        )
        .has("x-kind: new")
        .get("")
        .hit(1)
        .has("x-kind: new"),
        update(
            "a field is added",
            "x-kind: old",
            "etag: \"a\" | x-more: new",
        )
        .has("x-kind: old | x-more: new")
        .get("")
        .hit(1)
        .has("x-kind: old | x-more: new"),
        update(
            "all lines of a field are replaced",
            "x-kind: one | x-kind: two",
            "etag: \"a\" | x-kind: three",
        )
        .get("")
        .hit(1)
        .has("x-kind: three"),
        update(
            "the length stays",
            "x-kind: old",
            "etag: \"a\" | content-length: 3",
        )
        .has("content-length: 8")
        .get("")
        .hit(1)
        .has("content-length: 8"),
        update(
            "what tells of the body stays",
            "content-encoding: x-own | content-md5: one",
            "etag: \"a\" | content-encoding: x-other | content-md5: two",
        )
        .get("")
        .hit(1)
        .has("content-encoding: x-own | content-md5: one"),
        update("the entity tag stays", "x-kind: old", "etag: W/\"a\"")
            .get("")
            .hit(1)
            .has("etag: \"a\""),
        update(
            "a lifetime from Expires",
            "x-kind: old",
            "etag: \"a\" | expires: {now+7200}",
        )
        .get("")
        .hit(1)
        .has("expires: *"),
        update(
            "set-cookie, where the policy stores it",
            "set-cookie: a=1",
            "etag: \"a\" | set-cookie: a=2",
        )
        .site("cookies")
        .has("set-cookie: a=2")
        .get("")
        .hit(1)
        .has("set-cookie: a=2"),
        update(
            "an Age that the 304 does not repeat goes",
            "x-kind: old",
            "etag: \"a\"",
        )
        .has("age: *")
        .get("")
        .hit(1)
        .has("age: *"),
        update(
            "the Date is that of the 304",
            "date: {now-3000}",
            "etag: \"a\" | date: Fri, 01 Jan 2100 00:00:00 GMT",
        )
        .get("")
        .hit(1),
        case(
            "RFC 9110 §6.6.1",
            "a 304 without Date is of the moment that it came",
        )
        .answers([
            answer("cache-control: max-age=60 | date: {now-3000} | etag: \"a\""),
            status(304, "cache-control: max-age=60 | etag: \"a\"").dateless(),
        ])
        .get("")
        .fetched(1)
        .get("")
        .validated(1)
        .get("")
        .hit(1),
        case(section, "a 304 that says no-store")
            .answers([
                answer(&format!("{STALE} | etag: \"a\"")),
                status(304, "cache-control: no-store | etag: \"a\""),
                answer("cache-control: max-age=3600"),
            ])
            .get("")
            .fetched(1)
            .get("")
            .validated(1)
            .get("")
            .fetched(3),
    ]
}

/// RFC 9111 §4.3.4: a 304 of another representation updates nothing. It still answers this request (§4.3.3), the next one asks
/// again.
fn refused() -> Vec<Case> {
    let section = "RFC 9111 §4.3.4";
    let other = |what, first: &str, second: &str| {
        case(section, what)
            .answers([
                answer(&format!("{STALE} | {first} | x-kind: old")),
                status(
                    304,
                    &format!("cache-control: max-age=3600 | {second} | x-kind: new"),
                ),
                answer("cache-control: max-age=3600"),
            ])
            .get("")
            .fetched(1)
            .get("")
            .validated(1)
            .has("x-kind: old")
            .tells_no("stored")
            .get("")
            .fetched(3)
            .get("")
            .hit(3)
    };
    vec![
        other(
            "a 304 with another strong entity tag",
            "etag: \"a\"",
            "etag: \"b\"",
        ),
        other(
            "a 304 with another date of the last change",
            "last-modified: Fri, 01 Nov 2024 00:00:00 GMT",
            "last-modified: Sat, 02 Nov 2024 00:00:00 GMT",
        ),
        other(
            "a 304 that varies on more",
            "etag: \"a\"",
            "etag: \"a\" | vary: accept-language",
        ),
        case(
            section,
            "a 304 to a request that had nothing to validate is an error",
        )
        .answers((0..8).map(|_| status(304, "cache-control: max-age=3600")))
        .get("")
        .status(502),
    ]
}

/// A HEAD is asked as GET: that brings a body, or validates and updates what is stored, which a 200 to HEAD could do no more than.
fn heads() -> Vec<Case> {
    let section = "RFC 9111 §4.3.5";
    let kept = "cache-control: max-age=3600 | age: 3700 | etag: \"a\" | x-kind: old";
    vec![
        case(section, "a HEAD validates and updates the stored GET")
            .answers([
                answer(kept),
                status(
                    304,
                    "cache-control: max-age=3600 | etag: \"a\" | x-kind: new",
                ),
            ])
            .get("")
            .fetched(1)
            .head("")
            .asks(1)
            .origin_saw_method("GET")
            .origin_saw("if-none-match: \"a\"")
            .has("x-kind: new | content-length: 8")
            .get("")
            .hit(1)
            .has("x-kind: new"),
        case(section, "a HEAD brings what has taken its place")
            .answers([
                answer(kept),
                answer("cache-control: max-age=3600 | etag: \"b\""),
            ])
            .get("")
            .fetched(1)
            .head("")
            .asks(1)
            .has("etag: \"b\"")
            .get("")
            .hit(2),
        case(section, "a HEAD of what is gone")
            .answers([answer(kept), status(410, "cache-control: max-age=3600")])
            .get("")
            .fetched(1)
            .head("")
            .asks(1)
            .status(410)
            .get("")
            .hit(2)
            .status(410),
        case(
            section,
            "a HEAD where nothing is stored brings a body to store",
        )
        .answers([answer("cache-control: max-age=3600")])
        .head("")
        .asks(1)
        .get("")
        .hit(1),
    ]
}
