//! The units of systemd say what the programs read.

use latencify_tests::{program, repository};
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
        return;
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
