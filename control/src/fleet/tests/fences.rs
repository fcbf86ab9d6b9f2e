//! Receipts of edges that are cut off.

use super::{edge::Edge, purge};
use crate::{
    fleet::contacts::Unanswered,
    store::{self, sqlite},
    testing::{Replica, until},
    verbs::Refused,
};
use latencify_conf::{
    change::ProcessId,
    link::message::{WhenIsolated, to_edge::Message as To},
};
use sea_orm::{ConnectionTrait as _, DatabaseConnection};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// State and reason of every edge in a receipt, and whether it is complete.
async fn receipt(replica: &Replica, id: &str, wait: &str) -> (bool, Vec<String>) {
    let receipt = replica
        .get(&format!("/v1/purges/{id}?wait={wait}"))
        .await
        .body;
    let edges = receipt["edges"].as_array().unwrap().iter();
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let states = edges
        .map(|edge| {
            let (name, state, why) = (&edge["edge"], &edge["state"], &edge["why"]);
            format!("{} {} {}", word(name), word(state), word(why))
        })
        .collect();
    (receipt["complete"].as_bool().unwrap(), states)
}

async fn fenced(replica: &Replica) -> Vec<(String, bool)> {
    let edges = replica.get("/v1/edges").await.body["edges"].clone();
    let of = |edge: &Value| {
        (
            edge["edge"].as_str().unwrap().to_owned(),
            edge["fenced"].as_bool().unwrap(),
        )
    };
    edges.as_array().unwrap().iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_receipt_is_told_when_the_lease_of_the_last_edge_is_over() {
    let replica = Replica::start_with(&["--edge-lease", "1s"]).await;
    replica.apply(&["shop"]).await;
    let mut paris = Edge::join(&replica, "paris").await;
    paris.beat(1).await;
    let id = purge(&replica, json!({"all": true})).await;
    // It is connected all the time, and says nothing any more: as one that is stopped.
    let said = receipt(&replica, &id, "20s").await;
    assert_eq!(said, (true, vec!["paris fenced lease_over".to_owned()]));
    let edges = replica.get(&format!("/v1/purges/{id}")).await.body["edges"].clone();
    assert!(edges[0]["since"].as_str().is_some(), "{edges}");
    assert_eq!(fenced(&replica).await, [("paris".to_owned(), true)]);

    // It is back and has been told of the purge: isolated until it obeys it.
    let position = paris.position;
    let process = paris.process;
    drop(paris);
    let mut paris = Edge::attach(&replica, "paris", process, position).await;
    paris.welcomed().await;
    paris.beat(2).await;
    let said = receipt(&replica, &id, "0s").await;
    assert!(said.0 && said.1[0].starts_with("paris fenced"), "{said:?}");
    paris.position = position;
    let mut again = Edge::attach(&replica, "paris", process, position).await;
    again.welcomed().await;
    while again.delivered().await.id.to_string() != id {}
    again.ack().await;
    until("the fenced edge has acked", async || {
        let said = receipt(&replica, &id, "0s").await;
        (said == (true, vec!["paris acked -".to_owned()])).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_serves_when_cut_off_is_missing_and_never_fenced() {
    let replica = Replica::start_with(&["--edge-lease", "1s"]).await;
    replica.apply(&["shop"]).await;
    let process = uuid::Uuid::new_v4();
    let mut serves = Edge::attach_as(&replica, "serves", process, None, WhenIsolated::Serve).await;
    serves.welcomed().await;
    serves.beat(1).await;
    let mut refuses = Edge::attach_as(
        &replica,
        "refuses",
        uuid::Uuid::new_v4(),
        None,
        WhenIsolated::Refuse,
    )
    .await;
    refuses.welcomed().await;
    drop((serves, refuses));
    let id = purge(&replica, json!({"all": true})).await;
    until(
        "the one that refuses is fenced, the other is not",
        async || {
            let expected = [
                "refuses fenced lease_over".to_owned(),
                "serves missing serves".to_owned(),
            ];
            (receipt(&replica, &id, "0s").await == (false, expected.to_vec())).then_some(())
        },
    )
    .await;
    let expected = [("refuses".to_owned(), true), ("serves".to_owned(), false)];
    assert_eq!(fenced(&replica).await, expected);
    let (_, metrics) = replica.admin("/metrics").await;
    for (state, count) in [
        ("connected", 0),
        ("cut_off", 1),
        ("fenced", 1),
        ("ahead", 0),
    ] {
        let line = format!("latencify_control_edges{{state=\"{state}\"}} {count}\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_has_just_started_waits_for_the_lease_that_it_may_have_given() {
    let replica = Replica::start_with(&["--edge-lease", "3s"]).await;
    replica.apply(&["shop"]).await;
    let paris = Edge::join(&replica, "paris").await;
    let id = purge(&replica, json!({"all": true})).await;
    drop(paris);
    // The lease was longer then. A heartbeat may have been answered a moment before.
    let before = Instant::now();
    let replica = Box::pin(replica.restart_with(&["--edge-lease", "1s"])).await;
    let said = receipt(&replica, &id, "20s").await;
    assert_eq!(said, (true, vec!["paris fenced lease_over".to_owned()]));
    assert!(
        before.elapsed() >= Duration::from_secs(3),
        "fenced after {:?}",
        before.elapsed()
    );
}

async fn until_paris_is_fenced(replica: &Replica) {
    until("the dead edge is fenced", async || {
        (fenced(replica).await == [("paris".to_owned(), true)]).then_some(())
    })
    .await;
}

/// Has the write lock of the store: nothing is folded until it is given back.
async fn hold_store(replica: &Replica) -> DatabaseConnection {
    let holder = sqlite::writer(&replica.data().join(store::FILE))
        .await
        .unwrap();
    holder.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    holder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_stays_out_until_the_entry_that_takes_it_out_is_folded() {
    let replica = Replica::start_with(&["--edge-lease", "1s"]).await;
    let paris = Edge::join(&replica, "paris").await;
    let (process, position) = (paris.process, paris.position);
    drop(paris);
    until_paris_is_fenced(&replica).await;

    // Nothing is folded while another holds the store: the entry is in the log, and whoever asked for it does not wait.
    let holder = hold_store(&replica).await;
    let control = &replica.running.control;
    let removal = control.remove_edge("test", "paris");
    let impatient = tokio::time::timeout(Duration::from_millis(300), removal).await;
    assert!(impatient.is_err(), "taken out: {impatient:?}");
    let process_id = ProcessId(process);
    let fold = &control.fleet.fold;
    assert!(fold.state().roster.contains_key(&process_id));
    let word = control.fleet.word();
    let answer = (control.fleet.contacts).answer(process_id, &word, || fold.state());
    assert_eq!(
        answer,
        Err(Unanswered::TakenOut),
        "it will be out, and is promised a lease"
    );
    let mut early = Edge::attach(&replica, "paris", process, position).await;
    assert!(early.ends().await.is_some(), "welcomed meanwhile");

    holder.execute_unprepared("ROLLBACK").await.unwrap();
    until("the process is out", async || {
        (!fold.state().roster.contains_key(&process_id)).then_some(())
    })
    .await;
    // Then it may join again.
    until("the process is back", async || {
        let mut again = Edge::attach(&replica, "paris", process, position).await;
        match again.hear().await {
            Some(To::Welcome(_)) => Some(again),
            _ => None,
        }
    })
    .await
    .beat(1)
    .await;
    assert!(fold.state().roster.contains_key(&process_id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_a_stop_cuts_off_may_take_effect_and_says_so() {
    let replica = Replica::start_with(&["--edge-lease", "1s"]).await;
    let paris = Edge::join(&replica, "paris").await;
    let process = ProcessId(paris.process);
    drop(paris);
    until_paris_is_fenced(&replica).await;
    let holder = hold_store(&replica).await;
    let control = replica.running.control.clone();
    let removing = tokio::spawn({
        let control = control.clone();
        async move { control.remove_edge("test", "paris").await }
    });
    // Looked at, not asked for an answer: that would give it a lease, and then it may not be taken out.
    until("it is being taken out", async || {
        let is_closed = control.fleet.contacts.is_closed(process);
        is_closed.then_some(())
    })
    .await;
    let stopping = replica.restart_after(async |_| {
        holder.execute_unprepared("ROLLBACK").await.unwrap();
        holder.close_by_ref().await.unwrap();
    });
    let (replica, removed) = tokio::join!(stopping, removing);
    let Err(Refused::Write(error)) = removed.unwrap() else {
        panic!("it says what became of it");
    };
    assert!(error.may_take_effect(), "{error}");
    // The next run finds out, whichever it is.
    let answers = replica.get("/v1/edges").await;
    assert!(answers.status.is_success(), "{answers:?}");
}
