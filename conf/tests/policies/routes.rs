//! Routes.

use super::{proxy, secs};
use crate::support::{good, route, with_routes};
use latencify_conf::policy::{
    AccessRule, Action, CacheRule, HeaderMatch, JwtKey, MethodSet, Names, PathPattern, RateKey,
    Redirect, RedirectTo, Rewrite, TokenSource,
};
use std::sync::Arc;

fn cache(keys: &str) -> CacheRule {
    let route = route(&format!("cache: {keys}"));
    let Some(rule) = &proxy(&route).cache else {
        panic!("{keys}")
    };
    CacheRule::clone(rule)
}

#[test]
fn conditions() {
    let route = route(
        "match: { path: [/a/b, /c/**, \"/d/*.js\", \"*.css\"], methods: POST, https: true, \
         headers: { X-A: present, x-b: absent, x-c: one, x-d: \"t*\", x-e: { equals: \"a*\" } } }",
    );
    let matches = &route.matches;
    assert_eq!(
        matches.paths,
        [
            PathPattern::Exact("/a/b".into()),
            PathPattern::Below("/c".into()),
            PathPattern::Glob("/d/*.js".into()),
            PathPattern::Glob("*.css".into()),
        ]
    );
    assert_eq!(matches.methods, Some(MethodSet(vec!["POST".into()])));
    assert_eq!(matches.https, Some(true));
    let name = |name: &'static str| http::HeaderName::from_static(name);
    assert_eq!(matches.headers.len(), 5);
    for expected in [
        HeaderMatch::Present(name("x-a")),
        HeaderMatch::Absent(name("x-b")),
        HeaderMatch::Equals(name("x-c"), "one".into()),
        HeaderMatch::Glob(name("x-d"), "t*".into()),
        HeaderMatch::Equals(name("x-e"), "a*".into()),
    ] {
        assert!(
            matches.headers.contains(&expected),
            "{expected:?} in {:?}",
            matches.headers
        );
    }
}

#[test]
fn access_lists() {
    let check = |access: &str, rules: &[(&str, bool)], otherwise: bool| {
        let access_list = route(&format!("access: {access}")).access.unwrap();
        let found: Vec<_> = access_list
            .rules
            .iter()
            .map(|(rule, allowed)| match rule {
                AccessRule::Address(block) => (block.to_string(), *allowed),
                AccessRule::Country(country) => (country.to_string(), *allowed),
            })
            .collect();
        let expected: Vec<_> = rules
            .iter()
            .map(|(rule, allowed)| ((*rule).to_owned(), *allowed))
            .collect();
        assert_eq!(
            (found, access_list.otherwise),
            (expected, otherwise),
            "{access}"
        );
    };
    check(
        "{ allow: [10.0.0.0/8, FR] }",
        &[("10.0.0.0/8", true), ("FR", true)],
        false,
    );
    check("{ deny: KP }", &[("KP", false)], true);
    check(
        "{ allow: NO, deny: 10.0.0.7 }",
        &[("10.0.0.7/32", false), ("NO", true)],
        false,
    );
    check("{ allow: FR, otherwise: allow }", &[("FR", true)], true);
    check(
        "[{ deny: fr }, { allow: [10.0.0.0/8] }]",
        &[("FR", false), ("10.0.0.0/8", true)],
        false,
    );
    check("[{ deny: FR }]", &[("FR", false)], true);
    check(
        "{ rules: [{ allow: FR }, { deny: DE }], otherwise: allow }",
        &[("FR", true), ("DE", false)],
        true,
    );
}

#[test]
fn tokens() {
    let route = route(
        "auth: { jwt: { algorithms: [HS256, HS512], secret: 0123456789abcdef0123456789abcdef, issuer: a, audience: [b, c], \
         claims: { role: admin, level: 3 }, from: [bearer, { cookie: t }, { header: X-T }, { query: q }], leeway: 0s, strip: true } }",
    );
    let jwt = route.auth.unwrap();
    assert_eq!(
        jwt.key,
        JwtKey::Secret(b"0123456789abcdef0123456789abcdef".to_vec())
    );
    assert_eq!(
        (
            jwt.issuers.as_slice(),
            jwt.audiences.len(),
            jwt.leeway,
            jwt.strip
        ),
        (&["a".to_owned()][..], 2, secs(0), true)
    );
    assert_eq!(jwt.claims["level"], serde_json::json!(3));
    let header = TokenSource::Header(http::HeaderName::from_static("x-t"));
    assert_eq!(
        jwt.sources,
        [
            TokenSource::Bearer,
            TokenSource::Cookie("t".into()),
            header,
            TokenSource::Query("q".into())
        ]
    );
    let plain = crate::support::route(
        "auth: { jwt: { algorithms: [HS256], secret: 0123456789abcdef0123456789abcdef } }",
    );
    let jwt = plain.auth.unwrap();
    assert_eq!(
        (jwt.sources.as_slice(), jwt.leeway, jwt.strip),
        (&[TokenSource::Bearer][..], secs(30), false)
    );
}

