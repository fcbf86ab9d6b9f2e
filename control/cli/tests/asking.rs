//! The client's side of the conversation with control: what it sends, what it shows, when it tries again.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod harness;

use harness::{Answer, Scripted, latencify, ran};
use serde_json::{Value, json};
use std::{
    io::{Read as _, Write as _},
    time::{Duration, Instant},
};

const PROCESS: &str = "0192f0c4-0000-7000-8000-000000000001";

fn accepted() -> Value {
    json!({"id": "p-1", "epoch": 42, "status_url": "/v1/purges/p-1", "repeat": false})
}

fn receipt(tokyo: &str) -> Value {
    json!({"id": "p-1", "epoch": 42, "mode": "hard", "complete": tokyo != "missing", "edges": [
        {"edge": "paris", "process": PROCESS, "state": "acked", "latency_us": 1234},
        {"edge": "tokyo", "process": PROCESS, "state": tokyo},
    ]})
}

/// So long an attempt may last that nothing limits.
const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_purge_carries_token_key_targets_and_mode() {
    let control = Scripted::new([Answer::json(202, &accepted())]);
    control
        .run(&["purge", "tag", "a", "b", "--site", "shop", "--soft"])
        .expect(0)
        .says(&["purge p-1 at epoch 42"]);
    let arrived = &control.arrived()[0];
    assert_eq!(
        (arrived.method.as_str(), arrived.uri.path()),
        ("POST", "/v1/purges")
    );
    assert_eq!(arrived.header("authorization"), Some("Bearer s3cret"));
    assert!(
        arrived
            .header("idempotency-key")
            .is_some_and(|key| key.len() >= 32)
    );
    let targets =
        json!([{"tag": {"tag": "a", "site": "shop"}}, {"tag": {"tag": "b", "site": "shop"}}]);
    assert_eq!(arrived.json(), json!({"targets": targets, "mode": "soft"}));
}

#[test]
fn a_typed_token_wins_over_the_environment() {
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], Option<&'a str>);
    let folder = tempfile::tempdir().unwrap();
    let [typed, set] = ["typed", "set"].map(|name| {
        let file = folder.path().join(name);
        std::fs::write(&file, format!("{name}-file\n")).unwrap();
        file.to_str().unwrap().to_owned()
    });
    let (token, file) = ("LATENCIFY_API_TOKEN", "LATENCIFY_API_TOKEN_FILE");
    let cases: [Case<'_>; 8] = [
        (&["--token", "t"], &[(file, &set)], Some("Bearer t")),
        (
            &["--token", "t"],
            &[(token, "e"), (file, &set)],
            Some("Bearer t"),
        ),
        (
            &["--token-file", &typed],
            &[(token, "e")],
            Some("Bearer typed-file"),
        ),
        (
            &["--token-file", &typed, "--token", "t"],
            &[(file, &set)],
            Some("Bearer typed-file"),
        ),
        (&[], &[(token, "e"), (file, &set)], Some("Bearer set-file")),
        (&[], &[(token, "e"), (file, "")], Some("Bearer e")),
        (&[], &[(token, "e")], Some("Bearer e")),
        (&[], &[], None),
    ];
    for (arguments, variables, expected) in cases {
        let control = Scripted::new([Answer::json(200, &json!({"head": 0, "edges": []}))]);
        let mut command = latencify();
        command.args(["edge", "list", "--server", &control.url()]);
        command.args(arguments).envs(variables.iter().copied());
        ran(command.output().unwrap()).expect(0);
        let arrived = &control.arrived()[0];
        assert_eq!(
            arrived.header("authorization"),
            expected,
            "{arguments:?} {variables:?}"
        );
    }
}

