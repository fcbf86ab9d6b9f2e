//! `Vary` and variants.

use crate::house::headers;
use http::HeaderName;
use latencify_decide::vary::{NAMES_MAX, Vary, variance};

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
    check(&["a, *"], Vary::Everything);
    check(&["*"], Vary::Everything);
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
