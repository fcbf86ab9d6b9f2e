//! Cache keys: never ambiguous, and the same where the policy says so.

use crate::house::Asking;
use http::{HeaderName, HeaderValue};
use latencify_conf::{
    change::SiteId,
    policy::{KeyParts, Names},
};
use latencify_decide::key::{cache_key, chosen_query};
use proptest::prelude::*;

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn key(parts: &KeyParts, asking: &Asking) -> Vec<u8> {
    cache_key(SiteId(1), parts, &asking.facts())
}

#[test]
fn the_query_counts_as_the_policy_says() {
    let check = |choice: Names, sort_query, query: Option<&str>, expected: Option<&str>| {
        let parts = KeyParts {
            query: choice,
            sort_query,
            ..KeyParts::default()
        };
        assert_eq!(
            chosen_query(&parts, query).as_deref(),
            expected,
            "{parts:?} {query:?}"
        );
    };
    check(Names::All, false, None, None);
    check(Names::All, false, Some(""), Some(""));
    check(Names::All, false, Some("b=2&a=1"), Some("b=2&a=1"));
    check(Names::All, true, Some("b=2&a=1&b=1"), Some("a=1&b=2&b=1"));
    check(Names::None, false, Some("a=1"), None);
    let only = || Names::Only(names(&["a", "page*"]));
    check(
        only(),
        false,
        Some("x=1&page_no=2&a=1&a=0"),
        Some("page_no=2&a=1&a=0"),
    );
    check(
        only(),
        true,
        Some("x=1&page_no=2&a=1"),
        Some("a=1&page_no=2"),
    );
    check(only(), false, Some("x=1"), None);
    check(only(), false, Some("%61=2"), Some("%61=2"));
    check(only(), false, Some("a"), Some("a"));
    let except = || Names::Except(names(&["utm_*"]));
    check(
        except(),
        false,
        Some("utm_source=x&a=1&&utm%5Fid=2"),
        Some("a=1"),
    );
    check(except(), false, Some("utm_source=x"), None);
}

#[test]
fn parts_that_do_not_count_share_a_key() {
    let plain = KeyParts::default();
    let base = Asking::get("h", "/p?q=1");
    let check =
        |asking: Asking, same: bool| assert_eq!(key(&plain, &asking) == key(&plain, &base), same);
    check(
        Asking {
            method: http::Method::HEAD,
            ..Asking::get("h", "/p?q=1")
        },
        true,
    );
    let over = |https, authority: &str| Asking {
        https,
        authority: Some(authority.to_owned()),
        ..Asking::get("h", "/p?q=1")
    };
    check(over(true, "h"), false);
    check(over(false, "H.:80"), true);
    check(over(false, "h:"), true);
    check(over(false, "h:080"), true);
    check(over(false, "h:81"), false);
    check(over(false, "h:0"), false);
    check(over(false, "h:443"), false);
    assert_eq!(
        key(&plain, &over(true, "h:443")),
        key(&plain, &over(true, "h"))
    );
    check(
        Asking::get("h", "/p?q=1")
            .header("x-any", "1")
            .from("192.0.2.9", Some("FR")),
        true,
    );
    check(Asking::get("h", "/p"), false);
    check(Asking::get("h", "/P?q=1"), false);
    check(Asking::get("i", "/p?q=1"), false);
    assert_ne!(
        cache_key(SiteId(2), &plain, &base.facts()),
        key(&plain, &base)
    );
}

#[test]
fn headers_cookies_and_country_count_when_named() {
    let parts = KeyParts {
        headers: vec![
            HeaderName::from_static("x-one"),
            HeaderName::from_static("x-two"),
        ],
        cookies: names(&["c"]),
        country: true,
        ..KeyParts::default()
    };
    let get = || Asking::get("h", "/");
    let askings = [
        get(),
        get().header("x-one", ""),
        get().header("x-one", "a"),
        get().header("x-two", "a"),
        get().header("x-one", "a").header("x-one", "b"),
        get().header("x-one", "a, b"),
        get().header("x-one", "a").header("x-one", "bc"),
        get().header("x-one", "ab").header("x-one", "c"),
        get().header("cookie", "c="),
        get().header("cookie", "c=1"),
        get().header("cookie", "c=1; c=2"),
        get().from("192.0.2.1", Some("FR")),
        get().from("192.0.2.1", Some("JP")),
    ];
    let keys: std::collections::HashSet<_> =
        askings.iter().map(|asking| key(&parts, asking)).collect();
    assert_eq!(keys.len(), askings.len());
    assert_eq!(
        key(&parts, &get().header("cookie", "d=1")),
        key(&parts, &get())
    );
}

#[test]
fn one_bytes_never_mean_two_things_under_two_policies() {
    let by = |name| KeyParts {
        headers: vec![HeaderName::from_static(name)],
        ..KeyParts::default()
    };
    let asking = Asking::get("h", "/")
        .header("x-one", "v")
        .header("x-two", "v");
    assert_ne!(key(&by("x-one"), &asking), key(&by("x-two"), &asking));
    let cookie = KeyParts {
        cookies: names(&["x-one"]),
        ..KeyParts::default()
    };
    let asking = Asking::get("h", "/")
        .header("x-one", "v")
        .header("cookie", "x-one=v");
    assert_ne!(key(&by("x-one"), &asking), key(&cookie, &asking));
}

/// What a key is made of, written so that equality is obvious.
type Inputs = (
    u64,
    String,
    String,
    Option<String>,
    Vec<String>,
    Vec<String>,
);

fn inputs() -> impl Strategy<Value = Inputs> {
    let text = "[ah/p&q=\\x00-\\x03]{0,4}";
    let values = || proptest::collection::vec("[ab,;=]{0,3}", 0..3);
    (
        0u64..3,
        text,
        text,
        proptest::option::of(text),
        values(),
        values(),
    )
}

fn key_of((site, host, path, query, one, two): &Inputs) -> Vec<u8> {
    let mut asking = Asking {
        query: query.clone(),
        host: host.clone(),
        path: path.clone(),
        ..Asking::get("", "")
    };
    for (name, values) in [("x-one", one), ("x-two", two)] {
        for value in values {
            asking.headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            );
        }
    }
    let parts = KeyParts {
        headers: vec![
            HeaderName::from_static("x-one"),
            HeaderName::from_static("x-two"),
        ],
        ..KeyParts::default()
    };
    cache_key(SiteId(*site), &parts, &asking.facts())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn other_inputs_other_keys(a in inputs(), b in inputs()) {
        prop_assert_eq!(a == b, key_of(&a) == key_of(&b));
    }
}

/// Keys lie on disk: a later program that means another request by the same octets would answer it from there. Whoever changes what
/// this pins raises the version of the header that the disk tier keeps (`gateway/src/disk/header.rs`).
#[test]
fn the_octets_of_a_key_stay_as_they_are() {
    let parts = KeyParts {
        headers: vec![HeaderName::from_static("x-a")],
        cookies: names(&["c"]),
        country: true,
        device: true,
        ..KeyParts::default()
    };
    let asking = Asking::get("h", "/p?q=1")
        .header("x-a", "1")
        .header("cookie", "c=2")
        .from("192.0.2.9", Some("FR"));
    let octets = key(&parts, &asking).escape_ascii().to_string();
    let octets = octets.replace("\\x00", "0").replace("\\x0", "");
    let pinned = "s0001000800000001u00010004httph00010001hp00010002/pq00010003q=1f00020003x-a00011\
                  c00020001c00012g00010002FRd00010007desktop";
    assert_eq!(octets, pinned);
}
