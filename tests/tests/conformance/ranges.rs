//! Ranges of what is stored whole (RFC 9110 §14, §13.1.5).

use super::{
    case::{Case, answer, case, status},
    world::World,
};
use latencify_tests::Protocol;

const MODIFIED: &str = "Fri, 01 Nov 2024 00:00:00 GMT";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_are_cut_from_what_is_stored() {
    let world = World::start().await;
    let kept = format!(
        "cache-control: max-age=3600 | etag: \"a\" | last-modified: {MODIFIED} | content-type: text/plain"
    );
    let asked = |section, what, fields: &str, code| -> Case {
        case(section, what)
            .answers([answer(&kept).body("0123456789")])
            .get("")
            .body("0123456789")
            .asks(1)
            .get(fields)
            .alone(code)
    };
    let part = |section, what, fields: &str, range: &str, body| -> Case {
        asked(section, what, fields, 206)
            .has(&format!("content-range: bytes {range}/10"))
            .body(body)
            .has("etag: \"a\"")
    };
    let whole = |section, what, fields: &str| -> Case {
        asked(section, what, fields, 200).body("0123456789")
    };
    let cases = vec![
        part(
            "RFC 9110 §14.1.2",
            "the first octets",
            "range: bytes=0-3",
            "0-3",
            "0123",
        ),
        part(
            "RFC 9110 §14.1.2",
            "an open end",
            "range: bytes=7-",
            "7-9",
            "789",
        ),
        part(
            "RFC 9110 §14.1.2",
            "a suffix",
            "range: bytes=-2",
            "8-9",
            "89",
        ),
        part(
            "RFC 9110 §14.1.2",
            "a suffix longer than all",
            "range: bytes=-20",
            "0-9",
            "0123456789",
        ),
        part(
            "RFC 9110 §14.1.2",
            "an end beyond all",
            "range: bytes=5-99",
            "5-9",
            "56789",
        ),
        asked("RFC 9110 §15.5.17", "beyond all", "range: bytes=10-", 416)
            .has("content-range: bytes */10"),
        asked(
            "RFC 9110 §14.1.2",
            "a suffix of nothing",
            "range: bytes=-0",
            416,
        )
        .has("content-range: bytes */10"),
        whole("RFC 9110 §14.2", "another unit", "range: lines=0-1"),
        whole("RFC 9110 §14.2", "what can't be read", "range: bytes=x-1"),
        whole(
            "RFC 9110 §14.2",
            "an end before the start",
            "range: bytes=3-1",
        ),
        whole(
            "RFC 9110 §14.2",
            "ranges that overlap",
            "range: bytes=0-5,3-8",
        ),
        asked(
            "RFC 9110 §14.6",
            "several ranges",
            "range: bytes=0-1,4-5",
            206,
        )
        .has("content-type: *")
        .lacks("content-range"),
        asked("RFC 9110 §14.2", "HEAD has no ranges", "", 200)
            .body("0123456789")
            .head("range: bytes=0-3")
            .alone(200)
            .has("content-length: 10")
            .lacks("content-range"),
        part(
            "RFC 9110 §13.1.5",
            "If-Range with the tag",
            "range: bytes=0-3 | if-range: \"a\"",
            "0-3",
            "0123",
        ),
        whole(
            "RFC 9110 §13.1.5",
            "If-Range with another tag",
            "range: bytes=0-3 | if-range: \"b\"",
        ),
        whole(
            "RFC 9110 §13.1.5",
            "If-Range with a weak tag",
            "range: bytes=0-3 | if-range: W/\"a\"",
        ),
        part(
            "RFC 9110 §13.1.5",
            "If-Range with the date",
            "range: bytes=0-3 | if-range: Fri, 01 Nov 2024 00:00:00 GMT",
            "0-3",
            "0123",
        ),
        whole(
            "RFC 9110 §13.1.5",
            "If-Range with a later date",
            "range: bytes=0-3 | if-range: Sat, 02 Nov 2024 00:00:00 GMT",
        ),
        asked(
            "RFC 9110 §13.2.2",
            "If-None-Match comes before the range",
            "range: bytes=0-3 | if-none-match: \"a\"",
            304,
        ),
        case(
            "RFC 9110 §14.2",
            "a range of what is not stored yet stores all of it",
        )
        .answers([answer("cache-control: max-age=3600").body("0123456789")])
        .get("range: bytes=2-3")
        .status(206)
        .body("23")
        .asks(1)
        .origin_saw_no("range")
        .get("")
        .asks(0)
        .body("0123456789"),
        case("RFC 9110 §14.2", "a range of a status that is no 200")
            .answers([status(404, "cache-control: max-age=3600")])
            .get("")
            .fetched(1)
            .status(404)
            .get("range: bytes=0-1")
            .hit(1)
            .status(404),
    ];
    world
        .check(cases, &[Protocol::Http1, Protocol::Http2])
        .await;
}
