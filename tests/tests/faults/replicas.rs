//! Two replicas on one log, each with a store of its own: the second says why it does not start, and how it may.

use latencify_conf::api::Replicas;
use latencify_tests::{Control, ControlOptions, Kafka, Process, skip};
use std::time::Duration;
use tempfile::TempDir;

const SOON: Duration = Duration::from_mins(1);

/// What a replica says that does not start.
async fn refusal(options: ControlOptions) -> (String, TempDir) {
    let (mut process, folder): (Process, _) = options
        .flag("--api", "127.0.0.1:0")
        .flag("--fleet", "127.0.0.1:0")
        .start_in_vain();
    let status = process.ended(SOON).await;
    let said = process.said();
    assert_eq!(status.code(), Some(1), "{said}");
    (said, folder)
}

async fn only(control: &Control) -> latencify_conf::api::ReplicaInLog {
    let replicas: Replicas = control.get("/v1/replicas").await;
    assert_eq!(replicas.replicas.len(), 1, "{replicas:#?}");
    assert!(replicas.replicas[0].answers, "{replicas:#?}");
    replicas.replicas[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_beside_anothers_sqlite_stops_at_start_and_says_why() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let on_kafka = || Control::on_kafka(&kafka, "replicas");
    let mut first = on_kafka().start().await;
    let announced = only(&first).await;
    let (said, _) = refusal(on_kafka()).await;
    let remedy = format!("--remove-replica {}", announced.replica);
    for part in [
        &remedy,
        &announced.store.id.to_string(),
        "a clean stop",
        &announced.name,
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }

    // Killed and started again on its own store, it is the same replica: a new run takes the place of the old.
    first.restart().await;
    let again = only(&first).await;
    assert_eq!(again.store, announced.store);
    assert_ne!(again.replica, announced.replica);

    // A clean stop lets another one follow the log.
    first.signal("TERM");
    assert!(first.process().ended(SOON).await.success());
    let mut second = on_kafka().start().await;
    let other = only(&second).await;
    assert_ne!(other.store, announced.store);

    // After a crash the log still has it: the operator says that it is gone for good.
    second.kill();
    let (said, _) = refusal(on_kafka()).await;
    assert!(
        said.contains(&format!("--remove-replica {}", other.replica)),
        "{said}"
    );
    let third = on_kafka()
        .flag("--remove-replica", &other.replica.to_string())
        .start()
        .await;
    assert_ne!(only(&third).await.store, other.store);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_was_taken_out_while_it_lived_stops_and_says_so() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let on_kafka = || Control::on_kafka(&kafka, "taken-out");
    let mut first = on_kafka().start().await;
    let announced = only(&first).await;
    let second = on_kafka()
        .flag("--remove-replica", &announced.replica.to_string())
        .start()
        .await;
    let status = first.process().ended(SOON).await;
    let said = first.process().said();
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(said.contains("taken out"), "{said}");
    assert_ne!(only(&second).await.store, announced.store);
}
