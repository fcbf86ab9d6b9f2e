//! `policy apply`, `list` and `show`: what is refused before it is sent, what is sent, and what is waited for.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod harness;

use harness::{
    Answer, Scripted,
    shop::{SHOP, path, shop, written},
};
use serde_json::{Value, json};

#[test]
fn apply_refuses_a_bad_policy_before_it_is_sent() {
    let folder = written(&[("shop.yaml", &SHOP.replace("hosts:", "host:"))]);
    let control = Scripted::new([]);
    control
        .run(&["policy", "apply", &path(&folder, "shop.yaml")])
        .expect(1)
        .says(&["shop.yaml:7:", "hosts"]);
    assert!(control.arrived().is_empty());
}

#[test]
fn apply_shows_the_servers_errors_with_the_same_places() {
    let folder = shop();
    let error = json!({"file": "shop.yaml", "line": 7, "column": 12, "path": "sites.shop.hosts", "message": "taken", "snippet": "    hosts: [x]"});
    let refusal = json!({"type": "/problems/policy-invalid", "title": "Invalid", "status": 422, "errors": [error]});
    let control = Scripted::new([Answer::problem(&refusal)]);
    let file = path(&folder, "shop.yaml");
    control
        .run(&["policy", "apply", &file])
        .expect(1)
        .says(&[&format!("{file}:7:12"), "taken"]);
}

fn edge(name: &str, reason: Option<&str>) -> Value {
    json!({"edge": name, "process": "0192f0c4-0000-7000-8000-000000000001", "state": "connected", "acked": 7, "joined": 2,
           "about": {}, "version": "0.1.0", "policy": {"revision": 3, "digest": "sha256:00", "failed": reason.map(|_| 4), "reason": reason}})
}

fn status(running: usize, pending: usize, edges: &Value) -> Answer {
    let failed = edges.as_array().unwrap().len() - running - pending;
    Answer::json(
        200,
        &json!({"revision": 4, "digest": "sha256:00", "edges": edges, "running": running, "failed": failed, "pending": pending}),
    )
}

#[test]
fn apply_waits_until_every_edge_has_said_so() {
    let folder = shop();
    let accepted = Answer::json(
        201,
        &json!({"revision": 4, "epoch": 9, "digest": "sha256:00"}),
    );
    let edges = json!([edge("paris", None), edge("tokyo", None)]);
    let control = Scripted::new([accepted, status(1, 1, &edges), status(2, 0, &edges)]);
    let file = path(&folder, "shop.yaml");
    control
        .run(&[
            "policy", "apply", &file, "--wait", "--base", "3", "-m", "why",
        ])
        .expect(0)
        .says(&["2 running, 0 failed"]);
    let arrived = control.arrived();
    let sent = arrived[0].json();
    assert_eq!(
        (&sent["base"], &sent["message"], &sent["dry_run"]),
        (&json!(3), &json!("why"), &json!(false))
    );
    assert_eq!(sent["files"], json!([{"name": "shop.yaml", "text": SHOP}]));
    assert_eq!(arrived[1].uri.path(), "/v1/policies/4/status");
}

#[test]
fn apply_fails_when_an_edge_can_not_build_it() {
    let folder = shop();
    let accepted = Answer::json(
        201,
        &json!({"revision": 4, "epoch": 9, "digest": "sha256:00"}),
    );
    let edges = json!([
        edge("paris", None),
        edge("tokyo", Some("no such file: shop.pem"))
    ]);
    let control = Scripted::new([accepted, status(1, 0, &edges)]);
    let ran = control.run(&["policy", "apply", &path(&folder, "shop.yaml"), "--wait"]);
    ran.expect(1).says(&[
        "tokyo",
        "no such file: shop.pem",
        "1 edge can't run revision 4",
    ]);
}

#[test]
fn revisions_are_listed_and_shown() {
    let summary = json!({"revision": 2, "epoch": 5, "digest": "sha256:00", "by": "token:default", "at": "2026-11-23T00:00:00Z",
                         "message": "longer ttl", "sites": ["shop"], "head": true});
    let control = Scripted::new([Answer::json(200, &json!({"policies": [summary]}))]);
    control
        .run(&["policy", "list"])
        .expect(0)
        .says(&["2 (head)", "longer ttl", "shop"]);

    let mut detail = summary;
    detail["files"] = json!([{"name": "shop.yaml", "text": SHOP}]);
    let control = Scripted::new([Answer::json(200, &detail)]);
    assert_eq!(
        control.run(&["policy", "show", "2"]).expect(0).out,
        SHOP,
        "one file is shown as it is"
    );
    assert_eq!(control.arrived()[0].uri.path(), "/v1/policies/2");
}