#[test]
fn rate_limits() {
    let policy = good(&with_routes(
        "{ origins: [app], match: { path: /a }, rate_limits: [{ rate: 100/s }, { name: n, key: { header: X-Key }, rate: 5/10s, burst: 2 }] }; \
         { name: b, origins: [app], rate_limits: [{ name: n, key: { header: x-key }, rate: 5/10s, burst: 2 }, { rate: 1/m }] }",
    ));
    let [a, b] = &policy.sites[0].routes[..] else {
        panic!()
    };
    let first = &a.limits[0];
    assert_eq!(
        (
            &*first.name,
            &first.key,
            first.requests,
            first.per,
            first.burst
        ),
        ("main/1/1", &RateKey::Address, 100, secs(1), 100)
    );
    let second = &a.limits[1];
    assert_eq!(
        (second.requests, second.per, second.burst),
        (5, secs(10), 2)
    );
    assert!(Arc::ptr_eq(second, &b.limits[0]), "one name, one limit");
    assert_eq!((&*b.limits[1].name, b.limits[1].per), ("b/2", secs(60)));
}

#[test]
fn edits_and_rewrites() {
    let edited = route(
        "request_headers: { set: { X-A: \"1\" }, add: { link: [a, b] }, remove: [x-c] }, match: { path: /v1/** }, \
         rewrite: { prefix: { from: /v1, to: / } }",
    );
    let edits = &edited.request_headers;
    assert_eq!(
        (edits.set.len(), edits.add.len(), edits.remove.len()),
        (1, 2, 1)
    );
    assert_eq!(
        proxy(&edited).rewrite,
        Some(Rewrite::Prefix {
            from: "/v1".into(),
            to: "/".into()
        })
    );
    let replaced = route("rewrite: { path: /index.html }");
    assert_eq!(
        proxy(&replaced).rewrite,
        Some(Rewrite::Path("/index.html".into()))
    );
}

#[test]
fn redirects() {
    let check = |written: &str, status: u16, to: RedirectTo, https: Option<bool>| {
        let policy = good(&with_routes(&format!("{{ redirect: {written} }}")));
        let route = &policy.sites[0].routes[0];
        assert_eq!(
            route.action,
            Action::Redirect(Redirect { status, to }),
            "{written}"
        );
        assert_eq!(route.matches.https, https, "{written}");
    };
    check("https", 308, RedirectTo::Https { port: 443 }, Some(false));
    check(
        "{ https: {} }",
        308,
        RedirectTo::Https { port: 443 },
        Some(false),
    );
    check(
        "{ https: { port: 8443, status: 301 } }",
        301,
        RedirectTo::Https { port: 8443 },
        Some(false),
    );
    check(
        "{ to: \"https://b{path}{query}\" }",
        307,
        RedirectTo::Url("https://b{path}{query}".into()),
        None,
    );
    check(
        "{ to: /b, status: 303 }",
        303,
        RedirectTo::Url("/b".into()),
        None,
    );
}

#[test]
fn caching() {
    assert!(proxy(&route("cache: false")).cache.is_none());
    assert!(proxy(&route("timeouts: { idle: 1s }")).cache.is_none());
    let rule = cache(
        "{ default_ttl: 1m, ttl: 0s, min_ttl: 1s, max_ttl: 1h, stale_while_revalidate: 2s, stale_if_error: 3s, \
         ttl_by_status: { 4xx: 1s, 404: 2s, 400-410: 3s }, object_max: 1MB, hit_for_miss: 1s, lock_wait: 0s, tag_headers: [X-T], \
         key: { query: { except: [utm_*] }, sort_query: true, headers: [X-D], cookies: [c], country: true } }",
    );
    assert_eq!(
        (rule.ttl.default, rule.ttl.over, rule.ttl.min, rule.ttl.max),
        (
            Some(secs(60)),
            Some(secs(0)),
            Some(secs(1)),
            Some(secs(3600))
        )
    );
    assert_eq!(
        (rule.ttl.stale_while_revalidate, rule.ttl.stale_if_error),
        (Some(secs(2)), Some(secs(3)))
    );
    let by_status: Vec<_> = rule
        .ttl
        .by_status
        .iter()
        .map(|(set, ttl)| (set.0[0].clone(), ttl.as_secs()))
        .collect();
    assert_eq!(
        by_status,
        [(404..=404, 2), (400..=410, 3), (400..=499, 1)],
        "narrowest first"
    );
    assert_eq!(
        (rule.object_bytes_max, rule.hit_for_miss, rule.lock_wait),
        (1_000_000, secs(1), secs(0))
    );
    assert_eq!(rule.key.query, Names::Except(vec!["utm_*".into()]));
    assert!(rule.key.sort_query && rule.key.country);
    assert_eq!(
        (
            rule.key.headers.len(),
            rule.key.cookies.len(),
            rule.tag_headers.len()
        ),
        (1, 1, 1)
    );
}
