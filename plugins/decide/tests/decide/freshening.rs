//! What the answer to a validation changes in what is stored (RFC 9111 §3.2, §4.3.4, §4.3.5).

use crate::house::{headers, now};
use latencify_decide::refresh::{Freshened, by_head, by_not_modified, identified};

type Lines<'a> = &'a [(&'static str, &'a str)];

const MONDAY: &str = "Mon, 09 Jun 2025 00:00:00 GMT";
const TUESDAY: &str = "Tue, 10 Jun 2025 00:00:00 GMT";

/// The stored fields after a 304; none if it is of another representation.
fn after_304(stored: Lines<'_>, answer: Lines<'_>) -> Option<http::HeaderMap> {
    match by_not_modified(&headers(stored), &headers(answer), now()) {
        Freshened::Updated(fields) => Some(fields),
        Freshened::Other => None,
    }
}

#[test]
fn a_304_replaces_what_it_carries() {
    let check = |what: &str, name: &'static str, was: &str, told: &str, expected: &str| {
        let found = after_304(&[("etag", "\"e\""), (name, was)], &[("etag", "\"e\""), (name, told)]);
        assert_eq!(found.unwrap().get(name).unwrap(), expected, "{what}: {name}");
    };
    for name in ["cache-control", "expires", "date", "content-type", "content-language", "content-location", "x-any", "set-cookie",
        "content-security-policy", "surrogate-key", "last-modified", "cdn-cache-control", "cache-groups"]
    {
        check("§3.2 replaced", name, "1", "2", "2");
    }
    for name in ["content-length", "content-encoding", "content-range", "content-md5", "content-digest", "repr-digest"] {
        check("§3.2 the body stays", name, "1", "2", "1");
    }
    check("the variant stays", "vary", "a, b", "B", "a, b");
    let fields = after_304(
        &[("etag", "\"e\""), ("x-two", "1"), ("x-two", "2"), ("age", "900"), ("x-kept", "k")],
        &[("etag", "\"e\""), ("x-two", "3"), ("connection", "x-hop"), ("x-hop", "1"), ("keep-alive", "1"), ("x-new", "n")],
    );
    let expected = headers(&[("etag", "\"e\""), ("x-kept", "k"), ("x-two", "3"), ("x-new", "n")]);
    assert_eq!(fields.unwrap(), expected, "all lines of a field; nothing of the connection; no old Age");
}

#[test]
fn a_304_updates_the_representation_that_it_is_of_and_no_other() {
    let check = |what: &str, stored: Lines<'_>, answer: Lines<'_>, expected: Option<&str>| {
        let found = after_304(stored, answer);
        let etag = found.as_ref().map(|fields| fields.get("etag").map_or("", |tag| tag.to_str().unwrap()));
        assert_eq!(etag, expected, "{what}");
    };
    let strong = &[("etag", "\"e\"")];
    check("§4.3.4 the same strong tag", strong, strong, Some("\"e\""));
    check("§4.3.4 another strong tag", strong, &[("etag", "\"f\"")], None);
    check("§4.3.4 the same weak tag", &[("etag", "W/\"e\"")], &[("etag", "W/\"e\"")], Some("W/\"e\""));
    check("another weak tag", &[("etag", "W/\"e\"")], &[("etag", "W/\"f\"")], None);
    check("a weak one of a strong", strong, &[("etag", "W/\"e\"")], Some("\"e\""));
    check("a strong one of a weak stays weak", &[("etag", "W/\"e\"")], strong, Some("W/\"e\""));
    check("no validator: what was asked about", strong, &[("x", "y")], Some("\"e\""));
    check("a first tag", &[("last-modified", MONDAY)], &[("last-modified", MONDAY), ("etag", "\"e\"")], Some("\"e\""));
    check("§4.3.4 the same date", &[("last-modified", MONDAY)], &[("last-modified", MONDAY)], Some(""));
    check("another date", &[("last-modified", MONDAY)], &[("last-modified", TUESDAY)], None);
    check("the tag is above the date", &[("etag", "\"e\""), ("last-modified", MONDAY)], &[("etag", "\"e\""), ("last-modified", TUESDAY)], Some("\"e\""));
    check("it varies on more now", &[("etag", "\"e\""), ("vary", "a")], &[("etag", "\"e\""), ("vary", "a, b")], None);
    check("it varies on everything now", strong, &[("etag", "\"e\""), ("vary", "*")], None);
    check("it varies at last", strong, &[("etag", "\"e\""), ("vary", "a")], None);
}

