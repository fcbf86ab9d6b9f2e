//! Where redirects point.

use crate::house::Asking;
use latencify_conf::policy::{Redirect, RedirectTo};
use latencify_decide::redirect::location;
use proptest::prelude::*;

fn url(template: &str) -> RedirectTo {
    RedirectTo::Url(template.to_owned())
}

fn found(to: RedirectTo, asking: &Asking) -> String {
    let redirect = Redirect { status: 308, to };
    location(&redirect, &asking.facts())
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

#[test]
fn placeholders_are_filled_once() {
    let check = |to: RedirectTo, host: &str, target: &str, expected: &str| {
        assert_eq!(found(to, &Asking::get(host, target)), expected);
    };
    check(
        RedirectTo::Https { port: 443 },
        "a.example",
        "/p?q=1",
        "https://a.example/p?q=1",
    );
    check(
        RedirectTo::Https { port: 8443 },
        "a.example",
        "/p",
        "https://a.example:8443/p",
    );
    check(
        RedirectTo::Https { port: 8443 },
        "[2001:db8::1]",
        "/",
        "https://[2001:db8::1]:8443/",
    );
    check(
        url("https://new.example{path}{query}"),
        "a.example",
        "/p?q",
        "https://new.example/p?q",
    );
    check(
        url("https://new.example{path}{query}"),
        "a.example",
        "/p",
        "https://new.example/p",
    );
    check(
        url("https://www.{host}/"),
        "a.example",
        "/p?q",
        "https://www.a.example/",
    );
    check(url("/fixed"), "a.example", "/p?q", "/fixed");
    check(
        url("/{unknown}/{path"),
        "a.example",
        "/p",
        "/%7Bunknown%7D/%7Bpath",
    );
    check(url("{path}"), "a.example", "/{query}?x", "/%7Bquery%7D");
}

#[test]
fn a_client_neither_chooses_the_host_nor_ends_the_line() {
    let check = |template: &str, path: &str, expected: &str| {
        let asking = Asking {
            path: path.to_owned(),
            ..Asking::get("a.example", "/")
        };
        assert_eq!(found(url(template), &asking), expected, "{template} {path}");
    };
    check("{path}", "//evil.example/x", "/evil.example/x");
    check("/{path}", "/evil.example", "/evil.example");
    check("{path}", "/\\evil.example", "/%5Cevil.example");
    check("{path}", "/a\r\nSet-Cookie: x", "/a%0D%0ASet-Cookie:%20x");
    check("//cdn.example{path}", "/a", "//cdn.example/a");
    check("https://n.example{path}", "//a", "https://n.example//a");
}

proptest! {
    #[test]
    fn a_location_is_always_a_clean_header(path in "/\\PC{0,30}", query in proptest::option::of("\\PC{0,30}")) {
        let asking = Asking { path, query, ..Asking::get("a.example", "/") };
        let text = found(url("{path}{query}"), &asking);
        prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert!(text.starts_with('/') && !text.starts_with("//"));
    }
}
