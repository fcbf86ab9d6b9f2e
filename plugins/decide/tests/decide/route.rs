//! Host → site → route.

use crate::house::{Asking, policy, route, route_of, site};
use http::{HeaderName, Method};
use latencify_conf::policy::{HeaderMatch, MethodSet, PathPattern};
use latencify_decide::route::{Mismatch, Routed, Router};
use proptest::prelude::*;

#[test]
fn the_exact_host_wins_then_the_longest_wildcard_then_the_default() {
    let sites = vec![
        site(1, &["*.example"], vec![]),
        site(2, &["*.shop.example"], vec![]),
        site(3, &["www.shop.example", "[2001:db8::1]"], vec![]),
        site(4, &["*"], vec![]),
    ];
    let policy = policy(sites, &[]);
    let router = Router::new(policy.clone()).unwrap();
    let check = |host: &str, expected: u64| {
        assert_eq!(
            router.site(host).map(|site| site.site.id.0),
            Some(expected),
            "{host}"
        );
        assert_eq!(
            policy.site_for_host(host).map(|site| site.id.0),
            Some(expected),
            "{host}, by scanning"
        );
    };
    check("www.shop.example", 3);
    check("[2001:db8::1]", 3);
    check("a.shop.example", 2);
    check("a.b.shop.example", 2);
    check("shop.example", 1);
    check("example", 4);
    check(".example", 4);
    check("notexample", 4);
    check("192.0.2.1", 4);
    check("", 4);
}

#[test]
fn without_a_default_site_other_hosts_have_none() {
    let router = Router::new(policy(vec![site(1, &["a.example"], vec![])], &[])).unwrap();
    let other = Asking::get("b.example", "/");
    assert!(matches!(router.route(&other.facts()), Routed::NoSite));
    let known = Asking::get("a.example", "/");
    assert!(matches!(router.route(&known.facts()), Routed::NoRoute { site } if site.id.0 == 1));
}

proptest! {
    #[test]
    fn the_index_finds_what_a_scan_finds(
        sites in proptest::collection::vec("(\\*\\.)?[ab]{1,2}(\\.[ab]{1,2}){0,2}", 1..6),
        host in "[ab]{0,2}(\\.[ab]{1,2}){0,3}",
    ) {
        let mut sites = sites;
        sites.sort();
        sites.dedup();
        let sites = sites.iter().enumerate().map(|(id, pattern)| site(id as u64, &[pattern], vec![])).collect();
        let policy = policy(sites, &[]);
        let router = Router::new(policy.clone()).unwrap();
        prop_assert_eq!(router.site(&host).map(|site| site.site.id), policy.site_for_host(&host).map(|site| site.id));
    }
}

#[test]
fn the_first_route_that_matches_takes_the_request() {
    let mut write = route_of("write", &[PathPattern::Below("/api".to_owned())]);
    write.matches.methods = Some(MethodSet(vec!["POST".to_owned(), "PUT".to_owned()]));
    let mut beta = route("beta");
    beta.matches.headers = vec![
        HeaderMatch::Equals(HeaderName::from_static("x-beta"), "1".to_owned()),
        HeaderMatch::Absent(HeaderName::from_static("x-debug")),
    ];
    let mut bot = route("bot");
    bot.matches.headers = vec![HeaderMatch::Glob(
        HeaderName::from_static("user-agent"),
        "*bot*".to_owned(),
    )];
    let mut secure = route("secure");
    secure.matches.https = Some(true);
    let routes = vec![
        route_of(
            "home",
            &[
                PathPattern::Exact("/".to_owned()),
                PathPattern::Exact("/home".to_owned()),
            ],
        ),
        write,
        beta,
        bot,
        secure,
        route_of("styles", &[PathPattern::Glob("*.css".to_owned())]),
    ];
    let router = Router::new(policy(vec![site(1, &["*"], routes)], &[])).unwrap();
    let check = |asking: Asking, expected: Option<&str>| {
        let facts = asking.facts();
        let found = match router.route(&facts) {
            Routed::Route { route, .. } => Some(&*route.name),
            _ => None,
        };
        assert_eq!(found, expected, "{} {}", asking.method, asking.path);
    };
    let get = |path| Asking::get("h.example", path);
    check(get("/"), Some("home"));
    check(get("/home"), Some("home"));
    check(get("/api/x"), None);
    check(
        Asking {
            method: Method::POST,
            ..get("/api/x")
        },
        Some("write"),
    );
    check(
        Asking {
            method: Method::POST,
            ..get("/apis")
        },
        None,
    );
    check(
        Asking {
            method: Method::from_bytes(b"post").unwrap(),
            ..get("/api")
        },
        None,
    );
    check(
        get("/x").header("x-beta", "0").header("x-beta", "1"),
        Some("beta"),
    );
    check(get("/x").header("x-beta", "1").header("x-debug", ""), None);
    check(get("/x").header("user-agent", "Googlebot/2"), Some("bot"));
    check(
        Asking {
            https: true,
            ..get("/x")
        },
        Some("secure"),
    );
    check(get("/deep/x.css"), Some("styles"));
}

#[test]
fn a_route_says_why_it_does_not_match() {
    let mut strict = route_of("strict", &[PathPattern::Exact("/a".to_owned())]);
    strict.matches.https = Some(true);
    let router = Router::new(policy(vec![site(1, &["*"], vec![strict])], &[])).unwrap();
    let route = &router.site("x").unwrap().routes[0];
    let asking = Asking::get("x", "/b");
    assert_eq!(route.mismatch(&asking.facts()), Some(Mismatch::Transport));
    let asking = Asking {
        https: true,
        ..asking
    };
    assert_eq!(route.mismatch(&asking.facts()), Some(Mismatch::Path));
}

#[test]
fn a_pattern_beyond_the_bound_refuses_the_policy_by_name() {
    let long = route_of(
        "long",
        &[PathPattern::Glob(format!("/*{}", "a".repeat(2000)))],
    );
    let refused = Router::new(policy(vec![site(1, &["*"], vec![long])], &[])).unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("site site-1, route long: the pattern has"),
        "{refused}"
    );
}
