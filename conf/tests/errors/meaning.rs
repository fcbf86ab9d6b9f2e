//! What must hold between values.

use super::{APP, SITE, check, in_origin, in_route};
use crate::support::{good, with_routes};
use latencify_conf::{
    bundle::Bundle,
    change::SiteId,
    validate::{SiteIds, validate},
};
use std::collections::BTreeMap;
#[test]
fn dangling_names_name_the_nearest() {
    check(
        &with_routes("{ origins: [▸ap, app] }"),
        &[(
            "sites.main.routes[0].origins[0]",
            "there is no origin `ap`",
            "did you mean `app`?",
        )],
    );
    check(
        &with_routes("{ origins: { weighted: { app: 1, ▸nowhere: 2 } } }")
            .replace("▸nowhere: 2", "nowhere: ▸2"),
        &[(
            "sites.main.routes[0].origins.weighted.nowhere",
            "no origin `nowhere`",
            "origins: app, other",
        )],
    );
    check(
        &format!(
            "{APP}sites: {{ main: {{ hosts: [\"*\"], certificate: ▸shop, routes: [ {{ origins: [app] }} ] }} }}\n"
        ),
        &[(
            "sites.main.certificate",
            "there is no certificate `shop`",
            "there are no certificates",
        )],
    );
    check(
        &with_routes("{ origins: [app, ▸app] }"),
        &[(
            "sites.main.routes[0].origins[1]",
            "the origin `app` is there twice",
            "weighted",
        )],
    );
    // A name whose own section is wrong exists all the same.
    check(
        &format!("origins: {{ app: {{ url: ▸5 }} }}\n{SITE}"),
        &[("origins.app.url", "has no scheme", "")],
    );
}

#[test]
fn a_host_belongs_to_one_site() {
    let two = |first: &str, second: &str| {
        format!(
            "{APP}sites:\n  a: {{ hosts: [{first}], routes: [ {{ origins: [app] }} ] }}\n  \
             b: {{ hosts: [{second}], routes: [ {{ origins: [app] }} ] }}\n"
        )
    };
    check(
        &two("a.example", "b.example, ▸A.Example."),
        &[(
            "sites.b.hosts[1]",
            "the site `a` already answers for this host",
            "policy.yaml:3",
        )],
    );
    check(
        &two("a.example, ▸a.example", "b"),
        &[(
            "sites.a.hosts[1]",
            "this host is there twice",
            "policy.yaml:3",
        )],
    );
    check(
        &two("\"*\"", "▸\"*\""),
        &[("sites.b.hosts[0]", "already answers", "")],
    );
    check(
        &two("\"▸a:80\"", "b").replace("\"▸", "▸\""),
        &[("sites.a.hosts[0]", "a host has no port", "write `a`")],
    );
    check(
        &two("▸a.*.example", "b"),
        &[(
            "sites.a.hosts[0]",
            "`*` stands alone or is the first label",
            "",
        )],
    );
}

#[test]
fn what_has_no_effect_is_refused() {
    in_origin(
        "url: \"http://a\", ▸tls: { sni: a }",
        ".tls",
        "`tls` has no effect",
        "https://",
    );
    in_origin(
        "url: \"https://a\", tls: { ▸ca: ca.pem, insecure: true }",
        ".tls.ca",
        "`ca` has no effect",
        "",
    );
    in_origin(
        "url: ▸\"http://a/path\"",
        ".url",
        "more than scheme, host and port",
        "rewrite",
    );
    check(
        &with_routes("{ redirect: https, ▸origins: [app], ▸cache: true }"),
        &[
            (
                "sites.main.routes[0].origins",
                "`origins` has no effect beside `redirect`",
                "leave",
            ),
            (
                "sites.main.routes[0].cache",
                "`cache` has no effect beside `redirect`",
                "leave",
            ),
        ],
    );
    check(
        &with_routes("{ redirect: https, match: { https: ▸true } }"),
        &[("sites.main.routes[0].match.https", "never ends", "")],
    );
    in_route(
        "▸access: { otherwise: deny }",
        "access",
        "needs `allow` or `deny`",
        "",
    );
    in_route(
        "match: { path: /b/** }, rewrite: { prefix: { from: ▸/a, to: / } }",
        "rewrite.prefix.from",
        "no path of this route begins with `/a`",
        "",
    );
    in_route(
        "rewrite: { path: ▸/a?b=c }",
        "rewrite.path",
        "changes the path alone",
        "",
    );
    in_route(
        "request_headers: { set: { ▸Host: a } }",
        "request_headers.set.Host",
        "`host` can't be edited",
        "origin",
    );
    in_route(
        "response_headers: { remove: [▸connection] }",
        "response_headers.remove[0]",
        "can't be edited",
        "",
    );
}

