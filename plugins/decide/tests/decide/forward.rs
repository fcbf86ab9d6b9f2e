//! What of a request the origin gets to see on a route that caches, and what tells two objects apart besides.

use crate::house::{Asking, headers};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use latencify_conf::{
    change::SiteId,
    policy::{CacheRule, CdnCacheControl, KeyParts, Names, TtlRules},
};
use latencify_decide::{
    device::Device,
    forward::{Changes, cookie_lines, dropped, facets, query, surrogate_capability, withheld},
    key,
    vary::variance_under,
};
use std::time::Duration;

fn rule(key: KeyParts) -> CacheRule {
    CacheRule { key, ..CacheRule::default() }
}

fn names(names: &[&'static str]) -> Vec<HeaderName> {
    names.iter().map(|name| HeaderName::from_static(name)).collect()
}

#[test]
fn only_known_keyed_and_named_fields_go_on() {
    let known = rule(KeyParts::default());
    let keyed = rule(KeyParts { headers: names(&["x-tenant"]), ..KeyParts::default() });
    let named = CacheRule { forward_headers: names(&["x-tenant"]), ..CacheRule::default() };
    let check = |field: &'static str, rule: &CacheRule, goes_on: bool| {
        let request = headers(&[(field, "v")]);
        assert_eq!(dropped(&request, rule).is_empty(), goes_on, "{field}");
    };
    for field in [
        "accept", "accept-encoding", "accept-language", "user-agent", "referer", "origin", "authorization", "cookie",
        "cache-control", "pragma", "if-none-match", "range", "traceparent", "sec-fetch-mode", "sec-ch-ua", "host", "via",
        "content-length", "x-request-id",
    ] {
        check(field, &known, true);
    }
    // The fields by which caches have been poisoned.
    for field in [
        "x-host", "x-forwarded-server", "x-forwarded-scheme", "x-forwarded-prefix", "x-forwarded-port", "x-original-url",
        "x-rewrite-url", "x-http-method-override", "x-method-override", "x-real-ip", "true-client-ip", "x-wap-profile",
        "client-ip", "x-device", "x-country", "x-tenant", "surrogate-capability",
    ] {
        check(field, &known, false);
    }
    check("x-tenant", &keyed, true);
    check("x-tenant", &named, true);
    check("x-other", &named, false);
}

#[test]
fn cookies_go_on_where_the_origin_alone_says_what_is_stored() {
    let request = headers(&[("cookie", "a=1; session=s;b = 2"), ("cookie", "c=3; a=4; d")]);
    let check = |what: &str, rule: &CacheRule, expected: &[&str]| {
        let found: Vec<_> = cookie_lines(&request, rule).iter().map(|line| line.to_str().unwrap().to_owned()).collect();
        assert_eq!(found, expected, "{what}");
    };
    let all = ["a=1; session=s;b = 2", "c=3; a=4; d"];
    check("RFC 9111 alone", &CacheRule::default(), &all);
    let gives = |ttl: TtlRules, cookies: &[&str]| CacheRule {
        ttl,
        key: KeyParts { cookies: cookies.iter().map(ToString::to_string).collect(), ..KeyParts::default() },
        ..CacheRule::default()
    };
    let default = || TtlRules { default: Some(Duration::from_secs(9)), ..TtlRules::default() };
    check("the policy gives lifetimes", &gives(default(), &[]), &[]);
    check("and counts some", &gives(default(), &["a", "b"]), &["a=1; b = 2", "a=4"]);
    check("and names the field", &CacheRule { forward_headers: names(&["cookie"]), ..gives(default(), &[]) }, &all);
    let bounds = TtlRules { max: Some(Duration::from_secs(9)), ..TtlRules::default() };
    check("a bound from above gives none", &gives(bounds, &[]), &all);
    let raised = TtlRules { min: Some(Duration::from_secs(9)), ..TtlRules::default() };
    check("a bound from below does", &gives(raised, &[]), &[]);
    let stale = TtlRules { stale_if_error: Some(Duration::from_secs(9)), ..TtlRules::default() };
    check("a window does not", &gives(stale, &[]), &all);
}

