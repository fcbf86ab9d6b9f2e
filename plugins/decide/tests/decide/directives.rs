//! `Cache-Control`, `Age` and `Date` as origins really write them (RFC 9111 §1.2.2, §4.2, §5.1, §5.2).

use crate::house::{headers, now};
use http::Method;
use latencify_conf::policy::{CacheRule, Heuristic, SetCookie, TtlRules};
use latencify_decide::{
    facts::Response,
    freshness::{Exchange, Lifetime, LifetimeSource, NotStored, RequestDirectives, Storable, is_complete, storable},
};
use std::time::{Duration, SystemTime};

type Lines<'a> = &'a [(&'static str, &'a str)];

const ETAG: (&str, &str) = ("etag", "\"e\"");
const HOUR: u64 = 3600;

fn decide(rule: &CacheRule, status: u16, lines: Lines<'_>) -> Result<Lifetime, NotStored> {
    let exchange = Exchange {
        method: &Method::GET,
        authorized: false,
        asked: RequestDirectives::default(),
        sent: now(),
        received: now(),
        edge: "paris-1",
    };
    match storable(&exchange, Response { status, headers: &headers(lines) }, rule) {
        Storable::Store { lifetime, .. } => Ok(lifetime),
        Storable::Not(why) => Err(why),
    }
}

fn date(offset: i64) -> String {
    let distance = Duration::from_secs(offset.unsigned_abs());
    let at = if offset < 0 { now() - distance } else { now() + distance };
    httpdate::fmt_http_date(at)
}

fn is_fresh(lifetime: &Lifetime, now: SystemTime) -> bool {
    !lifetime.fresh_for(now).is_zero()
}

#[test]
fn freshness_as_it_is_mangled() {
    let check = |what: &str, lines: Lines<'_>, expected: u64| {
        let lines: Vec<_> = lines.iter().copied().chain([ETAG]).collect();
        let found = decide(&CacheRule::default(), 200, &lines).map(|lifetime| lifetime.fresh.as_secs());
        assert_eq!(found, Ok(expected), "{what}");
    };
    let cc = "cache-control";
    check("§5.2 leading zeros", &[(cc, "max-age=003600")], HOUR);
    check("§5.2 quoted", &[(cc, "max-age=\"3600\"")], HOUR);
    check("§5.2 single quotes are none", &[(cc, "max-age='3600'")], 0);
    check("§5.2 a quote left open", &[(cc, "max-age=\"3600")], 0);
    check("§4.2.1 a space before =", &[(cc, "max-age =3600")], 0);
    check("§4.2.1 a space behind =", &[(cc, "max-age= 3600")], 0);
    check("§4.2.1 nothing behind =", &[(cc, "max-age=")], 0);
    check("§4.2.1 no =", &[(cc, "max-age")], 0);
    check("§4.2.1 letters before", &[(cc, "max-age=a3600")], 0);
    check("§4.2.1 letters behind", &[(cc, "max-age=3600a")], 0);
    check("§4.2.1 a fraction", &[(cc, "max-age=3600.5")], 0);
    check("§4.2.1 negative", &[(cc, "max-age=-3600")], 0);
    check("§4.2.1 a semicolon is no separator", &[(cc, "max-age=3600; public")], 0);
    check("§4.2.1 conflict: the most restrictive, first", &[(cc, "max-age=1, max-age=1800")], 1);
    check("§4.2.1 conflict: the most restrictive, last", &[(cc, "max-age=1800, max-age=1")], 1);
    check("§4.2.1 conflict over lines", &[(cc, "max-age=1800"), (cc, "max-age=1")], 1);
    check("§4.2.1 conflict with what can't be read", &[(cc, "max-age=1800, max-age=x")], 0);
    check("§5.2 no comma in quotes separates", &[(cc, "x=\"max-age=1, max-age=2\", max-age=1800")], 1800);
    check("§5.2.2.10 s-maxage of two", &[(cc, "s-maxage=9, s-maxage=7, max-age=1800")], 7);
    check("§5.2.3 unknown directives are passed by", &[(cc, "max-age=1800, foo, bar=\"b\"")], 1800);
    check("§1.2.2 2^31", &[(cc, "max-age=2147483648")], 1 << 31);
    check("§1.2.2 beyond", &[(cc, "max-age=2147483649")], 1 << 31);
    check("§5.3 the earlier of two", &[("expires", &date(90)), ("expires", &date(60))], 60);
    check("§5.3 two of them, one no date", &[("expires", &date(90)), ("expires", "0")], 0);
    check("§5.3 Date counts", &[("expires", &date(90)), ("date", &date(30))], 60);
    check("§5.3 a Date that is none", &[("expires", &date(90)), ("date", "yesterday")], 90);
    check("§5.3 several Dates are none", &[("expires", &date(90)), ("date", &date(30)), ("date", &date(30))], 90);
    check("§5.3 UTC", &[("expires", &date(90).replace("GMT", "UTC"))], 90);
    check("§5.3 another zone is expired", &[("expires", &date(90).replace("GMT", "AEST"))], 0);
    check("§5.3 no comma is expired", &[("expires", &date(90).replace(',', ""))], 0);
    check("§5.3 an invalid max-age does not let Expires in", &[(cc, "max-age=x"), ("expires", &date(90))], 0);
    check("§5.4 Pragma of a response says nothing", &[(cc, "max-age=60"), ("pragma", "no-cache")], 60);
}

