//! Wrong use, help, completion, and a server that is not there.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod harness;

use harness::{latencify, ran, run};

#[test]
fn wrong_use_is_exit_2_and_says_what_is_right() {
    let cases: [(&[&str], &str); 14] = [
        (&[], "Usage"),
        (&["policy"], "Usage"),
        (&["polizy"], "policy"),
        (&["policy", "aply"], "apply"),
        (&["policy", "validate"], "PATH"),
        (&["purge", "tag"], "TAG"),
        (&["purge", "all", "--timeout", "5s"], "--wait"),
        (&["purge", "all", "--wait", "--timeout", "5"], "30s"),
        (
            &["purge", "all", "--idempotency-key", "a b"],
            "idempotency key",
        ),
        (&["policy", "show", "latest"], "head"),
        (&["edge", "remove", "../policies"], "no name of an edge"),
        (
            &["edge", "list", "--server", "ftp://control.example"],
            "http://",
        ),
        (&["edge", "list", "-o", "xml"], "json"),
        (
            &[
                "policy",
                "explain",
                "--policy",
                "x.yaml",
                "GET",
                "http://a.example/",
                "-H",
                "novalue",
            ],
            "Name: value",
        ),
    ];
    for (arguments, expected) in cases {
        let ran = run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(expected), "{arguments:?} says {}", ran.err);
        assert_eq!(ran.out, "", "{arguments:?} answers nothing");
    }
}

#[test]
fn help_has_examples() {
    for arguments in [
        &["--help"][..],
        &["policy", "apply", "--help"],
        &["purge", "tag", "--help"],
        &["dev", "--help"],
    ] {
        run(arguments).expect(0).says(&["Example", "latencify "]);
    }
}

#[test]
fn hidden_commands_stay_hidden() {
    let help = run(&["--help"]).expect(0);
    assert!(
        !help.out.contains("dev-origin") && !help.out.contains("dev-child"),
        "{}",
        help.out
    );
}

#[test]
fn an_answer_that_can_not_be_written_is_a_failure() {
    for arguments in [&["completion", "bash"][..], &["policy", "schema"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let mut command = latencify();
        command.args(arguments).stdout(full.unwrap());
        ran(command.output().unwrap())
            .expect(1)
            .says(&["can't be written to stdout", "No space left"]);
    }
}

#[test]
fn a_policy_is_validated_from_stdin() {
    use std::{io::Write as _, process::Stdio};
    for (text, code, says) in [
        (harness::shop::SHOP, 0, "is valid"),
        ("version: 1\nsights: {}\n", 1, "stdin.yaml:2"),
    ] {
        let mut command = latencify();
        command
            .args(["policy", "validate", "-"])
            .stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        ran(child.wait_with_output().unwrap())
            .expect(code)
            .says(&[says]);
    }
}

#[test]
fn a_purge_that_can_not_be_meant_is_wrong_use() {
    for (arguments, says) in [
        (
            ["url", "https://user:pw@shop.example/"],
            "user or a password",
        ),
        (["prefix", "http:///x"], "no host"),
        (["tag", "a b"], "white space"),
    ] {
        run(&[&["purge"], &arguments[..]].concat())
            .expect(2)
            .says(&[says]);
    }
}

#[test]
fn every_shell_has_completion() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        run(&["completion", shell])
            .expect(0)
            .says(&["purge", "validate"]);
    }
}

#[test]
fn a_server_that_is_not_there_is_named_with_the_remedy() {
    // Bound, so that nobody else is given it, and not listening.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let server = format!("http://{}", held.local_addr().unwrap());
    for arguments in [
        &["edge", "list"][..],
        &["purge", "all"],
        &["policy", "list"],
        &["log", "list"],
    ] {
        let asked = ran(latencify()
            .args(arguments)
            .args(["--server", &server])
            .output()
            .unwrap());
        asked
            .expect(1)
            .says(&[&server, "refused", "latencify dev", "--server"]);
    }
}

#[test]
fn a_child_does_not_start_without_its_parent() {
    // Process 1 is not the parent of this test's children.
    run(&["dev-child", "--parent", "1", "--", "/bin/echo", "orphan"])
        .expect(1)
        .says(&["the parent has ended"]);
    let me = std::process::id().to_string();
    let child = run(&["dev-child", "--parent", &me, "--", "/bin/echo", "cared for"]).expect(0);
    assert_eq!(child.out, "cared for\n");
}
