//! Good policies, and what they mean.

mod support;

use latencify_conf::policy::{
    AccessRule, Action, CacheRule, ClientAddressHeader, HeaderMatch, HostPattern, JwtKey,
    MethodSet, Names, OriginId, PathPattern, Proxy, RateKey, Redirect, RedirectTo, Rewrite, Route,
    Scheme, StatusSet, Steering, Timeouts, TokenSource, WeightedOrigin,
};
use std::{path::Path, sync::Arc, time::Duration};
use support::{good, route, with_routes};

fn proxy(route: &Route) -> &Proxy {
    match &route.action {
        Action::Proxy(proxy) => proxy,
        Action::Redirect(redirect) => panic!("{redirect:?}"),
    }
}

fn cache(keys: &str) -> CacheRule {
    let route = route(&format!("cache: {keys}"));
    CacheRule::clone(proxy(&route).cache.as_deref().unwrap())
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn a_quickstart_has_all_defaults() {
    let policy = good(include_str!("../examples/01-quickstart.yaml"));
    let site = &policy.sites[0];
    assert_eq!(
        (&*site.name, site.hosts.as_slice()),
        ("main", &[HostPattern::Any][..])
    );
    assert!(site.certificate.is_none() && site.purge.from.is_empty());
    let origin = policy.origin(OriginId(0));
    assert_eq!(
        (
            origin.scheme,
            origin.host.as_str(),
            origin.port,
            origin.weight
        ),
        (Scheme::Http, "127.0.0.1", 9001, 1)
    );
    assert!(
        origin.tls.verify
            && origin.health.is_none()
            && origin.place.is_none()
            && origin.host_header.is_none()
    );

    let route = &site.routes[0];
    assert_eq!(&*route.name, "main/1");
    assert!(route.access.is_none() && route.auth.is_none() && route.limits.is_empty());
    let proxy = proxy(route);
    assert_eq!(
        proxy.steering,
        Steering::Nearest(vec![WeightedOrigin {
            origin: OriginId(0),
            weight: 1
        }])
    );
    assert_eq!(
        (proxy.timeouts, proxy.limits.retries_max),
        (Timeouts::default(), 2)
    );
    let cache = proxy.cache.as_deref().unwrap();
    assert_eq!(
        (cache.object_bytes_max, cache.hit_for_miss, cache.lock_wait),
        (64 << 20, secs(10), secs(10))
    );
    assert!(cache.ttl.default.is_none() && cache.ttl.over.is_none());
    assert_eq!(cache.key.query, Names::All);
    assert_eq!(
        policy.edge.client_address_header,
        ClientAddressHeader::XForwardedFor
    );
}

#[test]
fn the_site_id_follows_the_name() {
    let first = good(include_str!("../examples/01-quickstart.yaml"));
    let again = good(&format!(
        "# another bundle\n{}",
        include_str!("../examples/01-quickstart.yaml")
    ));
    assert_eq!(first.sites[0].id, again.sites[0].id);
    assert_ne!(first.digest, again.digest);
}

#[test]
fn origins_and_their_health() {
    let policy = good(
        "origins:
  app:
    url: https://App.Example:8443
    place: { latitude: -33.9, longitude: 18 }
    weight: 7
    host: shop.internal:81
    tls: { sni: a.example, ca: ca.pem }
    health: { path: /up?x, interval: 1m, timeout: 500ms, healthy_after: 1, unhealthy_after: 9, expect: [204, 300-302, 4xx] }
  grpc: { url: \"h2c://[::1]:50051\", health: {} }
sites: { main: { hosts: [\"*\"], routes: [{ origins: { weighted: { grpc: 3, app: 1 } } }] } }
",
    );
    let app = policy.origin(OriginId(0));
    assert_eq!(
        (app.scheme, app.host.as_str(), app.port),
        (Scheme::Https, "app.example", 8443)
    );
    assert_eq!(app.host_header.as_deref(), Some("shop.internal:81"));
    assert_eq!(app.tls.sni.as_deref(), Some("a.example"));
    assert_eq!(app.tls.ca.as_deref(), Some(Path::new("ca.pem")));
    let health = app.health.as_ref().unwrap();
    assert_eq!(
        (health.path.as_str(), health.interval, health.timeout),
        ("/up?x", secs(60), Duration::from_millis(500))
    );
    assert_eq!((health.healthy_after, health.unhealthy_after), (1, 9));
    assert_eq!(
        health.expect,
        StatusSet(vec![204..=204, 300..=302, 400..=499])
    );
    let grpc = policy.origin(OriginId(1));
    assert_eq!((grpc.scheme, grpc.host.as_str()), (Scheme::H2c, "::1"));
    let health = grpc.health.as_ref().unwrap();
    assert_eq!(
        (
            health.path.as_str(),
            health.interval,
            health.unhealthy_after
        ),
        ("/", secs(5), 3)
    );
    let Steering::Weighted(origins) = &proxy(&policy.sites[0].routes[0]).steering else {
        panic!()
    };
    let weights: Vec<_> = origins
        .iter()
        .map(|origin| (origin.origin.0, origin.weight))
        .collect();
    assert_eq!(weights, [(1, 3), (0, 1)], "in the order of the file");
}

#[test]
fn the_longest_host_wins() {
    let site = |name: &str, hosts: &str| {
        format!("  {name}: {{ hosts: [{hosts}], routes: [ {{ origins: [app] }} ] }}\n")
    };
    let policy = good(&format!(
        "origins: {{ app: {{ url: \"http://a\" }} }}\nsites:\n{}{}{}{}",
        site("any", "\"*\""),
        site("wide", "\"*.example\""),
        site("narrow", "\"*.shop.example\""),
        site("exact", "a.shop.example, bücher.example, \"[::1]\"")
    ));
    for (host, expected) in [
        ("a.shop.example", "exact"),
        ("xn--bcher-kva.example", "exact"),
        ("[::1]", "exact"),
        ("b.shop.example", "narrow"),
        ("x.b.shop.example", "narrow"),
        ("shop.example", "wide"),
        ("example", "any"),
    ] {
        assert_eq!(
            &*policy.site_for_host(host).unwrap().name,
            expected,
            "{host}"
        );
    }
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
    let plain = support::route(
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

#[test]
fn anchors_aliases_and_merge_keys_are_obeyed() {
    let policy = good(
        "origins:
  a: &a { url: \"http://a\", weight: 3 }
  b: { <<: *a, url: \"http://b\" }
sites:
  main:
    hosts: [\"*\"]
    routes:
      - { match: { path: /a }, origins: &both [a, b] }
      - { origins: *both, cache: &on true }
",
    );
    let found: Vec<_> = policy
        .origins
        .iter()
        .map(|origin| (origin.host.as_str(), origin.weight))
        .collect();
    assert_eq!(found, [("a", 3), ("b", 3)]);
    assert_eq!(
        proxy(&policy.sites[0].routes[1]).steering.origins().len(),
        2
    );
}

#[test]
fn the_edge_section_and_certificates() {
    let policy = good(
        "$schema: https://latencify.example/policy.json
edge: { trusted_hops: [127.0.0.0/8, \"::1\"], client_address_header: forwarded }
certificates: { one: { chain: one.pem, key: one.key }, two: { chain: /etc/two.pem, key: /etc/two.key } }
origins: { app: { url: \"http://a\" } }
sites: { main: { hosts: [a], certificate: two, purge: { from: 10.0.0.0/8 }, routes: [{ origins: [app] }] } }
",
    );
    assert_eq!(
        policy.edge.client_address_header,
        ClientAddressHeader::Forwarded
    );
    assert_eq!(policy.edge.trusted_hops.len(), 2);
    assert_eq!(
        policy.sites[0]
            .certificate
            .map(|id| policy.certificates[id.0].name.as_str()),
        Some("two")
    );
    assert_eq!(policy.sites[0].purge.from.len(), 1);
}
