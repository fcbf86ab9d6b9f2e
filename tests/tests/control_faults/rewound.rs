//! The broker's own records are put back to an older copy: the same cluster, the same topic, the same log, fewer entries.

use crate::{
    moving::copy,
    topic::is_moved_on,
    writers::{
        SOON, Writers, all_are_there_once, is_a_refusal_to_repeat, on_kafka, purge, until_fault,
        until_ready,
    },
};
use latencify_conf::api::PurgeAccepted;
use latencify_tests::{Control, Kafka, skip};
use std::collections::BTreeMap;

/// Lets some writes be acknowledged.
async fn written(control: &Control, name: &str) -> BTreeMap<String, PurgeAccepted> {
    let writers = Writers::start(control, name, 2);
    writers.see_acknowledged().await;
    writers.end().await
}

/// Writes, keeps a copy of the broker's records, writes more, and puts the copy back.
async fn put_back(kafka: &mut Kafka, control: &Control) -> BTreeMap<String, PurgeAccepted> {
    let mut acknowledged = written(control, "before").await;
    let older = control.folder().join("older-records");
    kafka.kill();
    copy(&kafka.data(), &older);
    kafka.restart().await;
    until_ready(control).await;
    acknowledged.extend(written(control, "after").await);
    kafka.kill();
    copy(&older, &kafka.data());
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_put_back_under_a_running_control_is_noticed() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let mut kafka = Kafka::private().await;
    let control = on_kafka(&kafka, "back").start().await;
    let acknowledged = put_back(&mut kafka, &control).await;
    let applied = control.log().await.applied;
    kafka.restart().await;
    let said = until_fault(&control, &["rewound"]).await;
    assert!(
        said.contains("an older copy was restored") && said.contains("migrate-log"),
        "{said}"
    );
    let reply = purge(control.api(), control.api_token(), "refused").await;
    is_a_refusal_to_repeat(&reply.unwrap());
    assert_eq!(control.log().await.applied, applied, "nothing is taken in");
    is_moved_on(control, &kafka, "back", &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_put_back_is_no_log_to_start_on() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let mut kafka = Kafka::private().await;
    let mut control = on_kafka(&kafka, "start").start().await;
    let acknowledged = put_back(&mut kafka, &control).await;
    control.kill();
    kafka.restart().await;
    let process = control.restart_in_vain();
    process.ended(SOON).await;
    let said = process.said();
    assert!(
        said.contains("but the log ends at") && said.contains("migrate-log --log-is-lost"),
        "{said}"
    );
    // The log is there, so it is not lost as far as anybody can tell: it has to go first.
    let brokers = kafka.brokers();
    let here = ["--kafka", &brokers, "--kafka-prefix", "start"];
    let lost = [&here[..], &["--log-is-lost"]].concat();
    let why = crate::migrate::refused(&control, &lost).await;
    assert!(why.contains("delete it first"), "{why}");
    kafka.delete_topic("start.changes").await;
    // And a store that has followed a log does not begin another one unasked.
    let why = crate::migrate::refused(&control, &here).await;
    assert!(why.contains("--log-is-lost"), "{why}");
    crate::migrate::migrate_log(&control, &lost).await;
    control.restart().await;
    all_are_there_once(&control, &acknowledged).await;
}
