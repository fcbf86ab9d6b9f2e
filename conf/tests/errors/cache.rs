//! What caching rules can't be.

use super::{check, in_route};
use crate::support::with_routes;

#[test]
fn values_of_a_rule() {
    let in_cache = |keys: &str, path: &str, message: &str, help: &str| {
        in_route(
            &format!("cache: {{ {keys} }}"),
            &format!("cache.{path}"),
            message,
            help,
        );
    };
    in_cache("set_cookie: ▸sotre", "set_cookie", "sotre", "store");
    in_cache(
        "cdn_cache_control: ▸drop",
        "cdn_cache_control",
        "drop",
        "strip",
    );
    in_cache("disk: ▸sometimes", "disk", "sometimes", "second_hit");
    in_cache(
        "heuristic: { fraction: ▸0 }",
        "heuristic.fraction",
        "too small",
        "from 0.001 to 1",
    );
    in_cache(
        "heuristic: { fraction: ▸1.5 }",
        "heuristic.fraction",
        "too large",
        "from 0.001 to 1",
    );
    in_cache(
        "heuristic: { max: ▸0s }",
        "heuristic.max",
        "can't be 0",
        "1ms",
    );
    in_cache(
        "cache_status: { ▸keys: true }",
        "cache_status.keys",
        "unknown key `keys`",
        "did you mean `key`?",
    );
    in_cache(
        "▸grace: 1m, stale_if_error: 1h, stale_while_revalidate: 5s",
        "grace",
        "no effect",
        "leave it out",
    );
    in_cache(
        "forward_headers: [x-a, ▸Connection]",
        "forward_headers[1]",
        "`connection` can't be forwarded",
        "belongs to the connection",
    );
    in_cache(
        "forward_headers: [▸X-Forwarded-Host]",
        "forward_headers[0]",
        "can't be forwarded",
        "the edge writes it",
    );
}

#[test]
fn routes_that_would_answer_each_others_requests() {
    let mixed = |routes: &str, what: &str, remedy: &str| {
        check(
            &with_routes(routes),
            &[(
                "sites.main.routes[1].cache",
                &format!("what `one` stores would be sent for this route: {what}"),
                remedy,
            )],
        );
    };
    let header = "the header `x-beta` tells their requests apart";
    let add = "add `x-beta` to `cache.key.headers` of both";
    for condition in ["present", "absent", "\"yes\"", "\"y*\""] {
        mixed(
            &format!(
                "{{ name: one, origins: [app], match: {{ headers: {{ X-Beta: {condition} }} }}, cache: true }}; \
                 {{ origins: [other], ▸cache: true }}"
            ),
            header,
            add,
        );
    }
    for (first, second) in [
        ("/a/**", "/a/b"),
        ("/a/b", "/a/**"),
        ("/a/**", "/**"),
        ("/**", "/a/**"),
        ("\"*.css\"", "/a/**"),
        ("/a/b.css", "\"*.css\""),
        ("\"/a/*\"", "\"*/b\""),
    ] {
        mixed(
            &format!(
                "{{ name: one, origins: [app], match: {{ path: {first}, headers: {{ x-beta: present }} }}, cache: true }}; \
                 {{ origins: [other], match: {{ path: [/x, {second}] }}, ▸cache: true }}"
            ),
            header,
            add,
        );
    }
    // Other differences of what the origin is asked.
    for other in [
        "rewrite: { path: /index.html }",
        "request_headers: { set: { x-a: b } }",
    ] {
        mixed(
            &format!(
                "{{ name: one, origins: [app], match: {{ headers: {{ x-beta: present }} }}, cache: true, {other} }}; \
                 {{ origins: [app], ▸cache: true }}"
            ),
            header,
            add,
        );
    }
    // One header of two is in the keys; or only in one that has the same parts otherwise.
    mixed(
        "{ name: one, origins: [app], match: { headers: { x-alpha: a, x-beta: b } }, cache: { key: { headers: [x-alpha] } } }; \
         { origins: [other], ▸cache: { key: { headers: [x-alpha] } } }",
        header,
        add,
    );
    mixed(
        "{ name: one, origins: [app], match: { methods: GET }, cache: true }; \
         { origins: [other], match: { methods: [HEAD, POST] }, ▸cache: true }",
        "the method tells their requests apart",
        "let one take GET and HEAD",
    );
}