#[test]
fn every_target_has_its_shape() {
    let cases: [(&[&str], Value); 5] = [
        (
            &["url", "https://a.example/x"],
            json!({"url": "https://a.example/x"}),
        ),
        (
            &["prefix", "https://a.example/img/"],
            json!({"prefix": "https://a.example/img/"}),
        ),
        (&["tag", "t"], json!({"tag": {"tag": "t"}})),
        (&["site", "shop"], json!({"site": "shop"})),
        (&["all"], json!({"all": true})),
    ];
    for (arguments, target) in cases {
        let control = Scripted::new([Answer::json(202, &accepted())]);
        control.run(&[&["purge"], arguments].concat()).expect(0);
        assert_eq!(
            control.arrived()[0].json(),
            json!({"targets": [target], "mode": "hard"}),
            "{arguments:?}"
        );
    }
}

#[test]
fn waiting_ends_with_the_receipt() {
    let control = Scripted::new([
        Answer::json(202, &accepted()),
        Answer::json(200, &receipt("missing")),
        Answer::json(200, &receipt("acked")),
    ]);
    let ran = control.run(&["purge", "all", "--wait"]).expect(0).says(&[
        "paris",
        "1.2 ms",
        "tokyo",
        "2 of 2 edges",
    ]);
    assert!(
        !ran.err.contains('\u{1b}'),
        "no progress without a terminal: {:?}",
        ran.err
    );
    let arrived = control.arrived();
    assert_eq!(arrived[1].uri.path(), "/v1/purges/p-1");
    assert!(arrived[1].uri.query().unwrap().starts_with("wait="));
}

#[test]
fn waiting_in_vain_names_who_is_missing() {
    let control = Scripted::new([
        Answer::json(202, &accepted()),
        Answer::json(200, &receipt("missing")),
    ]);
    let ran = control
        .run(&["purge", "all", "--wait", "--timeout", "300ms"])
        .expect(1);
    let ran = ran.says(&[
        "1 edge is not known to obey",
        "tokyo (0192f0c4",
        "in the log at epoch 42",
        "as soon as it is connected again",
        "may serve what it stored until then",
        "edge list",
        "edge remove",
    ]);
    assert!(
        !ran.err.contains("paris"),
        "paris is not missing: {}",
        ran.err
    );

    let control = Scripted::new([
        Answer::json(202, &accepted()),
        Answer::json(200, &receipt("missing")),
    ]);
    let ran = control
        .run(&["purge", "all", "--wait", "--timeout", "0s", "-o", "json"])
        .expect(1);
    assert_eq!(ran.json()["complete"], json!(false));
}

#[test]
fn fenced_and_left_edges_are_no_reason_to_fail() {
    for state in ["fenced", "left"] {
        let control = Scripted::new([
            Answer::json(202, &accepted()),
            Answer::json(200, &receipt(state)),
        ]);
        control
            .run(&["purge", "all", "--wait"])
            .expect(0)
            .says(&[state]);
    }
}

#[test]
fn a_write_is_tried_again_with_the_same_key() {
    let busy = json!({"type": "/problems/unavailable", "title": "Not now", "status": 503, "retryable": true});
    let control = Scripted::new([
        Answer::problem(&busy).retry_at_once(),
        Answer::text(502, "bad gateway").retry_at_once(),
        Answer::json(202, &accepted()),
    ]);
    control
        .run(&["purge", "all", "--idempotency-key", "release-7"])
        .expect(0);
    let arrived = control.arrived();
    assert_eq!(arrived.len(), 3);
    assert!(
        arrived
            .iter()
            .all(|request| request.header("idempotency-key") == Some("release-7"))
    );
}

#[test]
fn a_connection_that_breaks_off_is_tried_again_with_the_same_key() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let control = std::thread::spawn(move || {
        let body = accepted().to_string();
        let answer = format!(
            "HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        // The first connection is closed when the request has come; was it done? Only its key can tell.
        ["", &answer].map(|answer| {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let length = connection.read(&mut request).unwrap();
            connection.write_all(answer.as_bytes()).unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let key = request
                .lines()
                .find_map(|line| line.strip_prefix("idempotency-key: ").map(str::to_owned));
            key.unwrap()
        })
    });
    ran(latencify()
        .args(["purge", "all", "--server", &server])
        .output()
        .unwrap())
    .expect(0);
    let [first, second] = control.join().unwrap();
    assert_eq!(first, second);
}

