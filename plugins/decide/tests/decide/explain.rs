//! What would happen to a request, without traffic.

use crate::house::{Asking, NEW_YORK, PARIS, TOKYO, policy, route, route_of, site, weighted};
use latencify_conf::policy::{
    Access, AccessRule, Action, CacheRule, KeyParts, Names, PathPattern, Proxy, RateKey, RateLimit,
    Redirect, RedirectTo, Rewrite, Route, Steering, TtlRules,
};
use latencify_decide::{explain::explain, route::Router};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

fn explained(asking: &Asking) -> Value {
    let mut old = route_of("old", &[PathPattern::Below("/old".to_owned())]);
    let to = RedirectTo::Url("/new{path}".to_owned());
    old.action = Action::Redirect(Redirect { status: 301, to });

    let mut closed = route_of("closed", &[PathPattern::Below("/closed".to_owned())]);
    closed.access = Some(Access {
        rules: vec![(AccessRule::Country("JP".parse().unwrap()), false)],
        otherwise: true,
    });

    let mut images = route_of("images", &[PathPattern::Below("/img".to_owned())]);
    let limit = RateLimit {
        name: "all".into(),
        key: RateKey::Address,
        requests: 5,
        per: Duration::from_secs(1),
        burst: 2,
    };
    images.limits = vec![Arc::new(limit)];
    images.action = Action::Proxy(Box::new(Proxy {
        steering: Steering::Nearest(weighted(&[1, 1, 2])),
        rewrite: Some(Rewrite::Prefix {
            from: "/img".to_owned(),
            to: "/".to_owned(),
        }),
        cache: Some(Arc::new(CacheRule {
            ttl: TtlRules::default(),
            key: KeyParts {
                query: Names::Only(vec!["w".to_owned()]),
                country: true,
                ..KeyParts::default()
            },
            object_bytes_max: 1,
            ..CacheRule::default()
        })),
        timeouts: latencify_conf::policy::Timeouts::default(),
        limits: latencify_conf::policy::Limits::default(),
    }));
    let routes: Vec<Route> = vec![old, closed, images];
    let policy = policy(
        vec![site(7, &["shop.example"], routes)],
        &[Some(PARIS), Some(TOKYO), Some(NEW_YORK)],
    );
    serde_json::to_value(explain(&Router::new(policy).unwrap(), &asking.facts())).unwrap()
}

#[test]
fn a_proxied_request_is_explained_whole() {
    let found = explained(
        &Asking::get("shop.example", "/img/a?w=1&x=2")
            .header("accept", "*/*")
            .header("x-original-url", "/admin")
            .from("192.0.2.1", Some("FR"))
            .at(PARIS),
    );
    assert_eq!(found["outcome"], "proxied");
    assert_eq!(found["site"], json!({"id": 7, "name": "site-7"}));
    assert_eq!(
        found["routes"],
        json!([
            {"name": "old", "mismatch": "path"},
            {"name": "closed", "mismatch": "path"},
            {"name": "images", "mismatch": null},
        ])
    );
    assert_eq!(found["admission"]["access"], "none");
    assert_eq!(
        found["admission"]["limits"],
        json!([{"name": "all", "requests": 5, "per_seconds": 1.0, "burst": 2, "key": "address", "shared": false}])
    );
    let proxy = &found["action"]["proxy"];
    assert_eq!(proxy["target"], "/a?w=1");
    assert_eq!(
        proxy["cache"]["key"],
        json!([
            {"part": "site", "values": ["7"]},
            {"part": "scheme", "values": ["http"]},
            {"part": "host", "values": ["shop.example"]},
            {"part": "path", "values": ["/img/a"]},
            {"part": "query", "values": ["w=1"]},
            {"part": "country", "values": ["FR"]},
        ])
    );
    assert_eq!(proxy["cache"]["dropped"], json!(["x-original-url"]));
    assert_eq!(proxy["steering"], "nearest");
    let origins = proxy["origins"].as_array().unwrap();
    let names: Vec<_> = origins
        .iter()
        .map(|origin| origin["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["origin-0", "origin-2", "origin-1"]);
    assert_eq!(origins[0]["distance_km"], 0.0);
    assert!((5_800.0..5_900.0).contains(&origins[1]["distance_km"].as_f64().unwrap()));
}

#[test]
fn other_ends_are_explained() {
    let check = |asking: Asking, outcome: &str, pointer: &str, expected: Value| {
        let found = explained(&asking);
        assert_eq!(found["outcome"], outcome);
        assert_eq!(found.pointer(pointer), Some(&expected), "{pointer}");
    };
    let get = |target| Asking::get("shop.example", target);
    check(
        Asking::get("other.example", "/"),
        "no_site",
        "/site",
        json!(null),
    );
    check(get("/none"), "no_route", "/admission", json!(null));
    check(
        get("/closed").from("192.0.2.1", Some("JP")),
        "refused",
        "/admission/refusal",
        json!("access_country"),
    );
    check(
        get("/closed").from("192.0.2.1", Some("JP")),
        "refused",
        "/action",
        json!(null),
    );
    check(
        get("/old/a"),
        "redirected",
        "/action/redirect/location",
        json!("/new/old/a"),
    );
    check(
        get("/img/a"),
        "proxied",
        "/action/proxy/steering",
        json!("nearest_without_place"),
    );
    // A route without anything special still explains itself.
    assert!(route("plain").auth.is_none());
}