#[test]
fn age_as_it_is_mangled() {
    let check = |what: &str, lines: Lines<'_>, expected: u64| {
        let lines: Vec<_> = lines.iter().copied().chain([("cache-control", "max-age=9999"), ETAG]).collect();
        let found = decide(&CacheRule::default(), 200, &lines).map(|lifetime| lifetime.age_seconds(now()));
        assert_eq!(found, Ok(expected), "{what}");
    };
    check("§4.2.3 none", &[], 0);
    check("§5.1", &[("age", "7200")], 7200);
    check("§5.1 leading zeros", &[("age", "007")], 7);
    check("§5.1 the first member", &[("age", "7200, 0")], 7200);
    check("§5.1 the first member, young", &[("age", "0, 7200")], 0);
    check("§5.1 the first line", &[("age", "7200"), ("age", "0")], 7200);
    check("§5.1 the first line, young", &[("age", "0"), ("age", "7200")], 0);
    check("§5.1 letters are ignored", &[("age", "abc")], 0);
    check("§5.1 a negative number is ignored", &[("age", "-7200")], 0);
    check("§5.1 a fraction is ignored", &[("age", "7200.0")], 0);
    check("§5.1 parameters are ignored, the number is not", &[("age", "7200;x=1")], 7200);
    check("§5.1 in quotes is a number too", &[("age", "\"7200\"")], 7200);
    check("§1.2.2 2^31 - 1", &[("age", "2147483647")], (1 << 31) - 1);
    check("§1.2.2 beyond", &[("age", "99999999999999999999")], 1 << 31);
    check("§4.2.3 what is ignored leaves Date", &[("age", "abc"), ("date", &date(-30))], 30);
    check("§4.2.3 the larger of Date", &[("age", "20"), ("date", &date(-30))], 30);
    check("§4.2.3 and Age", &[("age", "40"), ("date", &date(-30))], 40);
    check("§4.2.3 a Date ahead is age 0", &[("date", &date(300))], 0);
}

#[test]
fn a_huge_age_is_stale() {
    for age in ["2147483647", "2147483648", "99999999999"] {
        let lifetime = decide(&CacheRule::default(), 200, &[("cache-control", "max-age=3600"), ("age", age), ETAG]);
        assert!(!is_fresh(&lifetime.unwrap(), now()), "{age}");
    }
}

