//! The rules of the repository, as ordinary tests.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

use latencify_tests::repository;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The top level, exactly.
const TOP: &[&str] = &[
    ".cargo",
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "clippy.toml",
    "conf",
    "control",
    "deny.toml",
    "deploy",
    "geoip",
    "gateway",
    "plugins",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "tests",
];

/// Who may use whom of our own crates, directly. What is not here may be used by nobody.
const MAY_USE: &[(&str, &[&str])] = &[
    ("latencify-conf", &[]),
    ("latencify-geoip", &["latencify-conf"]),
    ("latencify-decide", &["latencify-conf", "latencify-geoip"]),
    ("latencify-cache", &["latencify-conf"]),
    ("latencify-disk", &["latencify-conf", "latencify-cache"]),
    ("latencify-framing", &[]),
    (
        "latencify-gateway",
        &[
            "latencify-conf",
            "latencify-geoip",
            "latencify-decide",
            "latencify-cache",
            "latencify-disk",
            "latencify-framing",
        ],
    ),
    (
        "latencify-control",
        &["latencify-conf", "latencify-geoip", "latencify-decide"],
    ),
    (
        "latencify-cli",
        &["latencify-conf", "latencify-geoip", "latencify-decide"],
    ),
    (
        "latencify-tests",
        &["latencify-conf", "latencify-geoip", "latencify-decide"],
    ),
    // Starts programs, and asks them over the network.
    ("latencify-bench", &["latencify-tests"]),
    // Drives what both programs decide by, in one process; nobody uses it.
    (
        "latencify-simulation",
        &[
            "latencify-conf",
            "latencify-decide",
            "latencify-cache",
            "latencify-gateway",
            "latencify-control",
        ],
    ),
];

/// Crates that must not be linked into a program, by the beginnings of their names.
const NEVER_LINKED: &[(&str, &[&str])] = &[
    (
        "latencify-conf",
        &["tokio", "hyper", "pingora", "axum", "tonic"],
    ),
    (
        "latencify-geoip",
        &["tokio", "hyper", "pingora", "axum", "tonic"],
    ),
    (
        "latencify-decide",
        &["tokio", "hyper", "pingora", "axum", "tonic"],
    ),
    (
        "latencify-cache",
        &["pingora", "axum", "sqlx", "sea-orm", "rdkafka"],
    ),
    (
        "latencify-disk",
        &["pingora", "axum", "sqlx", "sea-orm", "rdkafka"],
    ),
    (
        "latencify-gateway",
        &["sqlx", "sea-orm", "rusqlite", "libsqlite3-sys", "rdkafka"],
    ),
    ("latencify-control", &["pingora", "wasmtime"]),
    (
        "latencify-cli",
        &["pingora", "wasmtime", "sqlx", "sea-orm", "rdkafka"],
    ),
];

/// Crates that must not be used directly.
const NEVER_USED: &[(&str, &[&str])] = &[("latencify-gateway", &["axum", "tower-http", "utoipa"])];

/// So many lines has a source file at most …
const LINES_MAX: usize = 400;
/// … and a file of tests alone, whose cases may be long lists.
const TEST_LINES_MAX: usize = 600;

/// The only file with unsafe code.
const UNSAFE_HOME: &str = "geoip/src/file.rs";

/// What `cargo metadata` tells, as far as the rules ask.
struct House {
    /// Package → what it names in its Cargo.toml, for whatever purpose.
    named: BTreeMap<String, BTreeSet<String>>,
    /// Package id → ids of what is linked into it.
    linked: BTreeMap<String, Vec<String>>,
    ids: BTreeMap<String, String>,
}

impl House {
    fn read() -> Self {
        let rustc = Command::new("rustc").arg("-vV").output().expect("rustc");
        let rustc = String::from_utf8(rustc.stdout).unwrap();
        let host = rustc
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .unwrap();
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version=1", "--locked", "--offline"])
            .args(["--filter-platform", host])
            .current_dir(repository())
            .output()
            .expect("cargo");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut house = Self {
            named: BTreeMap::new(),
            linked: BTreeMap::new(),
            ids: BTreeMap::new(),
        };
        for package in metadata["packages"].as_array().unwrap() {
            let name = text(&package["name"]);
            if name.starts_with("latencify-") {
                house.ids.insert(name.clone(), text(&package["id"]));
                let named = package["dependencies"].as_array().unwrap();
                house.named.insert(
                    name,
                    named.iter().map(|named| text(&named["name"])).collect(),
                );
            }
        }
        for node in metadata["resolve"]["nodes"].as_array().unwrap() {
            let linked = node["deps"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|dependency| {
                    let kinds = dependency["dep_kinds"].as_array().unwrap();
                    kinds.iter().any(|kind| kind["kind"].is_null())
                });
            let linked = linked.map(|dependency| text(&dependency["pkg"])).collect();
            house.linked.insert(text(&node["id"]), linked);
        }
        house
    }

    /// The names of everything that is linked into the package, with one way to each.
    fn everything_in(&self, package: &str) -> BTreeMap<String, String> {
        let mut ways = BTreeMap::new();
        let mut open = vec![(self.ids[package].clone(), package.to_owned())];
        let mut visited = BTreeSet::new();
        while let Some((id, way)) = open.pop() {
            if !visited.insert(id.clone()) {
                continue;
            }
            for next in &self.linked[&id] {
                let name = name_in(next);
                let way = format!("{way} → {name}");
                ways.entry(name).or_insert_with(|| way.clone());
                open.push((next.clone(), way));
            }
        }
        ways
    }
}

