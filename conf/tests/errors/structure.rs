//! Keys, types, words and numbers.

use super::{APP, SITE, check, in_origin, in_route};
use crate::support::with_routes;
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
fn the_door_is_told_in_known_words() {
    let edge = |edge: &str, place, flaw, help| {
        check(
            &format!("edge: {edge}\n{APP}{SITE}"),
            &[(place, flaw, help)],
        );
    };
    edge(
        "{ proxy_protocol: { from: ▸[] } }",
        "edge.proxy_protocol.from",
        "empty",
        "",
    );
    edge(
        "{ ▸proxy_protocol: {} }",
        "edge.proxy_protocol",
        "`from` is missing",
        "",
    );
    edge(
        "{ proxy_protocol: { from: [▸balancer] } }",
        "edge.proxy_protocol.from[0]",
        "balancer",
        "10.0.0.0/8",
    );
    edge(
        "{ tls: { min_version: ▸\"1.1\" } }",
        "edge.tls.min_version",
        "1.1",
        "1.2",
    );
    edge(
        "{ tls: { min_version: ▸1.2 } }",
        "edge.tls.min_version",
        "the number 1.2",
        "write it in quotes: \"1.2\"",
    );
    for everybody in ["0.0.0.0/0", "::/0"] {
        edge(
            &format!("{{ proxy_protocol: {{ from: [10.0.0.0/8, ▸\"{everybody}\"] }} }}"),
            "edge.proxy_protocol.from[1]",
            everybody,
            "name the load balancers",
        );
    }
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
    // Columns count characters, not bytes.
    in_route(
        "match: { path: [/é, ▸b] }",
        "match.path[1]",
        "does not start with `/`",
        "write `/b`",
    );
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
        "auth▸:",
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
        "cache: { key: { query: ▸ALL } }",
        "cache.key.query",
        "`ALL` is not known here",
        "did you mean `all`?",
    );
    check(
        &with_routes("{ redirect: ▸http }"),
        &[(
            "sites.main.routes[0].redirect",
            "`http` is not known here",
            "`https`",
        )],
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
        &format!("{APP}{SITE}edge: {{ client_address_header: ▸x-forward-for }}\n"),
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
