//! Directives for CDNs alone: RFC 9213, and `Surrogate-Control` where the policy says so.

use crate::house::{headers, now};
use http::Method;
use latencify_conf::policy::CacheRule;
use latencify_decide::{
    facts::Response,
    freshness::{Exchange, Lifetime, LifetimeSource, NotStored, RequestDirectives, Storable, storable},
};
use proptest::prelude::*;

type Lines<'a> = &'a [(&'static str, &'a str)];

const CDN: &str = "cdn-cache-control";
const CC: &str = "cache-control";
const SURROGATE: &str = "surrogate-control";

fn decide(surrogate_control: bool, lines: Lines<'_>) -> Result<Lifetime, NotStored> {
    let exchange = Exchange {
        method: &Method::GET,
        authorized: false,
        asked: RequestDirectives::default(),
        sent: now(),
        received: now(),
        edge: "paris-1",
    };
    let rule = CacheRule { surrogate_control, ..CacheRule::default() };
    match storable(&exchange, Response { status: 200, headers: &headers(lines) }, &rule) {
        Storable::Store { lifetime, .. } => Ok(lifetime),
        Storable::Not(why) => Err(why),
    }
}

#[test]
fn cdn_cache_control_is_a_dictionary_above_cache_control() {
    let check = |what: &str, lines: Lines<'_>, expected: Result<u64, NotStored>| {
        let found = decide(false, lines).map(|lifetime| lifetime.fresh.as_secs());
        assert_eq!(found, expected, "{what}");
    };
    use NotStored::{NoLifetime, NoStore, Private};
    let none = (CC, "no-store");
    check("§2.2 above no-store", &[none, (CDN, "max-age=9")], Ok(9));
    check("§2.2 above max-age", &[(CC, "max-age=5"), (CDN, "max-age=9")], Ok(9));
    check("§2.2 below nothing: shorter counts too", &[(CC, "max-age=9"), (CDN, "max-age=5")], Ok(5));
    check("§2.2 Expires does not count", &[("expires", "0"), (CDN, "max-age=9")], Ok(9));
    check("§2.2 no-store", &[(CC, "max-age=9"), (CDN, "no-store")], Err(NoStore));
    check("§2.2 private", &[(CC, "max-age=9"), (CDN, "private")], Err(Private));
    check("§2.2 an unknown directive is a value", &[(CC, "max-age=9"), (CDN, "foo")], Err(NoLifetime));
    check("§2.2 s-maxage", &[(CDN, "max-age=9, s-maxage=7")], Ok(7));
    check("§2.1 empty is absent", &[(CC, "max-age=5"), (CDN, "")], Ok(5));
    check("§2.1 no dictionary is absent", &[(CC, "max-age=5"), (CDN, "max-age=9, &&&")], Ok(5));
    check("§2.1 no dictionary, no-store", &[none, (CDN, "max-age=9, &&&")], Err(NoStore));
    check("§2.1 a comma at the end", &[(CC, "max-age=5"), (CDN, "max-age=9,")], Ok(5));
    check("§2.1 upper case is no key", &[(CC, "max-age=5"), (CDN, "MaX-aGe=9")], Ok(5));
    check("§2.1 a space before =", &[(CC, "max-age=5"), (CDN, "max-age =9")], Ok(5));
    check("§2.1 a space behind =", &[(CC, "max-age=5"), (CDN, "max-age= 9")], Ok(5));
    check("§2.1 a string is no number", &[(CC, "max-age=5"), (CDN, "max-age=\"9\"")], Ok(5));
    check("§2.1 a fraction is none", &[(CC, "max-age=5"), (CDN, "max-age=9.5")], Ok(5));
    check("§2.1 nor a token", &[(CC, "max-age=5"), (CDN, "max-age=a")], Ok(5));
    check("§2.1 nor a list", &[(CC, "max-age=5"), (CDN, "max-age=(9)")], Ok(5));
    check("§2.1 parameters are ignored", &[(CDN, "max-age=9;x=1;y")], Ok(9));
    check("RFC 9651 §3.2 over lines", &[none, (CDN, "public"), (CDN, "max-age=9")], Ok(9));
    check("RFC 9651 §3.2 the last of a key", &[(CDN, "max-age=5, max-age=9")], Ok(9));
    check("RFC 9651 §3.3.1 16 digits are too many", &[(CC, "max-age=5"), (CDN, "max-age=9999999999999999")], Ok(5));
    check("RFC 9111 §1.2.2 large", &[(CDN, "max-age=99999999999")], Ok(1 << 31));
    check("RFC 9651 §3.3.6 false is absent", &[(CDN, "no-store=?0, max-age=9")], Ok(9));
    check("true is there", &[(CDN, "no-store=?1, max-age=9")], Err(NoStore));
    check("negative is unreadable, so stale", &[(CDN, "max-age=-9")], Err(NoLifetime));
}