#[test]
fn heuristic_freshness_is_the_policys() {
    let rule = |heuristic, default| CacheRule { ttl: TtlRules { heuristic, default, ..TtlRules::default() }, ..CacheRule::default() };
    let on = || rule(Some(Heuristic { fraction: 0.5, max: Duration::from_secs(1_000) }), None);
    let check = |what: &str, rule: CacheRule, status: u16, lines: Lines<'_>, expected: Option<(u64, LifetimeSource)>| {
        let found = decide(&rule, status, lines).ok().map(|lifetime| (lifetime.fresh.as_secs(), lifetime.source));
        assert_eq!(found, expected, "{what}");
    };
    use LifetimeSource::{Expires, Heuristic as ByAge, MaxAge, PolicyDefault};
    let changed = ("last-modified", &*date(-100));
    check("off by default", CacheRule::default(), 200, &[changed], None);
    check("a share of the time since", on(), 200, &[changed], Some((50, ByAge)));
    check("as Date has it", on(), 200, &[changed, ("date", &date(-20))], Some((40, ByAge)));
    check("no more than its longest", on(), 200, &[("last-modified", &date(-1_000_000))], Some((1_000, ByAge)));
    check("§4.2.2 never beside max-age", on(), 200, &[changed, ("cache-control", "max-age=5")], Some((5, MaxAge)));
    check("§4.2.2 nor Expires", on(), 200, &[changed, ("expires", &date(7))], Some((7, Expires)));
    check("not without Last-Modified", on(), 200, &[ETAG], None);
    check("nor with one that is no date", on(), 200, &[("last-modified", "today")], None);
    check("nor one ahead", on(), 200, &[("last-modified", &date(50))], None);
    check("nor two", on(), 200, &[changed, changed], None);
    for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        check("RFC 9110 §15.1", on(), status, &[changed], Some((50, ByAge)));
    }
    for status in [201, 202, 302, 303, 307, 400, 403, 418, 500, 502, 503, 504, 599] {
        check("RFC 9110 §15.1 no other status", on(), status, &[changed], None);
        check("§4.2.2 public makes one of it", on(), status, &[changed, ("cache-control", "public")], Some((50, ByAge)));
    }
    let both = || rule(on().ttl.heuristic, Some(Duration::from_secs(7)));
    check("before default_ttl", both(), 200, &[changed], Some((50, ByAge)));
    check("default_ttl where it says nothing", both(), 200, &[], Some((7, PolicyDefault)));
}

#[test]
fn cookies_are_stored_where_the_policy_says_so() {
    let lines = [("cache-control", "max-age=60"), ("set-cookie", "a=b")];
    assert_eq!(decide(&CacheRule::default(), 200, &lines).unwrap_err(), NotStored::SetCookie);
    let store = CacheRule { set_cookie: SetCookie::Store, ..CacheRule::default() };
    assert!(decide(&store, 200, &lines).is_ok());
    let private = [("cache-control", "max-age=60, private"), ("set-cookie", "a=b")];
    assert_eq!(decide(&store, 200, &private).unwrap_err(), NotStored::Private, "what the RFC forbids stays forbidden");
}

#[test]
fn what_forbids_stale_answers() {
    let check = |what: &str, control: &str, expected: bool| {
        let lifetime = decide(&CacheRule::default(), 200, &[("cache-control", control), ETAG]).unwrap();
        assert_eq!(lifetime.must_revalidate || lifetime.always_revalidate, expected, "{what}");
    };
    check("nothing does", "max-age=9", false);
    check("§5.2.2.2", "max-age=9, must-revalidate", true);
    check("§5.2.2.8", "max-age=9, proxy-revalidate", true);
    check("§5.2.2.4", "max-age=9, no-cache", true);
    check("§5.2.2.10", "s-maxage=9", true);
    check("RFC 5861 beside s-maxage", "s-maxage=9, stale-while-revalidate=5", false);
    check("RFC 5861 beside s-maxage, on error", "s-maxage=9, stale-if-error=5", false);
    check("a window of nothing is none", "s-maxage=9, stale-if-error=0", true);
    check("must-revalidate is above windows", "s-maxage=9, stale-if-error=5, must-revalidate", true);
    check("proxy-revalidate too", "max-age=9, stale-if-error=5, proxy-revalidate", true);
}

#[test]
fn a_body_is_whole_if_it_has_its_length() {
    let check = |lines: Lines<'_>, bytes: u64, expected: bool| {
        assert_eq!(is_complete(&headers(lines), bytes), expected, "{lines:?} {bytes}");
    };
    check(&[], 7, true);
    check(&[("content-length", "7")], 7, true);
    check(&[("content-length", "7")], 6, false);
    check(&[("content-length", "7")], 8, false);
    check(&[("content-length", "7"), ("content-length", "7")], 7, false);
    check(&[("content-length", "seven")], 7, false);
    check(&[("content-length", "0")], 0, true);
}