#[test]
fn trying_again_has_an_end() {
    let busy = json!({"type": "/problems/unavailable", "title": "Not now", "status": 503, "detail": "the broker is away"});
    let control = Scripted::new([Answer::problem(&busy).retry_at_once()]);
    control
        .run(&["purge", "all"])
        .expect(1)
        .says(&["503", "Not now", "the broker is away"]);
    assert_eq!(control.arrived().len(), 6);
}

#[test]
fn a_time_limit_holds_for_the_whole_command_while_the_log_is_away() {
    let away = json!({"type": "/problems/unavailable", "title": "It can't be done now", "status": 503, "detail": "the log is out of reach"});
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.yaml");
    std::fs::write(&policy, harness::shop::SHOP).unwrap();
    let policy = policy.to_str().unwrap();
    let commands: [&[&str]; 2] = [&["purge", "all"], &["policy", "apply", policy]];
    for command in commands {
        let control = Scripted::new([Answer::problem(&away)]);
        let limit = [
            "--wait",
            "--timeout",
            "1s",
            "--idempotency-key",
            "release-7",
        ];
        control.run(&[command, &limit].concat()).expect(1).says(&[
            "control says 503: It can't be done now (the log is out of reach); trying again, 1 s left",
            "error: control answered 503",
            "add --idempotency-key release-7",
        ]);
        assert!(control.arrived().len() > 1, "{command:?}");
    }
}

#[test]
fn a_time_limit_holds_while_control_does_not_answer() {
    // Connections are taken by the system, and nobody ever answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", silent.local_addr().unwrap());
    let began = Instant::now();
    let arguments = [
        "purge",
        "all",
        "--wait",
        "--timeout",
        "500ms",
        "--server",
        &server,
    ];
    ran(latencify().args(arguments).output().unwrap())
        .expect(1)
        .says(&["did not answer in time", "add --idempotency-key "]);
    assert!(began.elapsed() < LONG, "as long as an attempt may last");
    // A command that only reads has a limit of its own.
    let read = ["edge", "list", "--server", &server];
    ran(latencify().args(read).output().unwrap())
        .expect(1)
        .says(&["did not answer in time", "is it stopped, or overloaded?"]);
}

#[test]
fn a_receipt_that_can_not_be_had_leaves_the_purge_named() {
    let away = json!({"type": "/problems/unavailable", "title": "Not now", "status": 503});
    let control = Scripted::new([Answer::json(202, &accepted()), Answer::problem(&away)]);
    control
        .run(&["purge", "all", "--wait", "--timeout", "300ms"])
        .expect(1)
        .says(&["503", "in the log as p-1 at epoch 42"]);
}

#[test]
fn a_refusal_is_final_and_shown_in_full() {
    let denied = json!({"type": "/problems/unauthorized", "title": "No valid token", "status": 401, "detail": "x", "request_id": "r-9"});
    let control = Scripted::new([Answer::problem(&denied)]);
    control.run(&["edge", "list"]).expect(1).says(&[
        "401",
        "No valid token",
        "LATENCIFY_API_TOKEN",
        "r-9",
    ]);
    assert_eq!(control.arrived().len(), 1);
}

#[test]
fn a_refusal_is_json_for_those_who_asked_for_json() {
    let conflict =
        json!({"type": "/problems/conflict", "title": "Revision 8 is the head", "status": 409});
    let control = Scripted::new([Answer::problem(&conflict)]);
    let ran = control.run(&["edge", "list", "-o", "json"]).expect(1);
    assert_eq!(
        serde_json::from_str::<Value>(&ran.err).unwrap()["status"],
        json!(409)
    );
}

#[test]
fn another_program_in_controls_place_is_recognised() {
    let control = Scripted::new([Answer::text(404, "nginx")]);
    control
        .run(&["edge", "list"])
        .expect(1)
        .says(&["404", "nginx", "--server"]);
    let control = Scripted::new([Answer::text(200, "<html>")]);
    control
        .run(&["edge", "list"])
        .expect(1)
        .says(&["not understood", "--server"]);
}