#[test]
fn cookies_that_do_not_go_on_make_no_variants() {
    let vary = [header::COOKIE];
    let of = |rule: &CacheRule, line: &str| variance_under(rule, &vary, &headers(&[("cookie", line)]));
    let all = CacheRule::default();
    assert_ne!(of(&all, "a=1; b=1"), of(&all, "a=1; b=2"));
    let ttl = TtlRules { default: Some(Duration::from_secs(9)), ..TtlRules::default() };
    let some = CacheRule { ttl, ..rule(KeyParts { cookies: vec!["a".into()], ..KeyParts::default() }) };
    assert_eq!(of(&some, "a=1; b=1"), of(&some, "a=1; b=2"));
    assert_ne!(of(&some, "a=1; b=1"), of(&some, "a=2; b=1"));
}

#[test]
fn a_request_is_changed_in_one_go() {
    let rule = CacheRule {
        surrogate_control: true,
        forward_headers: names(&["x-named"]),
        ttl: TtlRules { default: Some(Duration::from_secs(9)), ..TtlRules::default() },
        ..rule(KeyParts { device: true, cookies: vec!["a".into()], ..KeyParts::default() })
    };
    let changed = |rule: &CacheRule, lines: &[(&'static str, &str)]| {
        let asking = Asking { headers: headers(lines), ..Asking::get("h", "/") };
        let mut request = asking.headers.clone();
        Changes::of(rule, &asking.facts(), "paris-1").apply(&mut request);
        request
    };
    let given = [
        ("accept", "*/*"), ("x-original-url", "/admin"), ("x-named", "1"), ("x-device", "mobile"), ("cookie", "a=1; b=2"),
        ("cookie", "b=3"), ("surrogate-capability", "evil=\"Surrogate/1.0\""),
    ];
    assert_eq!(changed(&rule, &given), headers(&[
        ("accept", "*/*"), ("x-named", "1"), ("cookie", "a=1"), ("x-device", "desktop"),
        ("surrogate-capability", "paris-1=\"Surrogate/1.0\""),
    ]));
    let plain = [("accept", "*/*"), ("cookie", "a=1; b=2")];
    assert_eq!(changed(&CacheRule::default(), &plain), headers(&plain));
}

#[test]
fn the_origin_is_asked_with_the_query_that_counts() {
    let only = rule(KeyParts { query: Names::Only(vec!["a".into()]), sort_query: true, ..KeyParts::default() });
    assert_eq!(query(&only, Some("b=2&a=1")).as_deref(), Some("a=1"));
    assert_eq!(query(&rule(KeyParts::default()), Some("b=2&a=1")).as_deref(), Some("b=2&a=1"));
    assert_eq!(query(&rule(KeyParts { query: Names::None, ..KeyParts::default() }), Some("a")).as_deref(), None);
}

#[test]
fn the_origin_is_told_of_the_facets_that_count() {
    let asking = Asking::get("h", "/").header("user-agent", "X (Mobi)").from("192.0.2.1", Some("FR"));
    let told = |key: KeyParts, asking: &Asking| -> Vec<(String, HeaderValue)> {
        facets(&rule(key), &asking.facts()).into_iter().map(|(name, value)| (name.to_string(), value)).collect()
    };
    let both = || KeyParts { country: true, device: true, ..KeyParts::default() };
    assert!(told(KeyParts::default(), &asking).is_empty());
    assert_eq!(told(both(), &asking), [
        ("x-device".to_owned(), HeaderValue::from_static("mobile")),
        ("x-country".to_owned(), HeaderValue::from_static("FR")),
    ]);
    assert_eq!(told(both(), &Asking::get("h", "/"))[1].1, "unknown");
}

#[test]
fn a_surrogate_says_that_it_is_one_where_the_policy_says_so() {
    let on = CacheRule { surrogate_control: true, ..CacheRule::default() };
    assert_eq!(surrogate_capability(&on, "paris 1").unwrap(), "paris-1=\"Surrogate/1.0\"");
    assert_eq!(surrogate_capability(&CacheRule::default(), "paris-1"), None);
}

#[test]
fn what_is_for_this_cdn_alone_does_not_reach_clients() {
    let check = |rule: &CacheRule, expected: &[&str]| assert_eq!(withheld(rule), expected);
    check(&CacheRule::default(), &["surrogate-key", "cache-tag"]);
    let all = CacheRule {
        tag_headers: names(&["xkey"]),
        cdn_cache_control: CdnCacheControl::Strip,
        surrogate_control: true,
        ..CacheRule::default()
    };
    check(&all, &["surrogate-key", "cache-tag", "xkey", "cdn-cache-control", "surrogate-control"]);
}

#[test]
fn devices_are_of_three_kinds() {
    let check = |agent: &str, hint: Option<&str>, expected: Device| {
        let mut request = HeaderMap::new();
        request.insert("user-agent", HeaderValue::from_str(agent).unwrap());
        if let Some(hint) = hint {
            request.insert("sec-ch-ua-mobile", HeaderValue::from_str(hint).unwrap());
        }
        assert_eq!(Device::of(&request), expected, "{agent}");
    };
    use Device::{Desktop, Mobile, Tablet};
    check("Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", None, Desktop);
    check("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1", None, Mobile);
    check("Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/140.0 Mobile Safari/537.36", None, Mobile);
    check("Mozilla/5.0 (Linux; Android 15; SM-X910) Chrome/140.0 Safari/537.36", None, Tablet);
    check("Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) Mobile/15E148 Safari/604.1", None, Tablet);
    check("Mozilla/5.0 (Android 15; Tablet; rv:140.0) Firefox/140.0", None, Tablet);
    check("Mozilla/5.0 (compatible; Googlebot/2.1)", None, Desktop);
    check("Mozilla/5.0 (X11)", Some("?1"), Mobile);
    check("Mozilla/5.0 (X11)", Some("?0"), Desktop);
    check("", None, Desktop);
    assert_eq!(Device::of(&HeaderMap::new()), Desktop);
}

#[test]
fn the_device_is_a_part_of_the_key_where_it_counts() {
    let parts = |device| KeyParts { device, ..KeyParts::default() };
    let of = |device, agent| key::cache_key(SiteId(1), &parts(device), &Asking::get("h", "/").header("user-agent", agent).facts());
    assert_eq!(of(false, "Mobi"), of(false, "x"));
    assert_ne!(of(true, "Mobi"), of(true, "x"));
    assert_eq!(of(true, "Mobi 1"), of(true, "Mobi 2"));
}

#[test]
fn keys_can_be_read() {
    let check = |parts: &KeyParts, asking: Asking, expected: &str| {
        assert_eq!(key::text(SiteId(1), parts, &asking.facts()), expected);
    };
    check(&KeyParts::default(), Asking::get("h", "/a?q=1"), "scheme=http host=h path=/a query=q=1");
    let all = KeyParts { headers: names(&["x"]), cookies: vec!["c".into()], country: true, device: true, ..KeyParts::default() };
    let asking = Asking::get("h", "/a").header("x", "\"1\"").header("cookie", "c=\u{e9}").from("192.0.2.1", Some("FR"));
    check(&all, asking, "scheme=http host=h path=/a header=x=\\\"1\\\" cookie=c=\\xc3\\xa9 country=FR device=desktop");
    let long = Asking::get("h", &format!("/{}", "x".repeat(1_000)));
    let text = key::text(SiteId(1), &KeyParts::default(), &long.facts());
    assert!(text.len() == key::TEXT_CHARS_MAX && text.ends_with("x..."));
}
