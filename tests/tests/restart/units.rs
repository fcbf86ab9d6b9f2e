//! The units of systemd say what the programs read.

use latencify_tests::{program, repository, skip};
use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

fn units() -> Vec<(PathBuf, String)> {
    let folder = repository().join("deploy/systemd");
    let files = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .map(|path| (path.clone(), fs::read_to_string(&path).unwrap()))
        .collect()
}

#[test]
fn every_variable_is_one_of_the_program() {
    for name in ["latencify-gateway", "latencify-control"] {
        let help = Command::new(program(name)).arg("--help").output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let units = units();
        let (path, unit) = units
            .iter()
            .find(|(path, _)| path.ends_with(format!("{name}.service")))
            .unwrap();
        let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
        let named: BTreeSet<_> = unit
            .split(|c| !is_name(c))
            .filter(|word| word.starts_with("LATENCIFY_"))
            .collect();
        assert!(!named.is_empty());
        for variable in named {
            assert!(help.contains(variable), "{}: {variable}", path.display());
        }
    }
}

/// What the unit hides is what no README says to write to.
#[test]
fn every_folder_that_is_named_can_be_written() {
    let units = units();
    let (_, unit) = units
        .iter()
        .find(|(path, _)| path.ends_with("latencify-gateway.service"))
        .unwrap();
    assert!(
        unit.contains("\nProtectSystem=strict\n"),
        "nothing else is hidden"
    );
    let given: BTreeSet<_> = [
        ("StateDirectory=", "/var/lib/"),
        ("LogsDirectory=", "/var/log/"),
        ("CacheDirectory=", "/var/cache/"),
    ]
    .into_iter()
    .flat_map(|(setting, root)| {
        let names = unit
            .lines()
            .filter_map(move |line| line.strip_prefix(setting));
        names.map(move |name| format!("{root}{name}"))
    })
    .collect();
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let is_of_path = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    let named: BTreeSet<_> = [unit.as_str(), &readme]
        .into_iter()
        .flat_map(|text| text.split(|c| !is_of_path(c)))
        .filter(|word| word.starts_with("/var/"))
        .collect();
    assert!(named.len() > 1, "{named:?}");
    for path in named {
        let is_given = |folder: &String| path.starts_with(folder.as_str());
        assert!(
            given.iter().any(is_given),
            "{path} is under none of {given:?}"
        );
    }
}

/// Calls that systemd's usual sets leave out, and that the edge makes: without them a limit holds no more.
#[test]
fn the_edge_may_make_the_calls_that_it_makes() {
    let units = units();
    let (_, unit) = units
        .iter()
        .find(|(path, _)| path.ends_with("latencify-gateway.service"))
        .unwrap();
    let allowed: BTreeSet<_> = unit
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="))
        .filter(|list| !list.starts_with('~'))
        .flat_map(str::split_whitespace)
        .collect();
    for call in ["@system-service", "pidfd_getfd", "prlimit64"] {
        assert!(allowed.contains(call), "{call}: {allowed:?}");
    }
}

/// Where systemd is; its own tool knows better than any list here.
#[test]
fn systemd_takes_the_units() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        skip!("no systemd-analyze here, which knows best what a unit may say");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut copies = Vec::new();
    for (path, unit) in units() {
        let copy = folder.path().join(path.file_name().unwrap());
        // The programs are not installed here.
        let unit = unit.replace("/usr/bin/latencify-gateway", "/bin/true");
        fs::write(
            &copy,
            unit.replace("/usr/bin/latencify-control", "/bin/true"),
        )
        .unwrap();
        copies.push(copy);
    }
    assert!(copies.len() >= 4, "{copies:?}");
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .args(&copies)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(
        verified.status.success() && said.trim().is_empty(),
        "{said}"
    );
}
