//! Policies that are refused: each error at its place, with the path, what is wrong and what to do.

mod support;

use latencify_conf::{
    bundle::{Bundle, File},
    change::SiteId,
    validate::{SiteIds, render, validate},
};
use std::collections::BTreeMap;
use support::{read, with_route, with_routes};

/// Checks that a text, in which `▸` marks the places of all errors, is refused with these (path, fragment of message
/// and help), in the order of places.
#[track_caller]
fn check(marked: &str, expected: &[(&str, &str, &str)]) {
    let mut places = Vec::new();
    for (line, text) in (1..).zip(marked.lines()) {
        let before = text
            .split('▸')
            .map(|part| part.chars().count())
            .scan(0, |sum, part| {
                *sum += part;
                Some(*sum)
            });
        let marks = text.matches('▸').count();
        places.extend(before.take(marks).map(|column| (line, column + 1)));
    }
    let errors = read(&marked.replace('▸', "")).expect_err(marked);
    let told = render(&errors);
    let found: Vec<_> = errors
        .iter()
        .map(|error| (error.line, error.column))
        .collect();
    assert_eq!(found, places, "places\n{told}");
    assert_eq!(errors.len(), expected.len(), "{told}");
    for (error, (path, message, help)) in errors.iter().zip(expected) {
        assert_eq!(&error.path, path, "{told}");
        assert!(error.message.contains(message), "{message:?} in\n{told}");
        assert!(
            error.help.as_deref().unwrap_or_default().contains(help),
            "{help:?} in\n{told}"
        );
        assert_eq!(error.file, "policy.yaml");
    }
}

const SITE: &str = "sites: { main: { hosts: [\"*\"], routes: [ { origins: [app] } ] } }\n";
const APP: &str = "origins: { app: { url: \"http://127.0.0.1:9001\" } }\n";

/// An error in the keys of the one route.
#[track_caller]
fn in_route(keys: &str, path: &str, message: &str, help: &str) {
    check(
        &with_route(keys),
        &[(&format!("sites.main.routes[0].{path}"), message, help)],
    );
}

/// An error in the keys of the one origin.
#[track_caller]
fn in_origin(keys: &str, path: &str, message: &str, help: &str) {
    check(
        &format!("{SITE}origins:\n  app: {{ {keys} }}\n"),
        &[(&format!("origins.app{path}"), message, help)],
    );
}

#[test]
fn what_is_not_yaml_is_refused_at_its_place() {
    check("sites: ▸[", &[("", "not YAML", "")]);
    check("sites:\n  a: 1\n▸ b: 2\n", &[("", "not YAML", "")]);
    check("a: ▸*nothing", &[("", "not YAML", "")]);
    check(
        &format!("{APP}{SITE}▸---\nsites: {{}}\n"),
        &[("", "a second YAML document", "file of its own")],
    );
    check("? ▸[a, b]\n: c\n", &[("", "a key must be text", "")]);
    check("▸5", &[("", "expected a mapping, found the number 5", "")]);
}

#[test]
fn a_policy_without_sites_is_refused() {
    for text in ["", "# nothing\n", "version: 1\n", "sites: {}"] {
        let errors = read(text).unwrap_err();
        assert!(
            errors.len() == 1 && errors[0].message == "there are no sites",
            "{text:?} {errors:?}"
        );
    }
    let errors = validate(&Bundle::new(Vec::new()), &SiteIds::standalone()).unwrap_err();
    assert_eq!(errors[0].message, "there are no sites");
}

#[test]
fn unknown_keys_name_the_nearest() {
    check(
        &format!("▸orgins: {{}}\n{APP}{SITE}"),
        &[("orgins", "unknown key `orgins`", "did you mean `origins`?")],
    );
    in_route(
        "▸chache: true",
        "chache",
        "unknown key `chache`",
        "did you mean `cache`?",
    );
    in_route(
        "cache: { ▸stale-if-error: 1h }",
        "cache.stale-if-error",
        "unknown key",
        "`stale_if_error`",
    );
    in_route(
        "timeouts: { ▸xyz: 1s }",
        "timeouts.xyz",
        "unknown key",
        "known keys: between_bytes, connect",
    );
    in_origin(
        "url: \"http://a\", ▸wieght: 1",
        ".wieght",
        "unknown key",
        "`weight`",
    );
    check(
        &format!("{APP}{SITE}▸\"\": 1\n"),
        &[("\"\"", "unknown key", "known keys")],
    );
}