/// `registry+…#serde@1.0` or `path+file:///…/conf#latencify-conf@0.1.0` → the name.
fn name_in(id: &str) -> String {
    let (path, fragment) = id.split_once('#').expect("package ids have a fragment");
    match fragment.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => path.rsplit('/').next().unwrap().to_owned(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Every file with that extension, without what is built.
fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![repository()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(repository())
        .unwrap()
        .display()
        .to_string()
}

fn code_of(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

#[test]
fn the_top_level_is_exactly_this() {
    let ignored = fs::read_to_string(repository().join(".gitignore")).unwrap();
    let ignored: Vec<_> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    let there: BTreeSet<_> = fs::read_dir(repository())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name != ".git" && !ignored.contains(&name.as_str()))
        .collect();
    let wanted: BTreeSet<_> = TOP.iter().map(|&name| name.to_owned()).collect();
    let more: Vec<_> = there.difference(&wanted).collect();
    let missing: Vec<_> = wanted.difference(&there).collect();
    assert!(
        more.is_empty() && missing.is_empty(),
        "too much: {more:?}; missing: {missing:?}"
    );
}

#[test]
fn dependencies_point_one_way() {
    let house = House::read();
    let mut wrong = Vec::new();
    for (package, named) in &house.named {
        let allowed = MAY_USE.iter().find(|(name, _)| name == package);
        let Some((_, allowed)) = allowed else {
            wrong.push(format!("{package} is in no rule of MAY_USE"));
            continue;
        };
        for used in named.iter().filter(|used| used.starts_with("latencify-")) {
            if !allowed.contains(&used.as_str()) {
                wrong.push(format!("{package} must not use {used}"));
            }
        }
        for (_, never) in NEVER_USED.iter().filter(|(name, _)| name == package) {
            for used in never.iter().filter(|&&never| named.contains(never)) {
                wrong.push(format!("{package} must not use {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn programs_do_not_link_what_is_none_of_their_business() {
    let house = House::read();
    let mut wrong = Vec::new();
    for (package, never) in NEVER_LINKED {
        for (linked, way) in house.everything_in(package) {
            if never
                .iter()
                .any(|start| linked == *start || linked.starts_with(&format!("{start}-")))
            {
                wrong.push(way);
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "must not be linked:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn no_source_file_is_too_long() {
    let mut long = Vec::new();
    for path in files("rs") {
        let name = shown(&path);
        let is_test =
            name.starts_with("tests/") || name.contains("/tests/") || name.ends_with("/tests.rs");
        let most = if is_test { TEST_LINES_MAX } else { LINES_MAX };
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        if lines > most {
            long.push(format!("{name}: {lines} lines, more than {most}"));
        }
    }
    assert!(long.is_empty(), "one noun a file:\n{}", long.join("\n"));
}

#[test]
fn unsafe_code_has_one_home() {
    let mut found = Vec::new();
    // The words are written apart, so that this file does not find itself.
    let words = [
        concat!("unsafe", " {"),
        concat!("unsafe", " fn"),
        concat!("unsafe", " impl"),
    ];
    let permit = concat!("allow(", "unsafe_code");
    for path in files("rs") {
        let name = shown(&path);
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let code = code_of(line);
            // `is_unsafe {` is a name, as of HTTP's unsafe methods.
            let is_word =
                |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let hit = words
                .iter()
                .any(|word| code.match_indices(word).any(|(at, _)| is_word(at)))
                || code.contains(permit);
            if hit && name != UNSAFE_HOME {
                found.push(format!("{name}:{}: {line}", number + 1));
            }
        }
    }
    assert!(
        found.is_empty(),
        "unsafe code outside {UNSAFE_HOME}:\n{}",
        found.join("\n")
    );
}

#[test]
fn phases_do_not_import_each_other() {
    let folder = repository().join("gateway/src/phases");
    let modules: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name != "mod")
        .collect();
    let mut found = Vec::new();
    for path in files("rs").iter().filter(|path| path.starts_with(&folder)) {
        let inside = path.strip_prefix(&folder).unwrap();
        let own = inside.iter().next().unwrap().to_string_lossy();
        let own = own.trim_end_matches(".rs");
        for (number, line) in fs::read_to_string(path).unwrap().lines().enumerate() {
            let names_another = modules
                .iter()
                .filter(|module| *module != own)
                .any(|module| {
                    let code = code_of(line);
                    code.contains(&format!("phases::{module}::"))
                        || (inside.iter().count() == 1
                            && code.contains(&format!("super::{module}::")))
                });
            if names_another && own != "mod" {
                found.push(format!("{}:{}: {line}", shown(path), number + 1));
            }
        }
    }
    assert!(
        found.is_empty(),
        "a phase imports another:\n{}",
        found.join("\n")
    );
}

#[test]
fn every_dependency_has_its_reason_beside_it() {
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let section = manifest.split("[workspace.dependencies]").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let bare: Vec<_> = section
        .lines()
        .filter(|line| line.contains('=') && !line.starts_with('#'))
        .filter(|line| !line.starts_with("latencify-") && !line.contains(" # "))
        .collect();
    assert!(
        bare.is_empty(),
        "say why, at the end of the line:\n{}",
        bare.join("\n")
    );
}

#[test]
fn every_dependency_is_used() {
    let house = House::read();
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let section = manifest.split("[workspace.dependencies]").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let used: BTreeSet<_> = house.named.values().flatten().collect();
    let unused: Vec<_> = section
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            line.split_once(" =")
                .map(|(name, _)| name.trim().to_owned())
        })
        .filter(|name| !used.contains(name))
        .collect();
    assert!(
        unused.is_empty(),
        "in Cargo.toml, but no crate uses them: {unused:?}"
    );
}