#[test]
fn routes_behind_a_wider_one_are_refused() {
    let unreachable = |routes: &str, taker: &str| {
        check(
            &with_routes(routes),
            &[(
                "sites.main.routes[1]",
                &format!("no request reaches this route: `{taker}` takes them all"),
                "narrower",
            )],
        );
    };
    unreachable(
        "{ origins: [app] }; ▸{ origins: [app], match: { path: /a } }",
        "main/1",
    );
    unreachable(
        "{ name: all, origins: [app], match: { path: /a/** } }; ▸{ origins: [app], match: { path: [/a, /a/b/**] } }",
        "all",
    );
    unreachable(
        "{ origins: [app], match: { path: \"*.css\", methods: [GET, HEAD] } }; \
         ▸{ origins: [app], match: { path: \"*.css\", methods: GET, headers: { x: present } } }",
        "main/1",
    );
    for reachable in [
        "{ redirect: https }; { origins: [app] }",
        "{ origins: [app], match: { methods: GET } }; { origins: [app] }",
        "{ origins: [app], match: { path: /a/** } }; { origins: [app], match: { path: /ab } }",
        "{ origins: [app], match: { path: /a/** } }; { origins: [app], match: { path: [/a/b, /c] } }",
        "{ origins: [app], match: { headers: { x: present } } }; { origins: [app] }",
        "{ origins: [app], match: { https: true } }; { origins: [app], match: { https: false } }",
    ] {
        good(&with_routes(reachable));
    }
    // A condition that is wrong itself does not make a catch-all of its route.
    check(
        &with_routes("{ origins: [app], match: { path: ▸a } }; { origins: [app] }"),
        &[(
            "sites.main.routes[0].match.path",
            "does not start",
            "write `/a`",
        )],
    );
}

#[test]
fn limits_of_one_name_are_alike() {
    let routes = |second: &str| {
        format!(
            "{{ origins: [app], match: {{ path: /a }}, rate_limits: [{{ name: x, rate: 1/s }}] }}; \
             {{ origins: [app], rate_limits: [{{ {second} }}] }}"
        )
    };
    good(&with_routes(&routes("name: x, rate: 1/s")));
    check(
        &with_routes(&routes("name: ▸x, rate: 2/s")),
        &[(
            "sites.main.routes[1].rate_limits[0].name",
            "the limit `x` has another key, rate or burst",
            "rename",
        )],
    );
    check(
        &with_routes(
            "{ name: a, origins: [app], match: { path: /a } }; { name: ▸a, origins: [app] }",
        ),
        &[(
            "sites.main.routes[1].name",
            "the route name `a` is there twice",
            "policy.yaml:6",
        )],
    );
}

#[test]
fn a_site_without_an_id_is_refused() {
    let bundle = Bundle::single("policy.yaml", format!("{APP}{SITE}"));
    let ids = SiteIds::from_map(BTreeMap::from([("main".to_owned(), SiteId(7))]));
    assert_eq!(validate(&bundle, &ids).unwrap().sites[0].id, SiteId(7));
    let errors = validate(&bundle, &SiteIds::from_map(BTreeMap::new())).unwrap_err();
    assert_eq!(
        errors[0].message,
        "the site `main` has no id in the change log"
    );
}
