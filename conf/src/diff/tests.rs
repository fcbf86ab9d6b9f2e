use super::*;
use crate::{
    bundle::Bundle,
    validate::{SiteIds, validate},
};

const BEFORE: &str = r"
version: 1
origins:
  app: { url: 'http://app.internal:8080' }
  old: { url: 'http://old.internal:8080' }
sites:
  shop:
    hosts: [shop.example]
    routes:
      - name: images
        match: { path: /img/** }
        origins: [app]
        cache: { ttl: 1m }
      - match: { path: /api/** }
        auth: { jwt: { algorithms: [HS256], secret: 0123456789abcdef0123456789abcdef } }
        request_headers: { set: { x-origin-pass: hunter2-hunter2 } }
        rate_limits: [{ name: all, key: address, rate: 10/s }]
        origins: [app]
      - origins: [old]
  gone:
    hosts: [gone.example]
    routes: [{ origins: [old] }]
";

fn policy(text: &str) -> Policy {
    let bundle = Bundle::single("shop.yaml", text);
    validate(&bundle, &SiteIds::standalone())
        .unwrap_or_else(|errors| panic!("{}", crate::validate::render(&errors)))
}

fn lines(before: &str, after: &str) -> Vec<String> {
    let diff = PolicyDiff::between(Some(&policy(before)), &policy(after));
    diff.changes.iter().map(ToString::to_string).collect()
}

/// Replaces a text that must be there.
fn with(text: &str, to: &str) -> String {
    assert!(BEFORE.contains(text), "{text}");
    BEFORE.replacen(text, to, 1)
}

#[test]
fn what_is_obeyed_alike_does_not_differ() {
    let as_written_otherwise = [
        with("ttl: 1m", "ttl: 60s"),
        format!("# a comment\n{BEFORE}"),
        with("      - origins: [old]", "      - { origins: [ old ] }"),
    ];
    for text in as_written_otherwise {
        assert_eq!(lines(BEFORE, &text), [""; 0], "{text}");
    }
}

#[test]
fn each_change_is_told_once_where_it_is_and_from_what_to_what() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "cache: { ttl: 1m }",
            "cache: { ttl: 5m, key: { device: true } }",
            &[
                "~ site shop / route images / cache / ttl override: 1m -> 5m",
                "~ site shop / route images / cache / key device: no -> yes",
            ],
        ),
        (
            "        cache: { ttl: 1m }\n",
            "",
            &["- site shop / route images / cache: for 1m"],
        ),
        (
            "rate: 10/s",
            "rate: 20/s",
            &[
                "~ site shop / route /api/** / limit all / rate: 10 in 1s -> 20 in 1s",
                "~ site shop / route /api/** / limit all / burst: 10 -> 20",
            ],
        ),
        (
            "url: 'http://app.internal:8080'",
            "url: 'https://app.internal:8443'",
            &["~ origin app / address: http://app.internal:8080 -> https://app.internal:8443"],
        ),
        (
            "      - name: images",
            "      - { match: { path: /new }, origins: [app] }\n      - name: images",
            &["+ site shop / route /new: /new: to nearest of app, not cached"],
        ),
        (
            "version: 1",
            "version: 1\nedge: { limits: { streams: 64 } }",
            &["~ edge / limit streams: 128 -> 64"],
        ),
        (
            "  gone:\n    hosts: [gone.example]\n    routes: [{ origins: [old] }]\n",
            "",
            &["- site gone: gone.example; 1 route"],
        ),
    ];
    for (text, to, expected) in cases {
        assert_eq!(lines(BEFORE, &with(text, to)), *expected, "{to}");
    }
}

#[test]
fn a_secret_that_differs_is_told_and_not_shown() {
    let key = "0123456789abcdef0123456789abcdef";
    let changed = with(key, "another-0123456789abcdef-0123456789")
        .replace("hunter2-hunter2", "correct-horse");
    let told = lines(BEFORE, &changed);
    let hidden = "value (not shown)";
    assert_eq!(
        told,
        [
            format!(
                "~ site shop / route /api/** / request header set 1: x-origin-pass: {hidden} -> another x-origin-pass: {hidden}"
            ),
            "~ site shop / route /api/** / auth / key: shared secret (not shown) -> another shared secret (not shown)"
                .to_owned(),
        ]
    );
    // Nor where the whole route comes or goes.
    let all = PolicyDiff::between(None, &policy(BEFORE));
    let json = serde_json::to_string(&all).unwrap() + &told.join("\n");
    for secret in [key, "hunter2", "correct-horse", "another-0123"] {
        assert!(!json.contains(secret), "{json}");
    }
}

#[test]
fn the_order_of_routes_is_told_because_it_decides() {
    let named = |name: &str| {
        format!("      - {{ name: {name}, match: {{ path: /{name} }}, origins: [app] }}\n")
    };
    let site = |routes: &[&str]| {
        let routes: String = routes.iter().map(|name| named(name)).collect();
        format!(
            "version: 1\norigins: {{ app: {{ url: 'http://a.internal' }} }}\nsites:\n  s:\n    hosts: [s.example]\n    routes:\n{routes}"
        )
    };
    assert_eq!(
        lines(&site(&["a", "b", "c"]), &site(&["b", "a", "c"])),
        ["~ site s / order of routes: route a, route b, route c -> route b, route a, route c"]
    );
    // What is new or gone between them is no other order.
    assert_eq!(
        lines(&site(&["a", "b"]), &site(&["c", "a", "b"])),
        ["+ site s / route c: /c: to nearest of app, not cached"]
    );
}

#[test]
fn what_is_told_is_bounded() {
    let sites: Vec<_> = (0..=CHANGES_MAX)
        .map(|n| format!("  s{n}: {{ hosts: [s{n}.example], routes: [{{ origins: [app] }}] }}\n"))
        .collect();
    let sites = sites.concat();
    let text =
        format!("version: 1\norigins: {{ app: {{ url: 'http://a.internal' }} }}\nsites:\n{sites}");
    let diff = PolicyDiff::between(None, &policy(&text));
    // The edge and the origin are new as well.
    assert_eq!((diff.changes.len(), diff.more), (CHANGES_MAX, 3));
    assert!(diff.to_string().ends_with("… and 3 more\n"));
}
