//! How what is stored is used again (RFC 9111 §4, RFC 5861).

use crate::house::{headers, now};
use latencify_decide::freshness::{
    Lifetime, LifetimeSource, OnError, RequestDirectives, Reuse, Revalidate, is_origin_failure, on_error, reuse,
};
use std::time::Duration;

type Lines<'a> = &'a [(&'static str, &'a str)];

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn lifetime(fresh: u64, swr: u64, sie: u64) -> Lifetime {
    Lifetime {
        born: now(),
        fresh: seconds(fresh),
        stale_while_revalidate: seconds(swr),
        stale_if_error: seconds(sie),
        always_revalidate: false,
        must_revalidate: false,
        immutable: false,
        source: LifetimeSource::MaxAge,
    }
}

#[test]
fn reuse_by_age_and_by_what_the_client_asks() {
    let check = |what: &str, lifetime: Lifetime, request: Lines<'_>, age: u64, expected: Reuse| {
        let asked = RequestDirectives::of(&headers(request));
        assert_eq!(reuse(&lifetime, None, &asked, now() + seconds(age)), expected, "{what}");
    };
    use Reuse::{Fresh, StaleAccepted, StaleWhileRevalidate};
    let ask = |why| Reuse::Revalidate(why);
    let plain = || lifetime(60, 0, 0);
    check("§4.2", plain(), &[], 59, Fresh);
    check("§4.2 age = lifetime is stale", plain(), &[], 60, ask(Revalidate::Stale));
    check("a clock that went back", Lifetime { born: now() + seconds(5), ..plain() }, &[], 0, Fresh);
    check("RFC 5861 §3", lifetime(60, 10, 0), &[], 69, StaleWhileRevalidate);
    check("RFC 5861 §3 over", lifetime(60, 10, 0), &[], 70, ask(Revalidate::Stale));
    let must = Lifetime { must_revalidate: true, ..lifetime(60, 10, 10) };
    check("§5.2.2.2 fresh", must, &[], 59, Fresh);
    check("§5.2.2.2 stale", must, &[("cache-control", "max-stale")], 61, ask(Revalidate::Stale));
    let always = Lifetime { always_revalidate: true, ..plain() };
    check("§5.2.2.4", always, &[], 0, ask(Revalidate::ResponseNoCache));
    check("§5.2.1.4", plain(), &[("cache-control", "no-cache")], 0, ask(Revalidate::RequestNoCache));
    check("§5.4 Pragma", plain(), &[("pragma", "no-cache")], 0, ask(Revalidate::RequestNoCache));
    check("§5.4 Cache-Control hides it", plain(), &[("pragma", "no-cache"), ("cache-control", "x")], 0, Fresh);
    check("§5.2.1.1", plain(), &[("cache-control", "max-age=10")], 10, Fresh);
    check("§5.2.1.1 older", plain(), &[("cache-control", "max-age=10")], 11, ask(Revalidate::RequestMaxAge));
    check("§5.2.1.3", plain(), &[("cache-control", "min-fresh=20")], 40, Fresh);
    check("§5.2.1.3 less", plain(), &[("cache-control", "min-fresh=20")], 41, ask(Revalidate::RequestMinFresh));
    check("§5.2.1.2", plain(), &[("cache-control", "max-stale=10")], 70, StaleAccepted);
    check("§5.2.1.2 beyond", plain(), &[("cache-control", "max-stale=10")], 71, ask(Revalidate::Stale));
    check("§5.2.1.2 any", plain(), &[("cache-control", "max-stale")], 7_000, StaleAccepted);
    check("§5.2.1.2 the shorter of two", plain(), &[("cache-control", "max-stale=99, max-stale=10")], 71, ask(Revalidate::Stale));
    check("§5.2.1.2 unreadable is none", plain(), &[("cache-control", "max-stale=x")], 61, ask(Revalidate::Stale));
    check("§5.2.1.1 within max-stale", plain(), &[("cache-control", "max-age=10, max-stale=5")], 15, Fresh);
    check("§5.2.1.1 beyond max-stale", plain(), &[("cache-control", "max-age=10, max-stale=5")], 16, ask(Revalidate::RequestMaxAge));
    check("§5.2.1.1 the shorter of two", plain(), &[("cache-control", "max-age=50, max-age=10")], 11, ask(Revalidate::RequestMaxAge));
    check("§5.2.1.1 unreadable is zero", plain(), &[("cache-control", "max-age=ten")], 1, ask(Revalidate::RequestMaxAge));
    check("§5.2.1.1 nothing stale for it", lifetime(60, 30, 0), &[("cache-control", "max-age=99")], 61, ask(Revalidate::Stale));
    check("§5.2.1.3 the longer of two", plain(), &[("cache-control", "min-fresh=5, min-fresh=30")], 31, ask(Revalidate::RequestMinFresh));
    check("§5.2.1.3 stale is not fresh enough", lifetime(60, 30, 0), &[("cache-control", "min-fresh=0")], 61, ask(Revalidate::RequestMinFresh));
    check("§5.2.1.5 no-store is not about what is stored", plain(), &[("cache-control", "no-store")], 59, Fresh);
    check("§5.2.1.7 what is fresh is wanted", plain(), &[("cache-control", "only-if-cached")], 59, Fresh);
    check("§5.2.1.7 what is stale is not (504)", plain(), &[("cache-control", "only-if-cached")], 61, ask(Revalidate::Stale));
    check("§5.2.1.4 in any case", plain(), &[("cache-control", "NO-CACHE")], 0, ask(Revalidate::RequestNoCache));
    check("§5.2 in quotes it is something else", plain(), &[("cache-control", "x=\"no-cache\"")], 0, Fresh);
    check("§5.2 a space before =", plain(), &[("cache-control", "max-age =99")], 1, ask(Revalidate::RequestMaxAge));
    let immutable = Lifetime { immutable: true, ..plain() };
    check("RFC 8246 §2 fresh", immutable, &[("cache-control", "max-age=0")], 59, Fresh);
    check("RFC 8246 §2.1 no-cache counts", immutable, &[("cache-control", "no-cache")], 1, ask(Revalidate::RequestNoCache));
    check("RFC 8246 §2 stale", immutable, &[("cache-control", "max-age=0")], 60, ask(Revalidate::RequestMaxAge));
}

