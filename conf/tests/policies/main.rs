//! Good policies, and what they mean.

mod cache;
mod limits;
mod routes;
mod secrets;
#[path = "../support/mod.rs"]
mod support;

use latencify_conf::policy::{
    Action, ClientAddressHeader, Door, HostPattern, Names, OriginId, Proxy, Route, Scheme,
    StatusSet, Steering, Timeouts, TlsVersion, WeightedOrigin,
};
use std::{path::Path, time::Duration};
use support::good;

fn proxy(route: &Route) -> &Proxy {
    match &route.action {
        Action::Proxy(proxy) => proxy,
        Action::Redirect(redirect) => panic!("{redirect:?}"),
    }
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn a_quickstart_has_all_defaults() {
    let policy = good(include_str!("../../examples/01-quickstart.yaml"));
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
    let first = good(include_str!("../../examples/01-quickstart.yaml"));
    let again = good(&format!(
        "# another bundle\n{}",
        include_str!("../../examples/01-quickstart.yaml")
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
fn how_connections_come_in() {
    let door = |edge: &str| {
        let app = "origins: { app: { url: \"http://a\" } }\nsites: { main: { hosts: [a], routes: [{ origins: [app] }] } }";
        good(&format!("edge: {edge}\n{app}\n")).edge.door
    };
    let usual = door("{ tls: {} }");
    assert_eq!(usual, Door::default());
    assert!(!usual.expects_proxy_header("127.0.0.1".parse().unwrap()));
    assert_eq!(
        door("{ tls: { min_version: \"1.3\" } }").tls_min,
        TlsVersion::Tls13
    );
    assert_eq!(
        door("{ tls: { min_version: \"1.2\" } }").tls_min,
        TlsVersion::Tls12
    );
    let behind = door("{ proxy_protocol: { from: [10.0.0.0/8, \"fd00::/8\"] } }");
    for (peer, expected) in [
        ("10.9.9.9", true),
        ("::ffff:10.9.9.9", true),
        ("fd00::7", true),
        ("11.0.0.1", false),
        ("::1", false),
    ] {
        assert_eq!(
            behind.expects_proxy_header(peer.parse().unwrap()),
            expected,
            "{peer}"
        );
    }
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
