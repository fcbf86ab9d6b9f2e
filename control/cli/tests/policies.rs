//! Policies and places without any server: validate, schema, explain, geo.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod harness;

use harness::{
    latencify, ran, root, run,
    shop::{SHOP, path, shop, written},
};
use serde_json::{Value, json};
use std::{fs, path::Path};

#[test]
fn a_good_policy_is_valid_as_file_and_as_folder() {
    let folder = shop();
    for path in [path(&folder, "shop.yaml"), path(&folder, "")] {
        run(&["policy", "validate", &path]).expect(0).says(&[
            "is valid",
            "1 site",
            "2 origins",
            "sha256:",
        ]);
    }
    let verdict = run(&["policy", "validate", &path(&folder, ""), "-o", "json"])
        .expect(0)
        .json();
    assert_eq!(
        (&verdict["valid"], &verdict["errors"]),
        (&json!(true), &json!([]))
    );
}

#[test]
fn every_error_of_a_bad_policy_is_shown_with_its_line() {
    let bad = SHOP
        .replace("rate_limits:", "rate_limit:")
        .replace("origins: [paris]", "origins: [pairs]");
    let folder = written(&[("shop.yaml", &bad)]);
    let file = path(&folder, "shop.yaml");
    let ran = run(&["policy", "validate", &file]).expect(1);
    assert_eq!(ran.out, "");
    ran.says(&[
        &format!("{file}:15:"),
        &format!("{file}:18:"),
        "rate_limits",
        "paris",
        "2 errors",
    ]);

    let verdict = run(&["policy", "validate", &file, "-o", "json"])
        .expect(1)
        .json();
    let lines: Vec<_> = verdict["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["line"].as_u64().unwrap())
        .collect();
    assert_eq!(
        (verdict["valid"].as_bool(), lines),
        (Some(false), vec![15, 18])
    );
}

#[test]
fn what_can_not_be_read_is_named() {
    let folder = written(&[("notes.txt", "x")]);
    fs::write(folder.path().join("latin.yaml"), b"a: \xe9").unwrap();
    run(&["policy", "validate", "/nonexistent/shop.yaml"])
        .expect(1)
        .says(&["/nonexistent/shop.yaml", "No such file"]);
    run(&["policy", "validate", &path(&folder, "latin.yaml")])
        .expect(1)
        .says(&["latin.yaml is not UTF-8: octet 3"]);
    fs::remove_file(folder.path().join("latin.yaml")).unwrap();
    run(&["policy", "validate", &path(&folder, "")])
        .expect(1)
        .says(&["holds no *.yaml"]);
}

#[test]
fn the_schema_is_json_whatever_the_format() {
    for format in ["table", "json", "yaml"] {
        let schema = run(&["policy", "schema", "-o", format]).expect(0).json();
        assert!(schema["properties"]["sites"].is_object(), "{schema}");
    }
}

#[track_caller]
fn explained(arguments: &[&str]) -> Value {
    let (folder, places) = (shop(), loopback_places());
    let policy = path(&folder, "shop.yaml");
    let command = [
        &[
            "policy", "explain", "-o", "json", "--geoip", &places, "--policy", &policy,
        ],
        arguments,
    ]
    .concat();
    run(&command).expect(0).json()
}

fn loopback_places() -> String {
    root()
        .join("geoip/fixtures/loopback.mmdb")
        .to_str()
        .unwrap()
        .to_owned()
}

#[test]
fn explain_says_how_a_request_ends() {
    let cases: [(&[&str], &str); 8] = [
        (&["GET", "http://other.example/"], "no_site"),
        (&["POST", "http://shop.example/"], "no_route"),
        (&["GET", "http://shop.example/old"], "redirected"),
        (
            &[
                "GET",
                "http://shop.example/france/x",
                "--from",
                "127.20.0.9",
            ],
            "refused",
        ),
        (
            &[
                "GET",
                "http://shop.example/france/x",
                "--from",
                "127.10.0.9",
            ],
            "proxied",
        ),
        (
            &[
                "GET",
                "http://shop.example/a/../france/x",
                "--from",
                "127.20.0.9",
            ],
            "refused",
        ),
        (&["GET", "https://www.shop.example:8443/"], "proxied"),
        (
            &["GET", "http://192.0.2.9/", "-H", "Host: SHOP.example."],
            "proxied",
        ),
    ];
    for (arguments, outcome) in cases {
        assert_eq!(
            explained(arguments)["outcome"],
            json!(outcome),
            "{arguments:?}"
        );
    }
}

#[test]
fn explain_steers_by_where_the_client_is() {
    for (from, nearest) in [("127.10.0.9", "paris"), ("127.20.0.9", "tokyo")] {
        let seen = explained(&["GET", "http://shop.example/", "--from", from]);
        assert_eq!(
            seen["action"]["proxy"]["origins"][0]["name"],
            json!(nearest),
            "{from}: {seen}"
        );
    }
}

#[test]
fn explain_in_words_shows_every_step() {
    let folder = shop();
    let policy = path(&folder, "shop.yaml");
    let places = loopback_places();
    let shown = run(&[
        "policy",
        "explain",
        "--policy",
        &policy,
        "GET",
        "http://shop.example/p?utm_source=x&id=1",
        "--from",
        "127.10.0.9",
        "--geoip",
        &places,
    ]);
    let shown = shown.expect(0).says(&[
        "Paris",
        "shop",
        "old: no: another path",
        "pages: takes it",
        "id=1",
        "192.0.2.1:9001",
    ]);
    assert!(
        !shown.out.contains("utm_source=x\n"),
        "utm_* is no part of the key: {}",
        shown.out
    );
}

#[test]
fn explain_refuses_what_is_no_request() {
    let folder = shop();
    let policy = path(&folder, "shop.yaml");
    run(&[
        "policy",
        "explain",
        "--policy",
        &policy,
        "GET",
        "ftp://shop.example/",
    ])
    .expect(2)
    .says(&["ftp://"]);
    run(&[
        "policy",
        "explain",
        "--policy",
        "/nonexistent.yaml",
        "GET",
        "http://shop.example/",
    ])
    .expect(1)
    .says(&["/nonexistent.yaml"]);
}

#[test]
fn geo_knows_places_and_says_when_it_does_not() {
    let places = loopback_places();
    run(&["geo", "127.20.0.9", "--geoip", &places])
        .expect(0)
        .says(&["Tokyo, JP (35."]);
    let answer = run(&["geo", "127.10.0.9", "--geoip", &places, "-o", "json"])
        .expect(0)
        .json();
    assert_eq!(
        (&answer["known"], &answer["country"], &answer["city"]),
        (&json!(true), &json!("FR"), &json!("Paris"))
    );
    run(&["geo", "192.0.2.1", "--geoip", &places])
        .expect(1)
        .says(&["no file knows 192.0.2.1"]);
    run(&["geo", "192.0.2.1"])
        .expect(1)
        .says(&["no GeoIP data", "make setup"]);
    run(&["geo", "paris", "--geoip", &places]).expect(2);
    run(&["geo", "127.0.0.1", "--geoip", "/nonexistent.mmdb"])
        .expect(1)
        .says(&["/nonexistent.mmdb"]);
}

#[test]
fn installed_places_serve_when_none_is_named() {
    let cache = tempfile::tempdir().unwrap();
    fs::create_dir(cache.path().join("geoip")).unwrap();
    fs::copy(loopback_places(), cache.path().join("geoip/x.mmdb")).unwrap();
    let asked = latencify()
        .env("LATENCIFY_CACHE", cache.path())
        .args(["geo", "127.30.0.9"])
        .output()
        .unwrap();
    ran(asked).expect(0).says(&["New York, US"]);
}

#[test]
fn every_example_of_the_house_is_valid() {
    let examples = root().join("conf/examples");
    for example in fs::read_dir(&examples).unwrap() {
        let path = example.unwrap().path();
        if path.extension().is_some_and(|end| end == "yaml") || Path::is_dir(&path) {
            run(&["policy", "validate", path.to_str().unwrap()]).expect(0);
        }
    }
}
