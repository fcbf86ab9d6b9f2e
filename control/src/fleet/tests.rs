mod edge;
mod enrolment;
mod fences;
mod histories;
mod resolving;

use crate::testing::{API_TOKEN, JOIN_TOKEN, Replica, answer, until};
use edge::{Edge, client, stranger, with_token};
use latencify_conf::{
    bundle::Bundle,
    change::{Change, LeaveReason, Position, ProcessId, Target},
    link::message::{
        EdgePurge, FromEdge, Heartbeat, Leave, PolicyReport, PolicyRequest, RenewRequest,
        from_edge::Message as From, to_edge::Message as To,
    },
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tonic::Code;

async fn purge(replica: &Replica, target: Value) -> String {
    let answer = replica
        .post("/v1/purges", json!({"targets": [target]}))
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    answer.body["id"].as_str().unwrap().to_owned()
}

async fn receipt(replica: &Replica, id: &str, wait: &str) -> (bool, Vec<(String, String)>) {
    let receipt = replica
        .get(&format!("/v1/purges/{id}?wait={wait}"))
        .await
        .body;
    let edges = receipt["edges"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let states = edges
        .map(|edge| (text(&edge["edge"]), text(&edge["state"])))
        .collect();
    (receipt["complete"].as_bool().unwrap(), states)
}

fn states(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(edge, state)| ((*edge).to_owned(), (*state).to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_wants_a_certificate() {
    let replica = Replica::start().await;
    let mut client = stranger(&replica).await;
    // A token that is good for a certificate is good for nothing else.
    for token in ["wrong", "", API_TOKEN, JOIN_TOKEN] {
        let attach = client
            .attach(with_token(tokio_stream::empty::<FromEdge>(), token))
            .await;
        assert_eq!(attach.err().unwrap().code(), Code::Unauthenticated);
        let fetch = client
            .fetch_policy(with_token(PolicyRequest::default(), token))
            .await;
        assert_eq!(fetch.err().unwrap().code(), Code::Unauthenticated);
        let purge = client.purge(with_token(EdgePurge::default(), token)).await;
        assert_eq!(purge.err().unwrap().code(), Code::Unauthenticated);
        let renew = client
            .renew(with_token(RenewRequest::default(), token))
            .await;
        assert_eq!(renew.err().unwrap().code(), Code::Unauthenticated);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_reaches_every_edge_and_its_receipt_tells_who_obeys() {
    let replica = Replica::start().await;
    replica.apply(&["shop"]).await;
    let (mut paris, mut tokyo) = (
        Edge::join(&replica, "paris").await,
        Edge::join(&replica, "tokyo").await,
    );
    paris.delivered().await; // tokyo's join
    let id = purge(&replica, json!({"url": "https://shop.example/a"})).await;
    for edge in [&mut paris, &mut tokyo] {
        let Change::Purge { targets, .. } = edge.delivered().await.change else {
            panic!("not the purge")
        };
        assert!(matches!(&targets[..], [Target::Url { path, .. }] if path == "/a"));
    }
    assert_eq!(
        receipt(&replica, &id, "0s").await,
        (false, states(&[("paris", "missing"), ("tokyo", "missing")]))
    );
    paris.ack().await;
    until("paris's ack shows", async || {
        let (complete, now) = receipt(&replica, &id, "0s").await;
        (!complete && now == states(&[("paris", "acked"), ("tokyo", "missing")])).then_some(())
    })
    .await;
    let (waiting, ()) = tokio::join!(receipt(&replica, &id, "20s"), tokyo.ack());
    assert_eq!(
        waiting,
        (true, states(&[("paris", "acked"), ("tokyo", "acked")]))
    );
    let whole = replica.get(&format!("/v1/purges/{id}")).await.body;
    assert!(
        whole["edges"]
            .as_array()
            .unwrap()
            .iter()
            .all(|edge| edge["latency_us"].as_u64().is_some()),
        "{whole}"
    );
    // An edge that joins later is not asked.
    let _later = Edge::join(&replica, "rome").await;
    assert_eq!(receipt(&replica, &id, "0s").await.1.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_comes_back_continues_and_its_position_is_an_ack() {
    let replica = Replica::start().await;
    replica.apply(&["shop"]).await;
    let mut edge = Edge::join(&replica, "paris").await;
    let id = purge(&replica, json!({"all": true})).await;
    edge.delivered().await;
    let (process, position) = (edge.process, edge.position);
    drop(edge);
    // It obeys the purge, and the ack is lost with the stream and the replica.
    let replica = replica.restart().await;
    assert_eq!(
        receipt(&replica, &id, "0s").await,
        (false, states(&[("paris", "missing")]))
    );
    let mut edge = Edge::attach(&replica, "paris", process, position).await;
    let welcome = edge.welcomed().await;
    assert!(!welcome.reset);
    assert_eq!(
        receipt(&replica, &id, "20s").await,
        (true, states(&[("paris", "acked")]))
    );

    // Away for a while, it receives what it missed, in order, once.
    drop(edge);
    let mut missed = Vec::new();
    for number in 0..150 {
        missed.push(purge(&replica, json!({"tag": {"tag": number.to_string()}})).await);
    }
    // A replica that has just started has nothing in memory: the store delivers.
    let replica = replica.restart().await;
    let mut edge = Edge::attach(&replica, "paris", process, position).await;
    assert!(!edge.welcomed().await.reset);
    for id in &missed {
        assert_eq!(edge.delivered().await.id.to_string(), *id);
    }
    edge.ack().await;
    assert!(receipt(&replica, missed.last().unwrap(), "20s").await.0);

    // A position that this log never had starts over, and what was acked before counts no more.
    let forged = Position {
        hash: position.unwrap().hash,
        ..edge.position.unwrap()
    };
    let mut edge = Edge::attach(&replica, "paris", process, Some(forged)).await;
    let head = replica.get("/v1/edges").await.body["head"].as_u64();
    let welcome = edge.welcomed().await;
    assert_eq!(
        (welcome.reset, welcome.start.map(|start| start.epoch)),
        (true, head)
    );
    assert!(!receipt(&replica, &id, "0s").await.0);
    edge.ack().await;
    assert!(receipt(&replica, &id, "20s").await.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joining_leaving_and_being_removed() {
    let replica = Replica::start_with(&["--edge-lease", "6s"]).await;
    replica.apply(&["shop"]).await;
    let roster = async || {
        let edges = replica.get("/v1/edges").await.body["edges"].clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        edges
            .as_array()
            .unwrap()
            .iter()
            .map(|edge| (text(&edge["edge"]), text(&edge["state"])))
            .collect::<Vec<_>>()
    };
    let remove = async |edge: &str| {
        answer(
            replica
                .request(Method::DELETE, &format!("/v1/edges/{edge}"))
                .bearer_auth(API_TOKEN),
        )
        .await
    };
    let mut stays = Edge::join(&replica, "stays").await;
    let mut leaves = Edge::join(&replica, "leaves").await;
    let dies = Edge::join(&replica, "dies").await;
    let id = purge(&replica, json!({"all": true})).await;

    leaves.say(From::Leave(Leave {})).await;
    assert!(leaves.ends().await.is_none(), "a clean stop is no refusal");
    drop(dies);
    until("the dead edge shows as disconnected", async || {
        (roster().await == states(&[("dies", "disconnected"), ("stays", "connected")]))
            .then_some(())
    })
    .await;
    let expected = states(&[
        ("dies", "missing"),
        ("leaves", "left"),
        ("stays", "missing"),
    ]);
    assert_eq!(receipt(&replica, &id, "0s").await, (false, expected));

    assert_eq!(
        remove("stays").await.status,
        StatusCode::CONFLICT,
        "a name does not remove who is connected"
    );
    let hint = remove("dise").await.body["detail"].to_string();
    assert!(hint.contains("did you mean"), "{hint}");
    // It may only seem dead: until its lease must have run out, receipts count on it.
    let removed = remove("dies");
    tokio::pin!(removed);
    for sequence in 1.. {
        stays.say(From::Heartbeat(Heartbeat { sequence })).await;
        let beat = Duration::from_millis(200);
        if let Ok(removed) = tokio::time::timeout(beat, &mut removed).await {
            assert_eq!(removed.status, StatusCode::OK);
            assert!(sequence > 4, "taken out while its lease ran");
            break;
        }
    }
    assert_eq!(roster().await, states(&[("stays", "connected")]));
    while stays.delivered().await.id.to_string() != id {}
    stays.ack().await;
    let expected = states(&[("dies", "left"), ("leaves", "left"), ("stays", "acked")]);
    assert_eq!(receipt(&replica, &id, "20s").await, (true, expected));

    assert_eq!(
        remove(&stays.process.to_string()).await.status,
        StatusCode::CONFLICT,
        "nor does a process id"
    );
    assert_eq!(roster().await, states(&[("stays", "connected")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_is_removed_while_it_lives_joins_again_and_is_counted_on() {
    let replica = Replica::start().await;
    replica.apply(&["shop"]).await;
    let mut edge = Edge::join(&replica, "paris").await;
    let before = edge.position;
    let id = purge(&replica, json!({"all": true})).await;
    // As when it comes back between the operator's look and the entry.
    let change = Change::EdgeLeft {
        replica: None,
        process: ProcessId(edge.process),
        why: LeaveReason::Removed,
    };
    let writer = &replica.running.control.fleet.writer;
    writer.write("test", None, change).await.unwrap();
    let refusal = edge.ends().await.unwrap();
    assert!(!refusal.r#final, "it shall come again at once: {refusal:?}");
    assert_eq!(
        receipt(&replica, &id, "0s").await,
        (true, states(&[("paris", "left")]))
    );

    let mut edge = Edge::attach(&replica, "paris", edge.process, before).await;
    assert!(!edge.welcomed().await.reset);
    let state = replica.running.control.fleet.fold.state();
    assert!(state.roster.contains_key(&ProcessId(edge.process)));
    assert_eq!(
        receipt(&replica, &id, "0s").await,
        (false, states(&[("paris", "missing")])),
        "it serves, and has not obeyed"
    );
    edge.position = before;
    while edge.delivered().await.id.to_string() != id {}
    edge.ack().await;
    assert_eq!(
        receipt(&replica, &id, "20s").await,
        (true, states(&[("paris", "acked")]))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_stream_of_a_process_replaces_the_older() {
    let replica = Replica::start().await;
    let mut older = Edge::join(&replica, "paris").await;
    let mut newer = Edge::attach(&replica, "paris", older.process, older.position).await;
    assert!(!newer.welcomed().await.reset);
    assert!(older.ends().await.is_none());
    newer.say(From::Heartbeat(Heartbeat { sequence: 9 })).await;
    assert!(matches!(newer.hear().await, Some(To::Heartbeat(answer)) if answer.sequence == 9));
    assert_eq!(
        replica.get("/v1/edges").await.body["edges"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_are_named_fetched_and_reported() {
    let replica = Replica::start().await;
    let mut edge = Edge::join(&replica, "paris").await;
    replica.apply(&["shop"]).await;
    let target = loop {
        if let Some(To::Target(target)) = edge.hear().await {
            break target;
        }
    };
    assert_eq!(
        (target.revision, target.sites.len(), target.sites[0].id),
        (1, 1, 1)
    );
    let mut client = client(&replica, "paris").await;
    let fetch = PolicyRequest {
        digest: target.digest.clone(),
    };
    let mut chunks = client.fetch_policy(fetch).await.unwrap().into_inner();
    let mut json = Vec::new();
    while let Some(chunk) = chunks.message().await.unwrap() {
        json.extend_from_slice(&chunk.bytes);
    }
    let bundle: Bundle = serde_json::from_slice(&json).unwrap();
    assert_eq!(bundle.digest().0[..], target.digest[..]);
    let unknown = PolicyRequest {
        digest: bytes::Bytes::from_static(&[7; 32]),
    };
    assert_eq!(
        client.fetch_policy(unknown).await.err().unwrap().code(),
        Code::NotFound
    );

    let status = async |counts: [u64; 3]| {
        until("the status shows what was reported", async || {
            let status = replica.get("/v1/policies/head/status").await.body;
            let now = ["running", "failed", "pending"].map(|name| status[name].as_u64().unwrap());
            (now == counts).then_some(status)
        })
        .await
    };
    status([0, 0, 1]).await;
    let failed = PolicyReport {
        failed: target.digest.clone(),
        failed_revision: 1,
        reason: "no file".into(),
        ..PolicyReport::default()
    };
    edge.say(From::Policy(failed)).await;
    assert_eq!(
        status([0, 1, 0]).await["edges"][0]["policy"]["reason"],
        "no file"
    );
    edge.say(From::Policy(PolicyReport {
        running: target.digest,
        revision: 1,
        ..PolicyReport::default()
    }))
    .await;
    status([1, 0, 0]).await;

    // A host that only the edge's revision knows is still found, and its site's id is that revision's.
    replica.apply(&["other"]).await;
    let id = purge(&replica, json!({"url": "https://shop.example/x"})).await;
    let log = replica.get("/v1/log?after=0").await.body;
    let entry = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["entry"]["id"] == *id)
        .unwrap();
    assert_eq!(
        entry["entry"]["change"]["targets"],
        json!([{"on": "url", "site": 1, "path": "/x"}])
    );
}
