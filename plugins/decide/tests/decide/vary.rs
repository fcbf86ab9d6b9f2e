//! `Vary` and variants.

use crate::house::headers;
use http::HeaderName;
use latencify_decide::vary::{NAMES_MAX, Variant, Vary, choose, variance};
use proptest::prelude::*;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn fields(names: &[&'static str]) -> Vary {
    Vary::Fields(
        names
            .iter()
            .map(|name| HeaderName::from_static(name))
            .collect(),
    )
}

#[test]
fn vary_names_fields_nothing_or_everything() {
    let check = |lines: &[&str], expected: Vary| {
        let map = headers(&lines.iter().map(|line| ("vary", *line)).collect::<Vec<_>>());
        assert_eq!(Vary::of(&map), expected, "{lines:?}");
    };
    check(&[], Vary::Nothing);
    check(&[""], Vary::Nothing);
    check(&["Accept-Encoding"], fields(&["accept-encoding"]));
    check(&["b, A", "a,,B"], fields(&["a", "b"]));
    check(&["a", "B"], fields(&["a", "b"]));
    for star in [
        &["*"][..],
        &["a, *"],
        &["*, a"],
        &["*, *"],
        &["*", "*"],
        &[", *"],
        &["", "*"],
        &["a", "*"],
        &["*", "a"],
    ] {
        check(star, Vary::Everything);
    }
    check(&["not a name"], Vary::Everything);
    let many: Vec<_> = (0..=NAMES_MAX).map(|n| format!("x-{n}")).collect();
    check(&[&many.join(",")], Vary::Everything);
    check(&[&many[1..].join(",")], {
        let mut names: Vec<HeaderName> =
            many[1..].iter().map(|name| name.parse().unwrap()).collect();
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        Vary::Fields(names)
    });
}

#[test]
fn variants_ignore_white_space_and_lines_but_nothing_else() {
    let names = [
        HeaderName::from_static("accept"),
        HeaderName::from_static("x"),
    ];
    let check = |a: &[(&'static str, &str)], b: &[(&'static str, &str)], same: bool| {
        assert_eq!(
            variance(&names, &headers(a)) == variance(&names, &headers(b)),
            same,
            "{a:?} {b:?}"
        );
    };
    check(&[("accept", "a,b")], &[("accept", " a ,  b")], true);
    check(
        &[("accept", "a, b")],
        &[("accept", "a"), ("accept", "b")],
        true,
    );
    check(&[("accept", "a")], &[("accept", "a"), ("other", "1")], true);
    check(&[("accept", "a")], &[("accept", "A")], false);
    check(&[("accept", "a, b")], &[("accept", "b, a")], false);
    check(&[("accept", "")], &[], false);
    check(&[("accept", "a")], &[("x", "a")], false);
}

#[test]
fn values_that_are_known_to_mean_the_same_are_one_variant() {
    let check = |what: &str, name: &'static str, a: &str, b: &str, same: bool| {
        let names = [HeaderName::from_static(name)];
        let of = |value| variance(&names, &headers(&[(name, value)]));
        assert_eq!(of(a) == of(b), same, "{what}: {a} / {b}");
    };
    let ae = "accept-encoding";
    check("order", ae, "gzip, br", "br, gzip", true);
    check("case", ae, "GZip", "gzip", true);
    check("RFC 9110 §8.4.1.3", ae, "x-gzip", "gzip", true);
    check(
        "q=1 is nothing",
        ae,
        "gzip;q=1.000, br",
        "gzip, br; q=1",
        true,
    );
    check("q in digits", ae, "gzip;q=0.5", "gzip;Q=0.500", true);
    check("twice is once", ae, "gzip, gzip", "gzip", true);
    check("another q", ae, "gzip;q=0.5", "gzip", false);
    check("q=0 is a refusal", ae, "gzip, br;q=0", "gzip", false);
    check("another coding", ae, "gzip", "br", false);
    check("a coding more", ae, "gzip, br", "gzip", false);
    check("identity is a coding", ae, "identity", "", false);
    check(
        "a q that is none stays as it is",
        ae,
        "gzip;q=2",
        "gzip",
        false,
    );
    check(
        "a q of four digits too",
        ae,
        "gzip;q=0.5000",
        "gzip;q=0.5",
        false,
    );
    check(
        "a q that looks like another",
        ae,
        "a;q=0.5",
        "a;q=500",
        false,
    );
    let al = "accept-language";
    check("RFC 5646 §2.1.1 case", al, "en-GB, fr", "en-gb,FR", true);
    check("q=1 is nothing", al, "en;q=1.0", "en", true);
    check("order by q", al, "fr;q=0.5, en", "en, fr;q=0.50", true);
    check(
        "§12.5.4 order of one q may count",
        al,
        "en, fr",
        "fr, en",
        false,
    );
    check("another q", al, "en, fr;q=0.5", "en, fr;q=0.6", false);
    check(
        "other fields as they are: case",
        "accept",
        "text/HTML",
        "text/html",
        false,
    );
    check(
        "other fields as they are: q",
        "accept",
        "a/b;q=1",
        "a/b",
        false,
    );
}

#[test]
fn the_most_recent_of_those_that_match_is_chosen() {
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let stored = |vary: &str, request: &[(&'static str, &str)], date| -> (Variant, SystemTime) {
        let variant = Variant::of(&headers(&[("vary", vary)]), &headers(request));
        (variant.unwrap(), at(date))
    };
    let check = |what: &str,
                 stored: &[(Variant, SystemTime)],
                 request: &[(&'static str, &str)],
                 expected: Option<usize>| {
        let found = choose(
            stored.iter().map(|(variant, date)| (variant, *date)),
            &headers(request),
        );
        assert_eq!(found, expected, "{what}");
    };
    let by_foo = [
        stored("foo", &[("foo", "1")], 1),
        stored("foo", &[("foo", "2")], 2),
        stored("foo", &[], 3),
    ];
    check("§4.1 equal", &by_foo, &[("foo", "1")], Some(0));
    check("another", &by_foo, &[("foo", "2")], Some(1));
    check("§4.1 absent in both", &by_foo, &[], Some(2));
    check("none", &by_foo, &[("foo", "3")], None);
    check(
        "§4.1 other fields don't count",
        &by_foo,
        &[("foo", "1"), ("bar", "9")],
        Some(0),
    );
    // The origin named other fields each time.
    let mixed = [
        stored("", &[], 5),
        stored("foo", &[("foo", "1")], 7),
        stored("foo, bar", &[("foo", "1"), ("bar", "1")], 6),
    ];
    check(
        "§4.1 the most recent of three",
        &mixed,
        &[("foo", "1"), ("bar", "1")],
        Some(1),
    );
    check(
        "§4.1 of the one that is left",
        &mixed,
        &[("bar", "1")],
        Some(0),
    );
    let twice = [stored("", &[], 5), stored("", &[], 5)];
    check("the later of equally recent ones", &twice, &[], Some(1));
    check("nothing stored", &[], &[], None);
    assert!(Variant::of(&headers(&[("vary", "*")]), &headers(&[])).is_none());
}

proptest! {
    #[test]
    fn no_value_panics_and_equal_values_are_one_variant(value in "[a-zA-Z0-9*;=,. -]{0,40}") {
        for name in ["accept-encoding", "accept-language", "accept"] {
            let request = headers(&[(name, &value)]);
            let names = [HeaderName::from_static(name)];
            prop_assert_eq!(variance(&names, &request), variance(&names, &request.clone()));
        }
    }
}
