//! Cache groups (RFC 9875).

use crate::house::headers;
use http::Method;
use latencify_decide::{
    groups::{GROUP_BYTES_MAX, GROUPS_MAX, invalidated, of, tag},
    invalidation::Origin,
};
use proptest::prelude::*;

const GROUPS: &str = "cache-groups";

#[test]
fn groups_are_a_list_of_strings() {
    let check = |what: &str, lines: &[&str], expected: &[&str]| {
        let lines: Vec<_> = lines.iter().map(|line| (GROUPS, *line)).collect();
        let found = of(&headers(&lines));
        assert_eq!((found.names.as_slice(), found.dropped), (expected.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice(), 0), "{what}");
    };
    check("none", &[], &[]);
    check("§2", &["\"scripts\""], &["scripts"]);
    check("§2 several, in any order, each once", &["\"b\", \"a\", \"b\""], &["a", "b"]);
    check("§2 over lines", &["\"b\"", "\"a\""], &["a", "b"]);
    check("§2.1 case counts", &["\"a\", \"A\""], &["A", "a"]);
    check("§2 parameters are ignored", &["\"a\";x=1;y, \"b\""], &["a", "b"]);
    check("escapes", &["\"a\\\"b\""], &["a\"b"]);
    check("RFC 9651 §4.2 tokens are no strings: nothing counts", &["a, \"b\""], &[]);
    check("RFC 9651 §4.2 inner lists neither", &["(\"a\" \"b\")"], &[]);
    check("RFC 9651 §4.2 nor what can't be read", &["\"a\", \"b"], &[]);
    check("RFC 9651 §4.2 nor on one of its lines", &["\"a\"", "&"], &[]);
    check("empty", &[""], &[]);
    check("§2 at least 32 of 32 characters", &[&vec![format!("\"{}\"", "x".repeat(32)); 32].join(", ")], &[&"x".repeat(32)]);
}

#[test]
fn groups_beyond_the_bounds_are_dropped_and_counted() {
    let many: Vec<_> = (0..=GROUPS_MAX).map(|n| format!("\"g{n}\"")).collect();
    let found = of(&headers(&[(GROUPS, &many.join(", "))]));
    assert_eq!((found.names.len(), found.dropped), (GROUPS_MAX, 1));
    let long = format!("\"ok\", \"{}\"", "x".repeat(GROUP_BYTES_MAX + 1));
    let found = of(&headers(&[(GROUPS, &long)]));
    assert_eq!((found.names, found.dropped), (vec!["ok".to_owned()], 1));
}

#[test]
fn unsafe_requests_that_succeed_invalidate_groups() {
    let check = |what: &str, method: &str, status: u16, expected: &[&str]| {
        let answer = headers(&[("cache-group-invalidation", "\"a\", \"b\""), (GROUPS, "\"c\"")]);
        assert_eq!(invalidated(&method.parse().unwrap(), status, &answer).names, expected, "{what}");
    };
    check("§3", "POST", 200, &["a", "b"]);
    check("§3 a method that nobody knows", "FROB", 204, &["a", "b"]);
    check("§3 a redirect is no error", "PUT", 303, &["a", "b"]);
    check("§3 never by a safe method", "GET", 200, &[]);
    check("§3 never by a safe method", "PROPFIND", 207, &[]);
    check("not by an error", "POST", 404, &[]);
    check("not by an error", "POST", 500, &[]);
}

#[test]
fn a_group_belongs_to_an_origin() {
    let origin = |https, authority| Origin { https, authority };
    let base = tag(&origin(false, "a.example"), "g");
    assert_eq!(tag(&origin(false, "A.example.:80"), "g"), base, "§2.1 the same origin in another spelling");
    assert_ne!(tag(&origin(true, "a.example"), "g"), base);
    assert_ne!(tag(&origin(false, "b.example"), "g"), base);
    assert_ne!(tag(&origin(false, "a.example:81"), "g"), base);
    assert_ne!(tag(&origin(false, "a.example"), "G"), base);
    assert!(tag(&origin(false, "a.example"), &"x".repeat(GROUP_BYTES_MAX)).len() <= latencify_conf::change::TAG_BYTES_MAX);
}

proptest! {
    #[test]
    fn no_field_panics(value in "[ -~]{0,60}") {
        of(&headers(&[(GROUPS, &value)]));
        invalidated(&Method::POST, 200, &headers(&[("cache-group-invalidation", &value)]));
    }
}
