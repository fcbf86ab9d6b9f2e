//! What an operator reads when control does not start.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::process::Command;

#[test]
fn a_start_that_fails_says_why_on_one_line_without_a_backtrace() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_latencify-control"));
    command
        .args(["--api", "127.0.0.1:0", "--fleet", "127.0.0.1:0"])
        .args(["--admin", "127.0.0.1:0", "--data"])
        .arg(file.join("data"))
        .env("RUST_BACKTRACE", "1");
    let ended = command.output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    let error = said.lines().find(|line| line.starts_with("error: "));
    assert!(
        error.is_some_and(|line| line.contains("--data") && line.contains("Not a directory")),
        "{said}"
    );
    for noise in ["backtrace", "Caused by", "Error {"] {
        assert!(!said.contains(noise), "{said}");
    }
}
