//! Policies that are refused: each error at its place, with the path, what is wrong and what to do.

mod cache;
mod limits;
mod meaning;
mod secrets;
mod structure;
#[path = "../support/mod.rs"]
mod support;
mod tokens;
mod yaml;

use latencify_conf::validate::render;
use support::{read, with_route};

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
    let Err(errors) = read(&marked.replace('▸', "")) else {
        panic!("accepted:\n{marked}")
    };
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
