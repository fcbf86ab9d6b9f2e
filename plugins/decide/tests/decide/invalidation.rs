//! What a request that changes something makes unfit (RFC 9111 §4.4).

use crate::house::headers;
use latencify_decide::invalidation::{Change, Origin, paths};
use proptest::prelude::*;

type Lines<'a> = &'a [(&'static str, &'a str)];

fn after(method: &str, origin: Origin<'_>, status: u16, answer: Lines<'_>) -> Vec<String> {
    let method = method.parse().unwrap();
    let change = Change { method: &method, origin, path: "/shop/cart", query: Some("a=1") };
    paths(&change, status, &headers(answer))
}

const SHOP: Origin<'static> = Origin { https: false, authority: "shop.example" };

#[test]
fn the_target_is_invalidated_by_what_may_change_it() {
    let check = |what: &str, method: &str, status: u16, expected: bool| {
        assert_eq!(!after(method, SHOP, status, &[]).is_empty(), expected, "{what}: {method} {status}");
    };
    for method in ["POST", "PUT", "DELETE", "PATCH", "MKCOL", "M-SEARCH", "FROB", "post"] {
        check("§4.4 unsafe, or unknown", method, 200, true);
    }
    for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY"] {
        check("§4.4 safe", method, 200, false);
    }
    for status in [200, 201, 204, 206, 299, 301, 303, 304, 399] {
        check("§4.4 non-error", "POST", status, true);
    }
    for status in [100, 101, 400, 404, 412, 500, 503, 599] {
        check("§4.4 error, or not the end", "POST", status, false);
    }
}

#[test]
fn what_the_answer_names_is_invalidated_at_the_same_origin() {
    let check = |what: &str, location: &str, expected: Option<&str>| {
        for name in ["location", "content-location"] {
            let found = after("POST", SHOP, 201, &[(name, location)]);
            let expected: Vec<_> = ["/shop/cart"].into_iter().chain(expected).collect();
            assert_eq!(found, expected, "{what}: {name}: {location}");
        }
    };
    check("RFC 9110 §10.2.2 absolute", "http://shop.example/new", Some("/new"));
    check("RFC 3986 §5.2 a path", "/new", Some("/new"));
    check("RFC 3986 §5.2 a relative path", "new", Some("/shop/new"));
    check("RFC 3986 §5.2 dots", "../new/./x/..", Some("/new/"));
    check("RFC 3986 §5.2 only a query: the target", "?b=2", None);
    check("RFC 3986 §5.2 nothing: the target", "", None);
    check("RFC 3986 §5.2 an authority", "//shop.example/new", Some("/new"));
    check("all queries of a path", "/new?q=1#f", Some("/new"));
    check("the normal form", "/%6eew/%c3%a9", Some("/new/%C3%A9"));
    check("the port that the scheme implies", "http://shop.example:80/new", Some("/new"));
    check("host names in any case", "HTTP://SHOP.example./new", Some("/new"));
    check("§4.4 another host", "http://other.example/new", None);
    check("§4.4 another port", "http://shop.example:8080/new", None);
    check("§4.4 another scheme", "https://shop.example/new", None);
    check("§4.4 a host that begins alike", "http://shop.example.evil/new", None);
    check("§4.4 credentials are no host", "http://shop.example@evil.example/new", None);
    check("no URI", "http://[/", None);
    check("no http", "mailto:a@shop.example", None);
}

#[test]
fn both_fields_count_and_each_path_once() {
    let answer: Lines<'_> = &[("location", "/a"), ("content-location", "/b"), ("location", "/a"), ("content-location", "/shop/cart")];
    assert_eq!(after("POST", SHOP, 201, answer), ["/shop/cart", "/a", "/b"]);
    assert!(after("GET", SHOP, 200, answer).is_empty());
    assert!(after("POST", SHOP, 404, answer).is_empty());
    let tls = Origin { https: true, authority: "Shop.Example:8443" };
    assert_eq!(after("POST", tls, 201, &[("location", "https://shop.example:8443/a")]), ["/shop/cart", "/a"]);
    assert_eq!(after("POST", tls, 201, &[("location", "https://shop.example/a")]), ["/shop/cart"]);
}

#[test]
fn an_authority_has_one_spelling() {
    let check = |https, authority, expected: &str| assert_eq!(Origin { https, authority }.authority(), expected);
    check(false, "shop.example", "shop.example");
    check(false, "Shop.Example.:80", "shop.example");
    check(true, "shop.example:443", "shop.example");
    check(true, "shop.example:80", "shop.example:80");
    check(false, "shop.example:", "shop.example");
    check(false, "[::1]", "[::1]");
    check(false, "[::1]:80", "[::1]");
    check(false, "[::1]:8080", "[::1]:8080");
}

proptest! {
    #[test]
    fn no_reference_panics_and_none_leaves_the_path_out(location in "[ -~]{0,60}") {
        let found = after("POST", SHOP, 201, &[("location", &location)]);
        prop_assert_eq!(&found[0], "/shop/cart");
        prop_assert!(found.len() <= 2);
    }
}
