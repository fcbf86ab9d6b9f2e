//! What a request that changes something makes unfit (RFC 9111 §4.4, RFC 9875).

use super::{
    case::{Case, answer, case, status},
    world::World,
};
use latencify_tests::Protocol;

const STORED: &str = "cache-control: max-age=3600";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_change_makes_unfit_is_not_served_again() {
    let world = World::start().await;
    let mut cases = targets();
    cases.extend(named());
    cases.extend(groups());
    world.check(cases, &[Protocol::Http1]).await;
}

fn targets() -> Vec<Case> {
    let section = "RFC 9111 §4.4";
    let after = |what, method, code, is_unfit: bool| {
        let case = case(section, what)
            .answers([answer(STORED), status(code, ""), answer(STORED)])
            .get("")
            .fetched(1)
            .ask(method, "", "")
            .status(code)
            .asks(1)
            .get("");
        if is_unfit {
            case.fetched(3)
        } else {
            case.hit(1)
        }
    };
    vec![
        after("POST", "POST", 200, true),
        after("PUT", "PUT", 204, true),
        after("DELETE", "DELETE", 202, true),
        after("PATCH", "PATCH", 200, true),
        after("a method that nobody knows", "M-SEARCH", 200, true),
        after("a redirect after POST", "POST", 303, true),
        after("POST that was refused", "POST", 403, false),
        after("POST that failed", "POST", 500, false),
        after("a safe method", "OPTIONS", 200, false),
        after("a safe method of WebDAV", "PROPFIND", 200, false),
        case(section, "all queries and variants of the path")
            .answers([
                answer("cache-control: max-age=3600 | vary: accept"),
                answer("cache-control: max-age=3600 | vary: accept"),
                status(200, ""),
                answer("cache-control: max-age=3600 | vary: accept"),
                answer("cache-control: max-age=3600 | vary: accept"),
            ])
            .ask("GET", "?a=1", "accept: a/b")
            .fetched(1)
            .ask("GET", "?a=1", "accept: a/c")
            .fetched(2)
            .ask("POST", "", "")
            .asks(1)
            .ask("GET", "?a=1", "accept: a/b")
            .fetched(4)
            .ask("GET", "?a=1", "accept: a/c")
            .fetched(5),
    ]
}

/// Location and Content-Location, of the same origin alone.
fn named() -> Vec<Case> {
    let section = "RFC 9111 §4.4";
    let by = |what, field: &str, is_unfit: bool| {
        let case = case(section, what)
            .answers([status(201, field)])
            .answers_at("/other", [answer(STORED), answer(STORED)])
            .get_at("/other")
            .fetched(1)
            .ask("POST", "", "")
            .status(201)
            .get_at("/other");
        if is_unfit {
            case.fetched(2)
        } else {
            case.hit(1)
        }
    };
    vec![
        by("what Location names", "location: {path}/other", true),
        by(
            "what Content-Location names",
            "content-location: {path}/other",
            true,
        ),
        by(
            "what Location names in full",
            "location: http://plain.cache.example{path}/other",
            true,
        ),
        by(
            "what Location names in full, with the port",
            "location: http://PLAIN.cache.example:80{path}/other?q=1#f",
            true,
        ),
        by(
            "what Location names of another host",
            "location: http://other.cache.example{path}/other",
            false,
        ),
        by(
            "what Location names of another scheme",
            "location: https://plain.cache.example{path}/other",
            false,
        ),
        by(
            "what Content-Location names of another host",
            "content-location: http://other.cache.example{path}/other",
            false,
        ),
        case(section, "what Location of an error names")
            .answers([status(500, "location: {path}/other")])
            .answers_at("/other", [answer(STORED)])
            .get_at("/other")
            .fetched(1)
            .ask("POST", "", "")
            .status(500)
            .get_at("/other")
            .hit(1),
        case(section, "what Location of an answer to GET names")
            .answers([status(302, "location: {path}/other")])
            .answers_at("/other", [answer(STORED)])
            .get_at("/other")
            .fetched(1)
            .get("")
            .status(302)
            .get_at("/other")
            .hit(1),
    ]
}

fn groups() -> Vec<Case> {
    let grouped = |section, what, groups: &str, method, invalidated: &str, code: u16| {
        let fields = format!("{STORED} | cache-groups: {groups}");
        case(section, what)
            .answers_at("/other", [answer(&fields), answer(&fields)])
            .answers([status(
                code,
                &format!("cache-group-invalidation: {invalidated}"),
            )])
            .get_at("/other")
            .fetched(1)
            .has("cache-groups: *")
            .ask(method, "", "")
            .status(code)
            .get_at("/other")
    };
    vec![
        grouped(
            "RFC 9875 §3",
            "a group",
            "\"g1\", \"g2\"",
            "POST",
            "\"g2\"",
            200,
        )
        .fetched(2),
        grouped(
            "RFC 9875 §3",
            "another group",
            "\"g3\"",
            "POST",
            "\"g4\"",
            200,
        )
        .hit(1),
        grouped(
            "RFC 9875 §2.1",
            "a group in another case",
            "\"g5\"",
            "POST",
            "\"G5\"",
            200,
        )
        .hit(1),
        grouped(
            "RFC 9875 §3",
            "by a safe method",
            "\"g6\"",
            "OPTIONS",
            "\"g6\"",
            200,
        )
        .hit(1),
        grouped(
            "RFC 9875 §3",
            "by an error",
            "\"g7\"",
            "POST",
            "\"g7\"",
            500,
        )
        .hit(1),
        grouped(
            "RFC 9651 §4.2",
            "by what is no list of strings",
            "\"g8\"",
            "POST",
            "g8",
            200,
        )
        .hit(1),
        grouped(
            "RFC 9875 §3",
            "with parameters",
            "\"g9\";a=1",
            "POST",
            "\"g9\";b",
            200,
        )
        .fetched(2),
        grouped(
            "RFC 9875 §2",
            "where the policy says no",
            "\"g10\"",
            "POST",
            "\"g10\"",
            200,
        )
        .site("ungrouped")
        .hit(1),
    ]
}
