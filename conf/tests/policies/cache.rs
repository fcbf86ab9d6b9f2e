//! Caching rules.

use super::{proxy, secs};
use crate::support::{good, route, with_routes};
use latencify_conf::policy::{
    CacheRule, CacheStatusRule, CdnCacheControl, DiskAdmission, Heuristic, SetCookie,
};

fn cache(keys: &str) -> CacheRule {
    let route = route(&format!("cache: {keys}"));
    let Some(rule) = &proxy(&route).cache else {
        panic!("{keys}")
    };
    CacheRule::clone(rule)
}

#[test]
fn a_rule_has_defaults() {
    for keys in ["true", "{}"] {
        assert_eq!(cache(keys), CacheRule::default(), "{keys}");
    }
    let rule = CacheRule::default();
    assert_eq!(rule.set_cookie, SetCookie::Bypass);
    assert_eq!(rule.cdn_cache_control, CdnCacheControl::Forward);
    assert_eq!(
        rule.cache_status,
        CacheStatusRule {
            key: false,
            detail: true
        }
    );
    assert_eq!(rule.disk, DiskAdmission::Always);
    assert!(rule.groups && !rule.surrogate_control && !rule.key.device);
    assert!(rule.forward_headers.is_empty() && rule.ttl.heuristic.is_none());
    assert!(!rule.ttl.gives_lifetimes());
}

#[test]
fn every_key_says_something() {
    let rule = cache(
        "{ set_cookie: store, surrogate_control: true, cdn_cache_control: strip, \
         cache_status: { key: true, detail: false }, groups: false, disk: second_hit, \
         forward_headers: [X-Tenant, cookie], key: { device: true } }",
    );
    assert_eq!(rule.set_cookie, SetCookie::Store);
    assert_eq!(rule.cdn_cache_control, CdnCacheControl::Strip);
    assert_eq!(
        rule.cache_status,
        CacheStatusRule {
            key: true,
            detail: false
        }
    );
    assert_eq!(rule.disk, DiskAdmission::SecondHit);
    assert_eq!(cache("{ disk: never }").disk, DiskAdmission::Never);
    assert!(!rule.groups && rule.surrogate_control && rule.key.device);
    assert_eq!(rule.forward_headers, ["x-tenant", "cookie"]);
}

#[test]
fn heuristic_freshness_has_a_share_and_a_longest() {
    let check = |keys: &str, fraction: f64, max: u64| {
        let expected = Heuristic {
            fraction,
            max: secs(max),
        };
        let rule = cache(&format!("{{ heuristic: {keys} }}"));
        assert_eq!(rule.ttl.heuristic, Some(expected), "{keys}");
        assert!(rule.ttl.gives_lifetimes());
    };
    check("{}", 0.1, 86_400);
    check("{ fraction: 0.25 }", 0.25, 86_400);
    check("{ fraction: 1, max: 1h }", 1.0, 3_600);
}

#[test]
fn grace_sets_both_windows_that_are_not_written() {
    let check = |keys: &str, revalidate: Option<u64>, error: Option<u64>| {
        let ttl = cache(keys).ttl;
        assert_eq!(
            (ttl.stale_while_revalidate, ttl.stale_if_error),
            (revalidate.map(secs), error.map(secs)),
            "{keys}"
        );
    };
    check("{}", None, None);
    check("{ grace: 1m }", Some(60), Some(60));
    check("{ grace: 1m, stale_if_error: 1h }", Some(60), Some(3_600));
    check(
        "{ grace: 1m, stale_while_revalidate: 5s }",
        Some(5),
        Some(60),
    );
}

#[test]
fn routes_that_share_no_key_may_share_paths() {
    for routes in [
        // The header is a part of both keys, or the keys have other parts.
        "{ origins: [app], match: { headers: { x: a } }, cache: { key: { headers: [x] } } }; \
         { origins: [other], cache: { key: { headers: [x] } } }",
        "{ origins: [app], match: { headers: { x: a } }, cache: true }; \
         { origins: [other], cache: { key: { country: true } } }",
        // Only one of them caches.
        "{ origins: [app], match: { headers: { x: a } } }; { origins: [other], cache: true }",
        "{ origins: [app], match: { headers: { x: a } }, cache: true }; { origins: [other] }",
        // Both get the same answer.
        "{ origins: [app], match: { headers: { x: a } }, cache: true, rate_limits: [{ rate: 1/s }] }; \
         { origins: [app], cache: { ttl: 1s } }",
        // No path is of both.
        "{ origins: [app], match: { path: /a/**, headers: { x: a } }, cache: true }; \
         { origins: [other], match: { path: [/b/**, /ab] }, cache: true }",
        "{ origins: [app], match: { path: \"/a/*.css\", headers: { x: a } }, cache: true }; \
         { origins: [other], match: { path: [\"/a/*.js\", /b/**, /a/b] }, cache: true }",
        // The scheme is a part of every key.
        "{ origins: [app], match: { https: true }, cache: true }; { origins: [other], cache: true }",
        // What a cache answers, one of them answers alone.
        "{ origins: [app], match: { methods: [GET, HEAD] }, cache: true }; { origins: [other], cache: true }",
        "{ origins: [app], match: { methods: POST }, cache: true }; { origins: [other], cache: true }",
    ] {
        good(&with_routes(routes));
    }
}