#[test]
fn keys_that_are_there_twice_name_the_first() {
    check(
        &format!("{APP}{SITE}▸origins: {{}}\n"),
        &[("origins", "`origins` is written twice", "line 1")],
    );
    in_route(
        "cache: { ttl: 1s, ▸ttl: 2s }",
        "cache.ttl",
        "`ttl` is written twice",
        "line 6",
    );
    let errors =
        read("origins:\n  a: { url: \"http://a\" }\n  a: { url: \"http://b\" }\n").unwrap_err();
    assert_eq!(
        (errors[1].line, errors[1].path.as_str()),
        (3, "origins.a"),
        "{errors:?}"
    );
}

#[test]
fn missing_keys_are_named_at_their_owner() {
    in_origin_missing();
    check(
        &format!("{APP}sites: {{ ▸main: {{ routes: [ {{ origins: [app] }} ] }} }}\n"),
        &[("sites.main", "`hosts` is missing", "a list")],
    );
    in_route(
        "rate_limits: [ ▸{ burst: 1 } ]",
        "rate_limits[0]",
        "`rate` is missing",
        "a rate like 100/s",
    );
    check(
        &with_routes("▸{ match: { path: /a } }"),
        &[(
            "sites.main.routes[0]",
            "neither `origins` nor `redirect`",
            "add `origins: [NAME]`",
        )],
    );
}

#[track_caller]
fn in_origin_missing() {
    check(
        &format!("{SITE}origins: {{ ▸app: {{ weight: 1 }} }}\n"),
        &[(
            "origins.app",
            "`url` is missing",
            "a URL like http://127.0.0.1:9001",
        )],
    );
}

#[test]
fn wrong_types_say_what_was_expected() {
    in_route(
        "cache: { ttl: ▸30 }",
        "cache.ttl",
        "the duration `30` has no unit",
        "30s",
    );
    in_route(
        "cache: { object_max: ▸1000 }",
        "cache.object_max",
        "the size `1000` has no unit",
        "64KiB",
    );
    in_route(
        "cache: { ttl: ▸[1s] }",
        "cache.ttl",
        "expected a duration like 30s, found a list",
        "",
    );
    in_route(
        "cache: ▸yes",
        "cache",
        "expected true or false or a mapping, found the text `yes`",
        "write `true`",
    );
    in_route(
        "auth: ▸",
        "auth",
        "expected a mapping with `jwt`, found nothing",
        "leave the key out",
    );
    in_route(
        "match: { headers: { x-beta: ▸1 } }",
        "match.headers.x-beta",
        "found the number 1",
        "write \"1\"",
    );
    in_route(
        "match: { https: ▸\"true\" }",
        "match.https",
        "expected true or false",
        "",
    );
    in_route(
        "match: ▸/a",
        "match",
        "expected a mapping, found the text `/a`",
        "",
    );
    in_route(
        "access: { allow: ▸[] }",
        "access.allow",
        "this list is empty",
        "at least one",
    );
    in_route(
        "limits: { retries: ▸1.5 }",
        "limits.retries",
        "expected a whole number, found the number 1.5",
        "",
    );
    in_origin(
        "url: \"http://a\", weight: ▸two",
        ".weight",
        "expected a whole number",
        "",
    );
    check(
        &format!("{APP}{SITE}edge: ▸!x {{}}\n"),
        &[("", "the tag `!x` means nothing", "leave it out")],
    );
}

#[test]
fn wrong_words_name_the_nearest() {
    in_route(
        "redirect: ▸http",
        "redirect",
        "`http` is not known here",
        "`https`",
    );
    in_route(
        "cache: { key: { query: ▸non } }",
        "cache.key.query",
        "`non` is not known here",
        "`none`",
    );
    in_route(
        "rate_limits: [{ rate: 1/s, key: ▸ip }]",
        "rate_limits[0].key",
        "`ip` is not known",
        "known words: address",
    );
    in_route(
        "access: { deny: FR, otherwise: ▸alow }",
        "access.otherwise",
        "`alow` is not known here",
        "did you mean `allow`?",
    );
    check(
        &format!("{APP}{SITE}edge: {{ client_address_header: ▸x-forwarded }}\n"),
        &[(
            "edge.client_address_header",
            "not known here",
            "`x-forwarded-for`",
        )],
    );
}