#[test]
fn what_else_cdn_cache_control_says() {
    let found = decide(false, &[(CDN, "max-age=9, stale-while-revalidate=3, must-revalidate, immutable"), ("etag", "\"e\"")]).unwrap();
    assert_eq!((found.source, found.stale_while_revalidate.as_secs()), (LifetimeSource::CdnCacheControl, 3));
    assert!(found.must_revalidate && found.immutable && !found.always_revalidate);
    assert!(decide(false, &[(CDN, "no-cache"), ("etag", "\"e\"")]).unwrap().always_revalidate);
    assert!(!decide(false, &[(CDN, "max-age=9, no-cache=\"x-a\"")]).unwrap().always_revalidate);
    assert!(decide(false, &[(CDN, "max-age=9, no-cache=(x-a)"), ("etag", "\"e\"")]).unwrap().always_revalidate);
}

#[test]
fn surrogate_control_counts_where_the_policy_says_so() {
    let check = |what: &str, lines: Lines<'_>, expected: Result<(u64, u64), NotStored>| {
        let found = decide(true, lines).map(|lifetime| (lifetime.fresh.as_secs(), lifetime.stale_if_error.as_secs()));
        assert_eq!(found, expected, "{what}");
    };
    let off = decide(false, &[(CC, "max-age=5"), (SURROGATE, "max-age=9")]).unwrap();
    assert_eq!((off.fresh.as_secs(), off.source), (5, LifetimeSource::MaxAge));
    let on = decide(true, &[(CC, "max-age=5"), (SURROGATE, "max-age=9")]).unwrap();
    assert_eq!((on.fresh.as_secs(), on.source), (9, LifetimeSource::SurrogateControl));
    check("above no-store", &[(CC, "no-store"), (SURROGATE, "max-age=9")], Ok((9, 0)));
    check("no-store", &[(CC, "max-age=9"), (SURROGATE, "no-store")], Err(NotStored::NoStore));
    check("no-store-remote: an edge is remote", &[(CC, "max-age=9"), (SURROGATE, "no-store-remote")], Err(NotStored::NoStore));
    check("max-age=0", &[(CC, "max-age=9"), (SURROGATE, "max-age=0")], Err(NotStored::NoLifetime));
    check("in any case", &[(SURROGATE, "MaX-aGe=9")], Ok((9, 0)));
    check("fresh, then stale", &[(SURROGATE, "max-age=9+6")], Ok((9, 6)));
    check("too large", &[(SURROGATE, "max-age=99999999999")], Ok((1 << 31, 0)));
    check("content alone is not about caching", &[(CC, "max-age=5"), (SURROGATE, "content=\"ESI/1.0\"")], Ok((5, 0)));
    check("unknown alone is not either", &[(CC, "max-age=5"), (SURROGATE, "foobar")], Ok((5, 0)));
    check("for another", &[(CC, "max-age=5"), (SURROGATE, "max-age=9;tokyo-1")], Ok((5, 0)));
    check("for this edge", &[(CC, "max-age=5"), (SURROGATE, "max-age=9;Paris-1")], Ok((9, 0)));
    check("for this edge, above all", &[(SURROGATE, "max-age=5, max-age=9;paris-1, no-store;tokyo-1")], Ok((9, 0)));
    check("below CDN-Cache-Control", &[(SURROGATE, "max-age=5"), (CDN, "max-age=9")], Ok((9, 0)));
    check("where CDN-Cache-Control is invalid", &[(SURROGATE, "max-age=5"), (CDN, "&")], Ok((5, 0)));
}

proptest! {
    #[test]
    fn no_value_panics(value in "[ -~]{0,60}") {
        let _ = decide(true, &[(CDN, &value), (SURROGATE, &value)]);
    }
}
