//! What is stored, and for how long (RFC 9111 §3, §4.2).

use crate::house::{headers, now};
use http::Method;
use latencify_conf::policy::{CacheRule, StatusSet, TtlRules};
use latencify_decide::{
    facts::Response,
    freshness::{
        Exchange, Lifetime, LifetimeSource, NotStored, RequestDirectives, Storable, on_error, reuse, storable,
    },
};
use proptest::prelude::*;
use std::time::{Duration, SystemTime};

type Lines<'a> = &'a [(&'static str, &'a str)];

const ETAG: (&str, &str) = ("etag", "\"e\"");

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn rule(ttl: TtlRules) -> CacheRule {
    CacheRule {
        ttl,
        object_bytes_max: 1_000,
        ..CacheRule::default()
    }
}

fn exchange() -> Exchange<'static> {
    Exchange {
        method: &Method::GET,
        authorized: false,
        asked: RequestDirectives::default(),
        sent: now(),
        received: now(),
        edge: "paris-1",
    }
}

fn decide(exchange: &Exchange<'_>, ttl: &TtlRules, status: u16, lines: Lines<'_>) -> Storable {
    storable(exchange, Response { status, headers: &headers(lines) }, &rule(ttl.clone()))
}

fn stored(ttl: &TtlRules, status: u16, lines: Lines<'_>) -> Lifetime {
    match decide(&exchange(), ttl, status, lines) {
        Storable::Store { lifetime, .. } => lifetime,
        Storable::Not(why) => panic!("{lines:?} is not stored: {why:?}"),
    }
}

fn http_date(at: SystemTime) -> String {
    httpdate::fmt_http_date(at)
}

#[test]
fn reasons_not_to_store() {
    let check = |what: &str, status: u16, lines: Lines<'_>, expected: Option<NotStored>| {
        let found = match decide(&exchange(), &TtlRules::default(), status, lines) {
            Storable::Store { .. } => None,
            Storable::Not(why) => Some(why),
        };
        assert_eq!(found, expected, "{what}");
    };
    let fresh = ("cache-control", "max-age=60");
    check("§3 explicit freshness", 200, &[fresh], None);
    check("§3 any final status with it", 500, &[fresh], None);
    check("nothing said", 200, &[], Some(NotStored::NoLifetime));
    check("nothing said, but a validator", 200, &[ETAG], Some(NotStored::NoLifetime));
    check("nothing said of an error, with a validator", 500, &[ETAG], Some(NotStored::NoLifetime));
    check("public alone", 200, &[("cache-control", "public"), ETAG], Some(NotStored::NoLifetime));
    check("§5.2.2.5", 200, &[("cache-control", "max-age=60, No-Store")], Some(NotStored::NoStore));
    check("over lines", 200, &[fresh, ("cache-control", "no-store")], Some(NotStored::NoStore));
    check("§5.2.2.7", 200, &[("cache-control", "private, max-age=60")], Some(NotStored::Private));
    check(
        "an unreadable list is no list",
        200,
        &[("cache-control", "private=\"a b\", max-age=60")],
        Some(NotStored::Private),
    );
    check("§5.2.2.4 without a validator", 200, &[("cache-control", "no-cache, max-age=60")], Some(NotStored::NoCache));
    check("§5.2.2.4 with one", 200, &[("cache-control", "no-cache"), ETAG], None);
    check("§5.2.2.3", 418, &[("cache-control", "must-understand, no-store, max-age=60")], None);
    check("§5.2.2.3 unknown status", 299, &[("cache-control", "must-understand, max-age=60")], Some(NotStored::Status));
    check("partial", 206, &[fresh], Some(NotStored::Status));
    check("answers a range", 416, &[fresh], Some(NotStored::Status));
    check("not modified", 304, &[fresh], Some(NotStored::Status));
    check("interim", 103, &[fresh], Some(NotStored::Status));
    check("cookie", 200, &[fresh, ("set-cookie", "a=b")], Some(NotStored::SetCookie));
    check(
        "cookie left out by name",
        200,
        &[("cache-control", "max-age=60, no-cache=\"Set-Cookie\""), ("set-cookie", "a=b")],
        None,
    );
    check("§4.1", 200, &[fresh, ("vary", "accept, *")], Some(NotStored::VaryStar));
    check("too large", 200, &[fresh, ("content-length", "1001")], Some(NotStored::TooLarge));
    check("just small enough", 200, &[fresh, ("content-length", "1000")], None);
    check("max-age=0", 200, &[("cache-control", "max-age=0")], Some(NotStored::NoLifetime));
    check("max-age=0 with a validator", 200, &[("cache-control", "max-age=0"), ETAG], None);
    check("max-age=0 with a window", 200, &[("cache-control", "max-age=0, stale-while-revalidate=9")], None);
    check("§5.3 Expires: 0", 200, &[("expires", "0")], Some(NotStored::NoLifetime));
}