#[test]
fn impossible_numbers_are_refused() {
    check(
        &format!("version: ▸2\n{APP}{SITE}"),
        &[("version", "2 is too large", "it must be 1")],
    );
    in_origin(
        "url: \"http://a\", weight: ▸0",
        ".weight",
        "0 is too small",
        "from 1 to 65535",
    );
    in_origin(
        "url: \"http://a\", place: { latitude: ▸90.5, longitude: 0 }",
        ".place.latitude",
        "too large",
        "-90 to 90",
    );
    in_origin(
        "url: \"http://a\", place: { latitude: 0, longitude: ▸-181 }",
        ".place.longitude",
        "too small",
        "180",
    );
    in_origin("url: ▸\"http://a:0\"", ".url", "port 0", "1 to 65535");
    in_origin("url: ▸\"http://a:70000\"", ".url", "not a URL", "");
    in_origin(
        "url: \"http://a\", health: { healthy_after: ▸0 }",
        ".health.healthy_after",
        "too small",
        "",
    );
    in_origin(
        "url: \"http://a\", health: { interval: ▸0s }",
        ".health.interval",
        "can't be 0",
        "",
    );
    in_origin(
        "url: \"http://a\", health: { expect: [▸600] }",
        ".health.expect[0]",
        "too large",
        "100 to 599",
    );
    in_origin(
        "url: \"http://a\", health: { expect: ▸9xx }",
        ".health.expect",
        "not a status code",
        "4xx",
    );
    in_route(
        "rate_limits: [{ rate: ▸0/s }]",
        "rate_limits[0].rate",
        "a rate of 0",
        "at least 1",
    );
    in_route(
        "rate_limits: [{ rate: 1/s, burst: ▸0 }]",
        "rate_limits[0].burst",
        "too small",
        "from 1",
    );
    in_route(
        "timeouts: { connect: ▸-1s }",
        "timeouts.connect",
        "can't be negative",
        "",
    );
    in_route(
        "timeouts: { connect: ▸0s }",
        "timeouts.connect",
        "can't be 0",
        "",
    );
    in_route(
        "limits: { retries: ▸11 }",
        "limits.retries",
        "too large",
        "10",
    );
    in_route(
        "cache: { min_ttl: ▸5m, max_ttl: 1m }",
        "cache.min_ttl",
        "longer than `max_ttl`",
        "",
    );
    in_route(
        "cache: { object_max: ▸0B }",
        "cache.object_max",
        "would store nothing",
        "cache: false",
    );
    in_route(
        "cache: { ttl: ▸4000d }",
        "cache.ttl",
        "longer than ten years",
        "3650d",
    );
}

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
        support::good(&with_routes(reachable));
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
fn tokens_are_verified_by_one_key_of_one_kind() {
    let secret = "0123456789abcdef0123456789abcdef";
    let jwt = |keys: &str| format!("auth: {{ jwt: {{ {keys} }} }}");
    let refused = |keys: &str, path: &str, message: &str, help: &str| {
        in_route(&jwt(keys), path, message, help)
    };
    refused(
        &format!("algorithms: [HS256, ▸RS256], secret: {secret}"),
        "auth.jwt.algorithms[1]",
        "RS256 needs an RSA key, but the key is a `secret`",
        "HS256, HS384, HS512",
    );
    refused(
        "algorithms: [HS256], secret: ▸short",
        "auth.jwt.secret",
        "5 bytes",
        "at least 32",
    );
    refused(
        &format!("algorithms: [▸none], secret: {secret}"),
        "auth.jwt.algorithms[0]",
        "`none` is not known",
        "",
    );
    refused(
        &format!("algorithms: ▸[], secret: {secret}"),
        "auth.jwt.algorithms",
        "empty",
        "",
    );
    check(
        &with_route(&jwt("algorithms: [HS256]").replace("jwt:", "▸jwt:")),
        &[(
            "sites.main.routes[0].auth.jwt",
            "there is no key",
            "public_key",
        )],
    );
    refused(
        "algorithms: [RS256], ▸public_key_file: a.pem",
        "auth.jwt.public_key_file",
        "a key from a file is not supported",
        "public_key: |",
    );
    refused(
        "algorithms: [RS256], public_key: ▸abc",
        "auth.jwt.public_key",
        "does not begin as PEM",
        "BEGIN PUBLIC KEY",
    );
    refused(
        &format!("algorithms: [HS256], secret: {secret}, from: [▸{{ cookie: a, ▸header: b }}]")
            .replace("▸{", "{"),
        "auth.jwt.from[0].header",
        "`header` does not go together with `cookie`",
        "keep one",
    );
    in_route(
        "rate_limits: [{ rate: 1/s, key: ▸{ claim: sub } }]",
        "rate_limits[0].key",
        "this route has no `auth`",
        "count by `address`",
    );
}