#[test]
fn the_roster_is_a_table_or_json() {
    let edges = json!({"head": 9, "edges": [{
        "edge": "paris", "process": PROCESS, "state": "connected", "fenced": false, "acked": 7, "joined": 2, "about": {}, "version": "0.1.0",
        "policy": {"revision": 3, "digest": "sha256:00", "drifted": false, "failed": 4, "reason": "no certificate"},
    }]});
    let control = Scripted::new([Answer::json(200, &edges)]);
    control.run(&["edge", "list"]).expect(0).says(&[
        "EDGE",
        "paris",
        "connected",
        "2 epochs",
        "3 (4 failed)",
    ]);
    assert_eq!(
        control
            .run(&["edge", "list", "-o", "json"])
            .expect(0)
            .json(),
        edges
    );
    control
        .run(&["edge", "list", "-o", "yaml"])
        .expect(0)
        .says(&["edge: paris"]);
}

#[test]
fn removing_an_edge_asks_for_it_by_name() {
    let edge = json!({"edge": "tokyo", "process": PROCESS, "state": "disconnected", "acked": 7, "joined": 2, "about": {}, "version": "",
                      "policy": {"revision": null, "digest": null, "failed": null, "reason": null}});
    let control = Scripted::new([Answer::json(200, &json!({"edges": [edge], "head": 9}))]);
    control
        .run(&["edge", "remove", "tokyo"])
        .expect(0)
        .says(&["tokyo (0192f0c4", "no longer in the roster"]);
    let arrived = &control.arrived()[0];
    assert_eq!(
        (arrived.method.as_str(), arrived.uri.path()),
        ("DELETE", "/v1/edges/tokyo")
    );
}

#[test]
fn an_event_is_checked_here_and_sent_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("event.json");
    let path = file.to_str().unwrap();
    let control = Scripted::new([Answer::json(
        202,
        &json!({"purge": "p-2", "epoch": 5, "repeat": true}),
    )]);

    std::fs::write(&file, r#"{"specversion": "1.0"}"#).unwrap();
    control
        .run(&["event", "send", path])
        .expect(1)
        .says(&["event.json", "id"]);
    assert!(control.arrived().is_empty(), "nothing was sent");

    let event = r#"{"specversion":"1.0","id":"7","source":"cms","type":"com.latencify.content.updated","data":{"tags":["a"]}}"#;
    std::fs::write(&file, event).unwrap();
    control
        .run(&["event", "send", path])
        .expect(0)
        .says(&["epoch 5", "was there before", "p-2"]);
    let arrived = &control.arrived()[0];
    assert_eq!(
        arrived.header("content-type"),
        Some("application/cloudevents+json")
    );
    assert_eq!(arrived.body, event);
}

#[test]
fn the_log_shows_what_happened() {
    let entry = json!({"id": PROCESS, "by": "token:default", "at": "2026-11-23T00:00:00Z", "change": {"kind": "purge", "mode": "hard"}});
    let entries = json!({"log": PROCESS, "applied": 3, "entries": [{"epoch": 3, "outcome": "accepted", "entry": entry}]});
    let control = Scripted::new([Answer::json(200, &entries)]);
    control
        .run(&["log", "list", "--after", "2"])
        .expect(0)
        .says(&["accepted", "token:default", "purge mode=\"hard\""]);
    assert_eq!(control.arrived()[0].uri.query(), Some("after=2&limit=100"));
}

#[test]
fn hostile_answers_do_not_steer_the_terminal() {
    let hostile =
        json!({"type": "x", "title": "\u{1b}[2J", "status": 409, "detail": "\u{1b}]0;owned\u{7}"});
    let ran = Scripted::new([Answer::problem(&hostile)])
        .run(&["edge", "list"])
        .expect(1);
    assert!(!ran.err.contains(['\u{1b}', '\u{7}']), "{:?}", ran.err);
}