#[test]
fn of_several_variants_a_304_updates_those_that_section_4_3_4_says() {
    let check = |what: &str, stored: &[Lines<'_>], answer: Lines<'_>, expected: &[usize]| {
        let stored: Vec<_> = stored.iter().map(|lines| headers(lines)).collect();
        let stored: Vec<_> = stored.iter().collect();
        assert_eq!(identified(&stored, &headers(answer), now()), expected, "{what}");
    };
    let a: Lines<'_> = &[("etag", "\"a\""), ("date", MONDAY)];
    let a_later: Lines<'_> = &[("etag", "\"a\""), ("date", TUESDAY)];
    let b: Lines<'_> = &[("etag", "\"b\""), ("date", MONDAY)];
    let weak: Lines<'_> = &[("etag", "W/\"a\""), ("date", MONDAY)];
    let weak_later: Lines<'_> = &[("etag", "W/\"a\""), ("date", TUESDAY)];
    let bare: Lines<'_> = &[("date", MONDAY)];
    check("all with the strong tag", &[a, b, a_later], &[("etag", "\"a\"")], &[0, 2]);
    check("none with another", &[a, b], &[("etag", "\"c\"")], &[]);
    check("the most recent with the weak tag", &[weak, weak_later, b], &[("etag", "W/\"a\"")], &[1]);
    check("not one without a tag", &[bare, b], &[("etag", "\"a\"")], &[]);
    check("without a validator, the only one", &[bare], &[("date", TUESDAY)], &[0]);
    check("without a validator, not one of two", &[bare, a], &[("date", TUESDAY)], &[]);
    let monday: Lines<'_> = &[("last-modified", MONDAY), ("date", MONDAY)];
    let monday_later: Lines<'_> = &[("last-modified", MONDAY), ("date", TUESDAY)];
    check("the most recent with the date", &[monday, monday_later], &[("last-modified", MONDAY)], &[1]);
    check("nothing stored", &[], &[("etag", "\"a\"")], &[]);
}

#[test]
fn a_200_to_head_updates_a_stored_get_or_makes_it_stale() {
    let stored: Lines<'_> = &[("etag", "\"e\""), ("last-modified", MONDAY), ("content-length", "7"), ("x-a", "1"), ("x-b", "1")];
    let check = |what: &str, answer: Lines<'_>, expected: Option<&str>| {
        let found = match by_head(&headers(stored), &headers(answer)) {
            Freshened::Updated(fields) => Some(fields),
            Freshened::Other => None,
        };
        assert_eq!(found.as_ref().map(|fields| fields["x-a"].to_str().unwrap()), expected, "{what}");
        if let Some(fields) = found {
            assert_eq!(fields["x-b"], "1", "{what}: what it does not carry stays");
        }
    };
    check("§4.3.5 all agrees", &[("etag", "\"e\""), ("last-modified", MONDAY), ("content-length", "7"), ("x-a", "2")], Some("2"));
    check("§4.3.5 only what it carries is compared", &[("x-a", "2")], Some("2"));
    check("§4.3.5 another tag", &[("etag", "\"f\""), ("x-a", "2")], None);
    check("§4.3.5 another date", &[("last-modified", TUESDAY)], None);
    check("§4.3.5 another length", &[("etag", "\"e\""), ("content-length", "8")], None);
    check("it varies on more now", &[("etag", "\"e\""), ("vary", "a")], None);
}
