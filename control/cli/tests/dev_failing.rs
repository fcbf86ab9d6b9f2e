//! `latencify dev` when something is wrong: it says what, and leaves nothing running.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod harness;

use harness::{Ran, ran};
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
};
use tempfile::TempDir;

/// The binary in a folder of its own, beside which other programs are looked for. Linked, not copied: a file that was
/// just written may still be open for writing in a child that another test is forking, and can't be run then.
fn alone() -> TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::hard_link(
        env!("CARGO_BIN_EXE_latencify"),
        folder.path().join("latencify"),
    )
    .unwrap();
    folder
}

fn dev(folder: &Path, options: &[&str]) -> Ran {
    let mut command = Command::new(folder.join("latencify"));
    command
        .env("PATH", "/usr/bin:/bin")
        .env("LATENCIFY_CACHE", folder.join("cache"));
    ran(command
        .args(["dev", "--ephemeral", "--dir"])
        .arg(folder.join("dev"))
        .args(options)
        .output()
        .unwrap())
}

/// The command lines of the processes that still run for that folder. Not whoever listens on their ports: those are
/// somebody else's by now.
fn left(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let processes = fs::read_dir("/proc").unwrap();
    let lines = processes.filter_map(|process| fs::read(process.ok()?.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&folder))
        .collect()
}

#[test]
fn a_program_that_ends_at_once_is_shown_with_its_last_words() {
    let folder = alone();
    let failing = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/failing-program"
    );
    symlink(failing, folder.path().join("latencify-control")).unwrap();
    let ran = dev(folder.path(), &[]).expect(1);
    ran.says(&[
        "control ended: exit status: 3",
        "| the disk is full",
        "logs/control.log",
    ]);
    assert!(folder.path().join("dev/ports/origin.json").exists());
    assert_eq!(left(folder.path()), Vec::<String>::new());
    assert!(
        !folder.path().join("dev/dev.json").exists(),
        "nobody is told that it is up"
    );
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let folder = alone();
    dev(folder.path(), &[])
        .expect(1)
        .says(&["latencify-control is neither beside", "make build"]);
}

#[test]
fn without_a_broker_kafka_is_refused_with_the_remedy() {
    let folder = alone();
    dev(folder.path(), &["--kafka"])
        .expect(1)
        .says(&["no Kafka in", "make setup"]);
}

#[test]
fn a_folder_with_other_files_is_left_alone() {
    let folder = alone();
    fs::create_dir(folder.path().join("dev")).unwrap();
    fs::write(folder.path().join("dev/thesis.tex"), "…").unwrap();
    dev(folder.path(), &[])
        .expect(1)
        .says(&["not of `latencify dev`", "--dir"]);
    assert_eq!(fs::read_dir(folder.path().join("dev")).unwrap().count(), 1);
}

#[test]
fn tokens_are_for_their_owner_alone() {
    let folder = alone();
    dev(folder.path(), &[]).expect(1);
    for name in ["api-token", "join-token", "certificates/demo.key"] {
        let mode = fs::metadata(folder.path().join("dev").join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
