//! A client's own conditions (RFC 9110 §13, RFC 9111 §4.3.2), over HTTP/1.1 and HTTP/2.

use super::{
    case::{Case, answer, case, status},
    world::World,
};
use latencify_tests::Protocol;

const MODIFIED: &str = "Fri, 01 Nov 2024 00:00:00 GMT";
const BEFORE: &str = "Thu, 31 Oct 2024 00:00:00 GMT";
const AFTER: &str = "Sat, 02 Nov 2024 00:00:00 GMT";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_are_weighed_as_rfc_9110_orders_them() {
    let world = World::start().await;
    let kept = format!("cache-control: max-age=3600 | etag: \"a\" | last-modified: {MODIFIED}");
    let weighed = |section, what, fields: &str, asked: &str, code| -> Case {
        let case = case(section, what)
            .answers([answer(fields)])
            .get("")
            .fetched(1)
            .get(asked);
        if code == 304 {
            case.alone(304).tells("hit").has("cache-control: *")
        } else {
            case.hit(1).status(code)
        }
    };
    let mut cases = Vec::new();
    for (section, what, asked, code) in [
        (
            "RFC 9110 §13.1.2",
            "the tag that is stored",
            "if-none-match: \"a\"",
            304,
        ),
        (
            "RFC 9110 §13.1.2",
            "another tag",
            "if-none-match: \"b\"",
            200,
        ),
        (
            "RFC 9110 §8.8.3.2",
            "the tag, weakly",
            "if-none-match: W/\"a\"",
            304,
        ),
        (
            "RFC 9110 §13.1.2",
            "a list of tags",
            "if-none-match: \"b\", \"a\"",
            304,
        ),
        (
            "RFC 9110 §13.1.2",
            "tags in two lines",
            "if-none-match: \"b\" | if-none-match: \"a\"",
            304,
        ),
        ("RFC 9110 §13.1.2", "any tag", "if-none-match: *", 304),
        (
            "RFC 9110 §13.1.2",
            "a tag without quotes is another",
            "if-none-match: a",
            200,
        ),
        (
            "RFC 9110 §13.1.3",
            "the date that is stored",
            "if-modified-since: Fri, 01 Nov 2024 00:00:00 GMT",
            304,
        ),
        (
            "RFC 9110 §13.1.3",
            "a later date",
            "if-modified-since: Sat, 02 Nov 2024 00:00:00 GMT",
            304,
        ),
        (
            "RFC 9110 §13.1.3",
            "an earlier date",
            "if-modified-since: Thu, 31 Oct 2024 00:00:00 GMT",
            200,
        ),
        (
            "RFC 9110 §13.1.3",
            "what is no date",
            "if-modified-since: yesterday",
            200,
        ),
        (
            "RFC 9110 §5.6.7",
            "a date as RFC 850",
            "if-modified-since: Friday, 01-Nov-24 00:00:00 GMT",
            304,
        ),
        (
            "RFC 9110 §5.6.7",
            "a date as asctime",
            "if-modified-since: Fri Nov  1 00:00:00 2024",
            304,
        ),
    ] {
        cases.push(weighed(section, what, &kept, asked, code));
    }
    cases.push(weighed(
        "RFC 9110 §13.2.2",
        "another tag decides before a date that holds",
        &kept,
        &format!("if-none-match: \"b\" | if-modified-since: {AFTER}"),
        200,
    ));
    cases.push(weighed(
        "RFC 9110 §13.2.2",
        "the tag decides before a date that does not hold",
        &kept,
        &format!("if-none-match: \"a\" | if-modified-since: {BEFORE}"),
        304,
    ));
    cases.push(weighed(
        "RFC 9110 §8.8.3.2",
        "a weak tag that is stored",
        "cache-control: max-age=3600 | etag: W/\"a\"",
        "if-none-match: \"a\"",
        304,
    ));
    cases.push(weighed(
        "RFC 9111 §4.3.2",
        "Date where there is no Last-Modified",
        "cache-control: max-age=3600",
        "if-modified-since: Fri, 01 Jan 2100 00:00:00 GMT",
        304,
    ));
    cases.extend(origins());
    cases.extend(fields_of_304());
    world
        .check(cases, &[Protocol::Http1, Protocol::Http2])
        .await;
}

/// What only an origin may weigh goes to it as it is (RFC 9111 §4.3.2).
fn origins() -> Vec<Case> {
    let kept = format!("cache-control: max-age=3600 | etag: \"a\" | last-modified: {MODIFIED}");
    let goes_on = |what, asked: &str| -> Case {
        case("RFC 9111 §4.3.2", what)
            .answers([
                answer(&kept),
                status(412, "cache-control: max-age=3600"),
                answer(&kept),
            ])
            .get("")
            .fetched(1)
            .get(asked)
            .fetched(2)
            .status(412)
            .origin_saw(asked)
            .get("")
            .hit(1)
    };
    vec![
        goes_on("If-Match is the origin's", "if-match: \"b\""),
        goes_on("If-Match of any tag is the origin's", "if-match: *"),
        goes_on(
            "If-Unmodified-Since is the origin's",
            "if-unmodified-since: Thu, 31 Oct 2024 00:00:00 GMT",
        ),
        goes_on(
            "all conditions beside If-Match are the origin's",
            "if-match: \"b\" | if-none-match: \"a\"",
        ),
        case(
            "RFC 9111 §4.3.2",
            "If-Match that holds brings what is there",
        )
        .answers([answer(&kept), answer(&kept)])
        .get("")
        .fetched(1)
        .get("if-match: \"a\"")
        .fetched(2),
    ]
}

/// RFC 9110 §15.4.5: what a 304 says, and what not.
fn fields_of_304() -> Vec<Case> {
    vec![
        case("RFC 9110 §15.4.5", "what a 304 says")
            .answers([answer(
                "cache-control: max-age=3600 | etag: \"a\" | vary: accept | expires: {now+3600} | content-location: /x",
            )])
            .get("")
            .fetched(1)
            .get("if-none-match: \"a\"")
            .alone(304)
            .has("etag: \"a\" | cache-control: max-age=3600 | vary: accept | expires: * | content-location: /x | date: * | age: *")
            .lacks("transfer-encoding"),
        case("RFC 9110 §13.1.2", "a HEAD with a condition")
            .answers([answer("cache-control: max-age=3600 | etag: \"a\"")])
            .get("")
            .fetched(1)
            .head("if-none-match: \"a\"")
            .alone(304),
        case("RFC 9110 §13.1.2", "a status that is no 200 is not weighed")
            .answers([status(404, "cache-control: max-age=3600 | etag: \"a\"")])
            .get("")
            .fetched(1)
            .status(404)
            .get("if-none-match: \"a\"")
            .hit(1)
            .status(404),
    ]
}