#[test]
fn every_final_status_may_be_stored_but_these() {
    let refused = |lines: Lines<'_>| -> Vec<u16> {
        let is_refused = |status: &u16| decide(&exchange(), &TtlRules::default(), *status, lines) == Storable::Not(NotStored::Status);
        (100..600).filter(is_refused).collect()
    };
    let interim = 100..200;
    let always: Vec<u16> = interim.chain([206, 304, 412, 416]).collect();
    assert_eq!(refused(&[("cache-control", "max-age=60")]), always, "§3");
    let not_understood = refused(&[("cache-control", "max-age=60, must-understand")]);
    let understood: Vec<u16> = (200..600).filter(|status| !not_understood.contains(status)).collect();
    assert!(always.iter().all(|status| not_understood.contains(status)), "§5.2.2.3");
    for status in [200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 451, 500, 501, 503] {
        assert!(understood.contains(&status), "§5.2.2.3 {status}");
    }
    for status in [209, 299, 306, 399, 430, 499, 599] {
        assert!(!understood.contains(&status), "§5.2.2.3 {status}");
    }
}

#[test]
fn requests_whose_answers_are_not_stored() {
    let check = |what: &str, exchange: Exchange<'_>, control: &str, expected: Option<NotStored>| {
        let found = match decide(&exchange, &TtlRules::default(), 200, &[("cache-control", control)]) {
            Storable::Store { .. } => None,
            Storable::Not(why) => Some(why),
        };
        assert_eq!(found, expected, "{what}");
    };
    check("POST", Exchange { method: &Method::POST, ..exchange() }, "max-age=9", Some(NotStored::Method));
    check("HEAD", Exchange { method: &Method::HEAD, ..exchange() }, "max-age=9", None);
    let asked = RequestDirectives { no_store: true, ..RequestDirectives::default() };
    check("§5.2.1.5", Exchange { asked, ..exchange() }, "max-age=9", Some(NotStored::RequestNoStore));
    let authorized = || Exchange { authorized: true, ..exchange() };
    check("§3.5", authorized(), "max-age=9", Some(NotStored::Authorization));
    check("§3.5 public", authorized(), "public, max-age=9", None);
    check("§3.5 s-maxage", authorized(), "s-maxage=9", None);
    check("§3.5 must-revalidate", authorized(), "max-age=9, must-revalidate", None);
}

#[test]
fn fields_named_by_no_cache_and_private_are_left_out() {
    let control = ("cache-control", "max-age=60, no-cache=\"x-a, X-B\", private=x-c");
    let Storable::Store { without, lifetime } = decide(&exchange(), &TtlRules::default(), 200, &[control]) else {
        panic!("stored")
    };
    assert_eq!(without, ["x-a", "x-b", "x-c"]);
    assert!(!lifetime.always_revalidate);
}

