//! Whatever is thrown at validation, it ends, in time and memory, with a policy or with errors.

mod support;

use latencify_conf::validate::render;
use proptest::prelude::*;
use std::{fmt::Write as _, time::Instant};
use support::{good, read};

const PIECES: &[&str] = &[
    "origins",
    "sites",
    "routes",
    "hosts",
    "app",
    "url",
    "http://a:1",
    "cache",
    "match",
    "path",
    "/a/**",
    "\"*\"",
    "true",
    "30s",
    "5",
    "-1",
    "~",
    ": ",
    ":\n  ",
    "\n",
    "\n  ",
    "\n    - ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "&a ",
    "*a",
    "<<: *a",
    "!!str ",
    "|\n  ",
    "#",
    "'",
    "\"",
    "---\n",
    "? ",
    "\t",
    "\r\n",
    "\u{feff}",
    "é",
    "secret",
    "%",
    "@",
    "weighted",
    "redirect: https",
    "auth",
    "jwt",
    "public_key",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_ends_in_a_policy_or_errors(text in "\\PC{0,200}") {
        survives(&text);
    }

    #[test]
    fn any_bytes_end_in_a_policy_or_errors(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        survives(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn pieces_of_policies_in_any_order_end_in_a_policy_or_errors(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..60)
    ) {
        survives(&pieces.concat());
    }

    #[test]
    fn a_good_policy_with_a_damaged_middle_ends_in_a_policy_or_errors(
        at in 0..4000_usize, removed in 0..40_usize, added in proptest::sample::select(PIECES)
    ) {
        let text: Vec<char> = include_str!("../examples/05-api-gateway.yaml").chars().collect();
        let (start, end) = (at.min(text.len()), (at + removed).min(text.len()));
        let damaged: String = text[..start].iter().copied().chain(added.chars()).chain(text[end..].iter().copied()).collect();
        survives(&damaged);
    }
}

/// Errors are never none, have a message, and a place in the text.
fn survives(text: &str) {
    let Err(errors) = read(text) else { return };
    assert!(!errors.is_empty());
    assert!(
        errors.is_sorted_by_key(|error| (error.line, error.column)),
        "{text:?}"
    );
    for error in &errors {
        assert!(
            !error.message.is_empty() && !error.message.contains("defect"),
            "{text:?}\n{error:?}"
        );
    }
    assert!(!render(&errors).is_empty());
}

#[test]
fn twenty_thousand_routes_are_read_in_seconds() {
    let mut text = "origins: { app: { url: \"http://a\" } }\nsites:\n  main:\n    hosts: [\"*\"]\n    routes:\n".to_owned();
    for number in 0..20_000 {
        let _ = write!(
            text,
            "      - name: r{number}\n        match: {{ path: [/p/{number}/**, /q/{number}], methods: [GET, HEAD] }}\n        \
             origins: [app]\n        cache: {{ default_ttl: 30s, key: {{ query: {{ only: [a, b] }} }} }}\n        \
             response_headers: {{ set: {{ x-route: \"{number}\" }} }}\n"
        );
    }
    let start = Instant::now();
    assert_eq!(good(&text).sites[0].routes.len(), 20_000);
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn alias_bombs_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        let _ = writeln!(text, "a{level}: &a{level} [{aliases}]");
    }
    let errors = read(&text).unwrap_err();
    assert!(
        errors
            .iter()
            .any(|error| error.message.contains("aliases expanded")),
        "{}",
        render(&errors)
    );
}

#[test]
fn depth_is_bounded_with_and_without_aliases() {
    let flow = format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    let block: Vec<String> = (0..200)
        .map(|depth| {
            format!(
                "{}a:
",
                " ".repeat(depth)
            )
        })
        .collect();
    let mut chain = "a0: &a0 [x]\n".to_owned();
    for level in 1..200 {
        let _ = writeln!(chain, "a{level}: &a{level} [*a{}]", level - 1);
    }
    for text in [flow, block.concat(), chain] {
        let errors = read(&text).unwrap_err();
        let told = render(&errors);
        assert!(
            told.contains("nested deeper") || told.contains("not YAML"),
            "{told}"
        );
    }
    let errors = read("a: &a [*a]").unwrap_err();
    assert!(
        errors[0].message.contains("inside of what it names"),
        "{errors:?}"
    );
}

#[test]
fn a_thousand_errors_are_told_and_the_rest_counted() {
    let keys: Vec<String> = (0..1_500).map(|number| format!("k{number}: 1\n")).collect();
    let errors = read(&keys.concat()).unwrap_err();
    assert_eq!(errors.len(), 1_001);
    assert!(
        errors[1_000].message.contains("and 501 more errors"),
        "{:?}",
        errors[1_000]
    );
}

#[test]
fn errors_quote_little_of_a_huge_value() {
    let huge = "x".repeat(1_000_000);
    let text = format!("{huge}: 1\nversion: {huge}\norigins: {{ a: {{ url: {huge} }} }}\n");
    for error in read(&text).unwrap_err() {
        let told = render(std::slice::from_ref(&error));
        assert!(told.len() < 4_000, "{} bytes", told.len());
    }
}
