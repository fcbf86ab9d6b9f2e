//! Text, files and what is shown of them.

use super::{APP, SITE, check, in_route};
use crate::support::{read, with_route};
use latencify_conf::{
    bundle::{Bundle, File},
    validate::{SiteIds, render, validate},
};
#[test]
fn what_is_not_yaml_is_refused_at_its_place() {
    check(
        &format!("# a\r\n▸bad: 1\r\n▸worse: 1\r\n{APP}{SITE}"),
        &[("bad", "unknown key", ""), ("worse", "unknown key", "")],
    );
    check("sites: ▸[", &[("", "not YAML", "")]);
    check("sites:\n  a: 1\n ▸b: 2\n", &[("", "not YAML", "")]);
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