#[test]
fn a_soft_purge_makes_stale_from_its_time_on() {
    let asked = RequestDirectives::default();
    let purged = Some(now() + seconds(10));
    let at = |age| now() + seconds(age);
    let plain = lifetime(60, 0, 5);
    assert_eq!(reuse(&plain, purged, &asked, at(10)), Reuse::Revalidate(Revalidate::Purged));
    assert_eq!(reuse(&lifetime(60, 5, 0), purged, &asked, at(14)), Reuse::StaleWhileRevalidate);
    assert_eq!(reuse(&lifetime(60, 5, 0), purged, &asked, at(15)), Reuse::Revalidate(Revalidate::Purged));
    assert_eq!(on_error(&plain, purged, &asked, at(14)), OnError::ServeStale);
    assert_eq!(on_error(&plain, purged, &asked, at(15)), OnError::PassOn);
}

#[test]
fn what_is_stored_serves_when_the_origin_fails() {
    let asked = RequestDirectives::default();
    let at = |age| now() + seconds(age);
    let plain = lifetime(60, 0, 30);
    assert_eq!(on_error(&plain, None, &asked, at(89)), OnError::ServeStale);
    assert_eq!(on_error(&plain, None, &asked, at(90)), OnError::PassOn);
    // RFC 5861 §4: of a request it holds for that request.
    let patient = RequestDirectives::of(&headers(&[("cache-control", "stale-if-error=100")]));
    assert_eq!(on_error(&plain, None, &patient, at(159)), OnError::ServeStale);
    assert_eq!(on_error(&plain, None, &patient, at(160)), OnError::PassOn);
    let must = Lifetime { must_revalidate: true, ..plain };
    assert_eq!(on_error(&must, None, &asked, at(61)), OnError::PassOn);
    assert_eq!(on_error(&must, None, &patient, at(61)), OnError::PassOn);
    let always = Lifetime { always_revalidate: true, ..plain };
    assert_eq!(on_error(&always, None, &patient, at(1)), OnError::PassOn);
    let demanding = RequestDirectives { no_cache: true, ..asked };
    assert_eq!(on_error(&plain, None, &demanding, at(1)), OnError::PassOn);
}

#[test]
fn what_counts_as_a_failure_of_the_origin() {
    let failures: Vec<_> = (100..600).filter(|status| is_origin_failure(*status)).collect();
    assert_eq!(failures, [500, 502, 503, 504]);
}

#[test]
fn only_if_cached_is_read() {
    assert!(RequestDirectives::of(&headers(&[("cache-control", "Only-If-Cached")])).only_if_cached);
}

#[test]
fn what_is_told_of_a_lifetime() {
    let lifetime = lifetime(60, 10, 20);
    assert_eq!(lifetime.ttl_seconds(now() + seconds(15)), 45);
    assert_eq!(lifetime.ttl_seconds(now() + seconds(65)), -5);
    assert_eq!(lifetime.useless_at(), now() + seconds(80));
    assert!(lifetime.is_shareable(now()));
    assert!(!lifetime.is_shareable(now() + seconds(60)));
    let forever = Lifetime { fresh: Duration::MAX, ..lifetime };
    assert!(forever.useless_at() > now() + seconds(1 << 31));
}