#[test]
fn how_long_a_response_says_it_is_fresh() {
    let check = |what: &str, lines: Lines<'_>, expected: u64, source: LifetimeSource| {
        let lines: Vec<_> = lines.iter().copied().chain([ETAG]).collect();
        let found = stored(&TtlRules::default(), 200, &lines);
        assert_eq!((found.fresh, found.source), (seconds(expected), source), "{what}");
    };
    use LifetimeSource::{CdnCacheControl, Expires, MaxAge, Nothing, SMaxage};
    let later = http_date(now() + seconds(90));
    let date = http_date(now());
    check("§5.2.2.1", &[("cache-control", "max-age=60")], 60, MaxAge);
    check("in any case and quoted", &[("cache-control", "MAX-AGE=\"60\"")], 60, MaxAge);
    check("§5.2.2.10 s-maxage", &[("cache-control", "max-age=60, s-maxage=30")], 30, SMaxage);
    check("the most restrictive of two", &[("cache-control", "max-age=60, max-age=30")], 30, MaxAge);
    check("over lines", &[("cache-control", "max-age=60"), ("cache-control", "max-age=30")], 30, MaxAge);
    check("no number is stale", &[("cache-control", "max-age=x")], 0, MaxAge);
    check("a negative is stale", &[("cache-control", "max-age=-1")], 0, MaxAge);
    check("a fraction is stale", &[("cache-control", "max-age=1.5")], 0, MaxAge);
    check("§1.2.2 overflow", &[("cache-control", "max-age=99999999999999999999999")], 1 << 31, MaxAge);
    check("a directive inside quotes is none", &[("cache-control", "x=\", max-age=5\", max-age=9")], 9, MaxAge);
    check("§5.3 Expires less Date", &[("expires", &later), ("date", &date)], 90, Expires);
    check("§5.3 without Date, less arrival", &[("expires", &later)], 90, Expires);
    check("§5.3 max-age overrides Expires", &[("expires", &later), ("cache-control", "max-age=5")], 5, MaxAge);
    check("§5.3 the past", &[("expires", "Sun, 06 Nov 1994 08:49:37 GMT")], 0, Expires);
    check("§5.3 RFC 850", &[("expires", "Sunday, 06-Nov-94 08:49:37 GMT")], 0, Expires);
    check("§5.3 asctime", &[("expires", "Sun Nov  6 08:49:37 1994")], 0, Expires);
    check("§5.3 no date", &[("expires", "-1")], 0, Expires);
    check("no-cache alone", &[("cache-control", "no-cache")], 0, Nothing);
    let cdn = "cdn-cache-control";
    check("RFC 9213 wins", &[(cdn, "max-age=7"), ("cache-control", "no-store")], 7, CdnCacheControl);
    check("RFC 9213 Expires does not count", &[(cdn, "no-cache"), ("expires", &later)], 0, Nothing);
    check("RFC 9213 empty does not count", &[(cdn, ""), ("cache-control", "max-age=6")], 6, MaxAge);
}

#[test]
fn the_policy_bends_lifetimes() {
    let check = |what: &str, ttl: TtlRules, status: u16, lines: Lines<'_>, expected: Option<(u64, LifetimeSource)>| {
        let found = match decide(&exchange(), &ttl, status, lines) {
            Storable::Store { lifetime, .. } => Some((lifetime.fresh.as_secs(), lifetime.source)),
            Storable::Not(_) => None,
        };
        assert_eq!(found, expected, "{what}");
    };
    use LifetimeSource::{MaxAge, PolicyDefault, PolicyStatus, PolicyTtl};
    let max_age = |value| [("cache-control", value)];
    let default = || TtlRules { default: Some(seconds(60)), ..TtlRules::default() };
    check("default", default(), 200, &[], Some((60, PolicyDefault)));
    check("default of a 404", default(), 404, &[], Some((60, PolicyDefault)));
    check("default not of a 500", default(), 500, &[], None);
    check("default not of a 302", default(), 302, &[], None);
    check("default only when nothing is said", default(), 200, &max_age("max-age=5"), Some((5, MaxAge)));
    let over = || TtlRules { over: Some(seconds(60)), ..default() };
    check("ttl", over(), 200, &max_age("max-age=5"), Some((60, PolicyTtl)));
    check("ttl not of a 500", over(), 500, &max_age("max-age=5"), Some((5, MaxAge)));
    check("no-store holds", over(), 200, &max_age("no-store"), None);
    check("private holds", over(), 200, &max_age("private"), None);
    let missing = StatusSet(vec![404..=404, 500..=599]);
    let by_status = || TtlRules { by_status: vec![(missing.clone(), seconds(10))], ..over() };
    check("by status", by_status(), 404, &max_age("max-age=5"), Some((10, PolicyStatus)));
    check("by status, errors too", by_status(), 503, &[], Some((10, PolicyStatus)));
    check("by status, others", by_status(), 200, &[], Some((60, PolicyTtl)));
    let bounds = || TtlRules { min: Some(seconds(10)), max: Some(seconds(20)), ..default() };
    check("min", bounds(), 200, &max_age("max-age=5"), Some((10, MaxAge)));
    check("max", bounds(), 200, &max_age("max-age=50"), Some((20, MaxAge)));
    check("bounds are on what the origin says", bounds(), 200, &[], Some((60, PolicyDefault)));
    let never = TtlRules { by_status: vec![(missing.clone(), Duration::ZERO)], ..over() };
    check("by status: not at all", never, 404, &[("cache-control", "max-age=5, stale-if-error=9"), ETAG], None);
}

