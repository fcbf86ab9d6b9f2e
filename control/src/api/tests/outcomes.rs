//! What policies, purges and events come to.

use super::problem;
use crate::testing::{API_TOKEN, Replica, answer, policy};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_are_whole_snapshots_with_compare_and_set() {
    let replica = Replica::start().await;
    assert_eq!(
        problem(&replica.get("/v1/policies/head").await),
        "not-found"
    );
    let submit = |base: u64, text: String, dry_run: bool| json!({"files": [{"name": "p.yaml", "text": text}], "base": base, "dry_run": dry_run, "message": "why"});
    let dry = replica
        .post("/v1/policies", submit(0, policy(&["a"]), true))
        .await;
    assert_eq!(
        (dry.status, &dry.body["revision"]),
        (StatusCode::OK, &json!(0))
    );
    let first = replica
        .post("/v1/policies", submit(0, policy(&["a"]), false))
        .await;
    assert_eq!(
        (first.status, &first.body["revision"]),
        (StatusCode::CREATED, &json!(1))
    );
    assert_eq!(first.body["digest"], dry.body["digest"]);
    let late = replica
        .post("/v1/policies", submit(0, policy(&["b"]), false))
        .await;
    assert_eq!(
        (late.status, problem(&late)),
        (StatusCode::CONFLICT, "head-moved")
    );
    let second = replica
        .post("/v1/policies", submit(1, policy(&["a", "b"]), false))
        .await;
    assert_eq!(second.body["revision"], 2);
    assert_eq!(
        second.headers["latencify-epoch"].to_str().unwrap(),
        second.body["epoch"].to_string()
    );

    let replica = replica.restart().await;
    let list = replica.get("/v1/policies").await;
    let summary: Vec<_> = list.body["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (&p["revision"], &p["head"], &p["sites"]))
        .collect();
    assert_eq!(
        summary,
        [
            (&json!(2), &json!(true), &json!(["a", "b"])),
            (&json!(1), &json!(false), &json!(["a"]))
        ]
    );
    let shown = replica.get("/v1/policies/1").await;
    assert_eq!(
        (&shown.body["files"][0]["text"], &shown.body["message"]),
        (&json!(policy(&["a"])), &json!("why"))
    );
    let status = replica.get("/v1/policies/head/status").await;
    assert_eq!(
        (&status.body["revision"], &status.body["edges"]),
        (&json!(2), &json!([]))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_makes_a_repeat_safe_even_after_names_have_changed() {
    let replica = Replica::start().await;
    replica.apply(&["a"]).await;
    let send = |body: Value| {
        let request = replica
            .request(Method::POST, "/v1/purges")
            .bearer_auth(API_TOKEN);
        answer(request.header("idempotency-key", "once").json(&body))
    };
    let url = json!({"targets": [{"url": "https://a.example/x"}]});
    let first = send(url.clone()).await;
    assert_eq!(
        (first.status, &first.body["repeat"]),
        (StatusCode::ACCEPTED, &json!(false))
    );
    replica.apply(&["b"]).await;
    let again = send(url).await;
    assert_eq!(
        (again.status, &again.body["repeat"]),
        (StatusCode::ACCEPTED, &json!(true)),
        "{again:?}"
    );
    assert_eq!(
        (&again.body["id"], &again.body["epoch"]),
        (&first.body["id"], &first.body["epoch"])
    );
    let other = send(json!({"targets": [{"all": true}]})).await;
    assert_eq!(
        (other.status, problem(&other)),
        (StatusCode::UNPROCESSABLE_ENTITY, "key-reused")
    );

    // Side by side, one of them wins, whichever it is, and the others are its repeats.
    let many = futures::future::join_all((0..8).map(|_| {
        let request = replica
            .request(Method::POST, "/v1/purges")
            .bearer_auth(API_TOKEN);
        answer(
            request
                .header("idempotency-key", "race")
                .json(&json!({"targets": [{"site": "b"}]})),
        )
    }))
    .await;
    let fresh = many
        .iter()
        .filter(|answer| answer.body["repeat"] == false)
        .count();
    assert_eq!(fresh, 1, "{many:?}");
    assert!(
        many.iter()
            .all(|answer| answer.body["id"] == many[0].body["id"])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_purges_once_in_both_modes() {
    let replica = Replica::start().await;
    replica.apply(&["shop"]).await;
    let structured = |id: &str, data: Value| {
        let event = json!({"specversion": "1.0", "id": id, "source": "/cms", "type": "com.latencify.content.updated", "data": data});
        let request = replica
            .request(Method::POST, "/v1/events")
            .bearer_auth(API_TOKEN);
        answer(
            request
                .header(
                    "content-type",
                    "application/cloudevents+json; charset=utf-8",
                )
                .body(event.to_string()),
        )
    };
    let first = structured(
        "1",
        json!({"urls": ["https://shop.example/a"], "tags": ["t"], "soft": true}),
    )
    .await;
    assert_eq!(
        (first.status, &first.body["repeat"]),
        (StatusCode::ACCEPTED, &json!(false)),
        "{first:?}"
    );
    let again = structured("1", json!({"urls": ["https://shop.example/a"]})).await;
    assert_eq!(
        (&again.body["repeat"], &again.body["purge"]),
        (&json!(true), &first.body["purge"])
    );
    let unknown = structured("2", json!({"urls": ["https://nowhere.example/a"]})).await;
    assert_eq!(
        (unknown.status, problem(&unknown)),
        (StatusCode::UNPROCESSABLE_ENTITY, "unknown-name")
    );
    let long = structured("3", json!({"tags": ["x".repeat(257)]})).await;
    assert_eq!(long.status, StatusCode::UNPROCESSABLE_ENTITY);
    let detail = long.body["detail"].as_str().unwrap();
    assert!(detail.contains("1 to 256 bytes"), "{detail}");

    let binary = replica
        .request(Method::POST, "/v1/events")
        .bearer_auth(API_TOKEN);
    let binary = binary
        .header("content-type", "application/json")
        .header("ce-specversion", "1.0")
        .header("ce-id", "%31%30")
        .header("ce-source", "/cms")
        .header("ce-type", "com.latencify.content.deleted");
    let taken = answer(binary.body(r#"{"site": "shop"}"#)).await;
    assert_eq!(
        (taken.status, &taken.body["repeat"]),
        (StatusCode::ACCEPTED, &json!(false)),
        "{taken:?}"
    );

    let log = replica.get("/v1/log?after=3").await;
    let entries = log.body["entries"].as_array().unwrap();
    let targets: Vec<_> = entries
        .iter()
        .map(|entry| &entry["entry"]["change"]["targets"])
        .collect();
    let expected = [
        json!([{"on": "url", "site": 1, "path": "/a"}, {"on": "tag", "site": 1, "tag": "t"}]),
        json!([{"on": "site", "site": 1}]),
    ];
    assert_eq!(targets, expected.iter().collect::<Vec<_>>());
    assert_eq!(entries[0]["entry"]["change"]["mode"], "soft");
    assert_eq!(
        entries[1]["entry"]["change"]["event"],
        json!({"source": "/cms", "id": "10"})
    );
}