#[test]
fn public_keys_are_read_before_an_edge_has_to() {
    let cases = [
        ("RS256", include_str!("keys/rsa-2048.pem"), ""),
        ("PS512", include_str!("keys/rsa-2048.pem"), ""),
        ("RS256", include_str!("keys/rsa-pkcs1.pem"), ""),
        ("ES256", include_str!("keys/p256.pem"), ""),
        ("ES384", include_str!("keys/p384.pem"), ""),
        ("EdDSA", include_str!("keys/ed25519.pem"), ""),
        (
            "ES256",
            include_str!("keys/p384.pem"),
            "ES256 needs a P-256 key, but the key is a P-384 key",
        ),
        (
            "HS256",
            include_str!("keys/rsa-2048.pem"),
            "HS256 needs a `secret`, but the key is an RSA key",
        ),
        (
            "EdDSA",
            include_str!("keys/p256.pem"),
            "EdDSA needs an Ed25519 key",
        ),
        (
            "RS256",
            include_str!("keys/rsa-1024.pem"),
            "an RSA key of 1024 bits",
        ),
        (
            "ES384",
            include_str!("keys/p521.pem"),
            "no algorithm here uses a key of this kind",
        ),
        (
            "ES384",
            include_str!("keys/certificate.pem"),
            "this is a certificate",
        ),
        (
            "RS256",
            "-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----\n",
            "not base64",
        ),
        (
            "RS256",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "not a public key",
        ),
        (
            "RS256",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n",
            "there is no -----END PUBLIC KEY-----",
        ),
        (
            "RS256",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "this is a private key",
        ),
    ];
    for (algorithm, pem, expected) in cases {
        let quoted = serde_json::to_string(pem).unwrap();
        let outcome = read(&with_route(&format!(
            "auth: {{ jwt: {{ algorithms: [{algorithm}], public_key: {quoted} }} }}"
        )));
        match outcome {
            Ok(_) => assert_eq!(expected, "", "{algorithm} {pem}"),
            Err(errors) => {
                assert!(
                    !expected.is_empty() && errors.len() == 1,
                    "{algorithm} {pem} {errors:?}"
                );
                assert!(
                    errors[0].message.contains(expected),
                    "{expected}: {errors:?}"
                );
            }
        }
    }
}

#[test]
fn secrets_are_not_shown() {
    let secret = "correct horse battery";
    for text in [
        with_route(&format!("auth: {{ jwt: {{ algorithms: [HS257], secret: {secret} }} }}")),
        with_route(&format!("auth:\n          jwt:\n            algorithms: [HS256]\n            secret:\n              {secret}\n"))
            .replace("{ origins: [app], ", "origins: [app]\n        "),
        format!("secret: {secret}\n a: b"),
    ] {
        let errors = read(&text).expect_err(&text);
        let told = format!("{}{errors:?}", render(&errors));
        assert!(!told.contains("horse"), "{told}");
    }
}