#[test]
fn stale_windows_and_what_forbids_them() {
    let check = |control: &str, swr: u64, sie: u64, must: bool| {
        let ttl = TtlRules { stale_if_error: Some(seconds(7)), ..TtlRules::default() };
        let found = stored(&ttl, 200, &[("cache-control", control)]);
        let windows = (found.stale_while_revalidate, found.stale_if_error, found.must_revalidate);
        assert_eq!(windows, (seconds(swr), seconds(sie), must), "{control}");
    };
    check("max-age=1", 0, 7, false);
    check("max-age=1, stale-while-revalidate=5", 5, 7, false);
    check("max-age=1, stale-if-error=9", 0, 9, false);
    check("s-maxage=1, stale-while-revalidate=5, stale-if-error=9", 5, 9, false);
    check("max-age=1, stale-if-error=9, must-revalidate", 0, 9, true);
    check("max-age=1, proxy-revalidate", 0, 7, true);
    let none = stored(&TtlRules::default(), 200, &[("cache-control", "s-maxage=1")]);
    assert!(none.must_revalidate, "§5.2.2.10");
}

#[test]
fn age_is_corrected_by_date_age_and_delay() {
    let check = |what: &str, lines: Lines<'_>, sent: SystemTime, expected: u64| {
        let exchange = Exchange { sent, ..exchange() };
        let lines: Vec<_> = lines.iter().copied().chain([("cache-control", "max-age=60")]).collect();
        let Storable::Store { lifetime, .. } = decide(&exchange, &TtlRules::default(), 200, &lines) else { panic!() };
        assert_eq!(lifetime.age_seconds(now()), expected, "{what}");
    };
    let earlier = http_date(now() - seconds(20));
    let later = http_date(now() + seconds(20));
    check("§4.2.3 nothing", &[], now(), 0);
    check("§4.2.3 apparent age", &[("date", &earlier)], now(), 20);
    check("§4.2.3 a clock ahead", &[("date", &later)], now(), 0);
    check("§4.2.3 Age", &[("age", "30"), ("date", &earlier)], now(), 30);
    check("§4.2.3 Age and delay", &[("age", "30")], now() - seconds(3), 33);
    check("§5.1 the first of a list", &[("age", "30, 40")], now(), 30);
    check("§5.1 no number", &[("age", "old")], now(), 0);
    check("§1.2.2 overflow", &[("age", "99999999999999999999")], now(), 1 << 31);
    check("the epoch", &[("date", "Thu, 01 Jan 1970 00:00:00 GMT")], now(), 1_750_000_000);
}

proptest! {
    #[test]
    fn no_response_and_no_time_panics(
        control in "[a-z=,\"0-9 -]{0,60}",
        age in "[0-9]{0,30}",
        date in "[A-Za-z0-9:, ]{0,40}",
        status in 100u16..600,
        offset in any::<i32>(),
    ) {
        let lines = [("cache-control", control.as_str()), ("age", &age), ("date", &date), ("expires", &date), ETAG];
        if let Storable::Store { lifetime, .. } = decide(&exchange(), &TtlRules::default(), status, &lines) {
            let at = if offset < 0 { now() - seconds(u64::from(offset.unsigned_abs() / 2)) } else { now() + seconds(offset as u64) };
            let asked = RequestDirectives::of(&headers(&[("cache-control", &control)]));
            reuse(&lifetime, Some(at), &asked, at);
            on_error(&lifetime, None, &asked, at);
            lifetime.ttl_seconds(at);
        }
    }
}