#[test]
fn limits_of_one_name_are_alike() {
    let routes = |second: &str| {
        format!(
            "{{ origins: [app], match: {{ path: /a }}, rate_limits: [{{ name: x, rate: 1/s }}] }}; \
             {{ origins: [app], rate_limits: [{{ {second} }}] }}"
        )
    };
    support::good(&with_routes(&routes("name: x, rate: 1/s")));
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
fn names_and_numbers_are_bounded() {
    let long = "a".repeat(65);
    check(
        &format!(
            "{APP}sites: {{ ▸{long}: {{ hosts: [\"*\"], routes: [ {{ origins: [app] }} ] }} }}\n"
        ),
        &[(
            format!("sites.{long}").as_str(),
            "a name of 65 characters",
            "at most 64",
        )],
    );
    in_route(
        &format!("rate_limits: ▸[{}]", "{ rate: 1/s },".repeat(17)),
        "rate_limits",
        "17 are too many",
        "at most 16",
    );
}

#[test]
fn sections_of_several_files_merge_and_duplicates_name_both() {
    let file = |name: &str, text: &str| File {
        name: name.into(),
        text: text.into(),
    };
    let site = |name: &str, host: &str| {
        format!("sites:\n  {name}: {{ hosts: [{host}], routes: [ {{ origins: [app] }} ] }}\n")
    };
    let merged = Bundle::new(vec![
        file("b.yaml", &site("b", "b.example")),
        file("a.yaml", &site("a", "a.example")),
        file("origins.yaml", APP),
        file("empty.yaml", "# nothing yet\n"),
    ]);
    let policy = validate(&merged, &SiteIds::standalone())
        .unwrap_or_else(|errors| panic!("{}", render(&errors)));
    assert_eq!(
        policy
            .sites
            .iter()
            .map(|site| &*site.name)
            .collect::<Vec<_>>(),
        ["a", "b"]
    );

    let twice = Bundle::new(vec![
        file("a.yaml", &format!("{APP}{}", site("a", "a.example"))),
        file("b.yaml", &format!("{APP}{}", site("b", "a.example"))),
    ]);
    let errors = validate(&twice, &SiteIds::standalone()).unwrap_err();
    let told: Vec<_> = errors
        .iter()
        .map(|error| (error.file.as_str(), error.line, error.message.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("b.yaml", 1, "`app` is written twice"),
            ("b.yaml", 3, "the site `a` already answers for this host"),
        ]
    );
    assert!(
        errors
            .iter()
            .all(|error| error.help.as_deref().unwrap().contains("a.yaml:")),
        "{errors:?}"
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

#[test]
fn all_errors_are_told_at_once_as_compilers_tell_them() {
    let text = "\
version: 1
origins:
  paris: { url: http://127.0.0.1:9001, weight: 0 }
sites:
  shop:
    hosts: [shop.example]
    routes:
      - name: static
        match: { path: static/** }
        origins: [pariss]
        cache: { tll: 5m, default_ttl: 30 }
  shop: {}
";
    let errors = read(text).unwrap_err();
    let told = render(&errors);
    let expected = "\
error: 0 is too small
  --> policy.yaml:3:48 (origins.paris.weight)
   |
 3 |   paris: { url: http://127.0.0.1:9001, weight: 0 }
   |                                                ^
   = help: from 1 to 65535

error: the path `static/**` does not start with `/` or `*`
  --> policy.yaml:9:24 (sites.shop.routes[0].match.path)
   |
 9 |         match: { path: static/** }
   |                        ^
   = help: write `/static/**`

error: there is no origin `pariss`
  --> policy.yaml:10:19 (sites.shop.routes[0].origins[0])
   |
10 |         origins: [pariss]
   |                   ^
   = help: did you mean `paris`?

error: unknown key `tll`
  --> policy.yaml:11:18 (sites.shop.routes[0].cache.tll)
   |
11 |         cache: { tll: 5m, default_ttl: 30 }
   |                  ^
   = help: did you mean `ttl`?

error: the duration `30` has no unit
  --> policy.yaml:11:40 (sites.shop.routes[0].cache.default_ttl)
   |
11 |         cache: { tll: 5m, default_ttl: 30 }
   |                                        ^
   = help: units are ms, s, m, h and d: 500ms, 30s, 5m, 1h, 7d

error: `shop` is written twice
  --> policy.yaml:12:3 (sites.shop)
   |
12 |   shop: {}
   |   ^
   = help: the first one is in line 5; keep one of them

6 errors
";
    assert_eq!(told, expected);
}
