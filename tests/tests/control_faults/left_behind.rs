//! What becomes of a log in Kafka that was moved elsewhere: nobody goes on with it, and whoever comes to it is told where it went.

use crate::{
    migrate::{migrate_log, refused},
    moving::copy,
    writers::{SOON, on_kafka, purge},
};
use latencify_tests::{Kafka, Process, program, skip};
use std::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_another_replica_serves_is_not_moved() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let brokers = kafka.brokers();
    let mut control = on_kafka(&kafka, "served").start().await;
    control.stop().await;
    let other = on_kafka(&kafka, "served").start().await;
    let from = ["--from-kafka", &brokers, "--from-kafka-prefix", "served"];
    let why = refused(&control, &from).await;
    assert!(
        why.contains("another replica serves this log") && why.contains("--remove-replica"),
        "{why}"
    );
    let reply = purge(other.api(), other.api_token(), "still").await;
    assert_eq!(reply.unwrap().status, 202);
    // A name that is mistyped is no reason to begin a log.
    let mistyped = ["--from-kafka", &brokers, "--from-kafka-prefix", "serfed"];
    let why = refused(&control, &mistyped).await;
    assert!(
        why.contains("--from-kafka-prefix") && !why.contains("run latencify-control migrate-log"),
        "{why}"
    );
    assert!(!kafka.topics().contains(&"serfed.changes".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_to_a_log_that_was_moved_is_told_where_it_went() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let brokers = kafka.brokers();
    let mut control = on_kafka(&kafka, "left").start().await;
    control.stop().await;
    // A copy of the folder is the same store, so the log can't tell who of them serves.
    let copied = control.folder().join("copied");
    copy(&control.folder().join("data"), &copied);
    control.restart().await;
    let reply = purge(control.api(), control.api_token(), "last").await;
    assert_eq!(reply.unwrap().status, 202);
    let mut command = Command::new(program("latencify-control"));
    command
        .args(["migrate-log", "--from-kafka", &brokers])
        .args(["--from-kafka-prefix", "left", "--kafka", &brokers])
        .args(["--kafka-prefix", "found", "--data"])
        .arg(&copied);
    let log = control.folder().join("migrate.log");
    let mut move_it = Process::start("migrate-log", command, &log);
    let status = move_it.ended(SOON).await;
    let said = move_it.said();
    assert!(status.success(), "{said}");
    assert!(
        said.contains("not needed any more: the topic left.changes"),
        "{said}"
    );
    // Who served it stops.
    let status = control.process().ended(SOON).await;
    let said = control.process().said();
    assert_eq!(status.code(), Some(3), "{said}");
    let tells = |said: &str| {
        assert!(
            said.contains("was moved to the topic found.changes")
                && said.contains(&format!("--kafka {brokers} --kafka-prefix found")),
            "{said}"
        );
    };
    tells(&said);
    // Its own folder, an empty one, and the one that has moved.
    let process = control.restart_in_vain();
    process.ended(SOON).await;
    tells(&process.said());
    let (mut process, _folder) = on_kafka(&kafka, "left").start_in_vain();
    process.ended(SOON).await;
    tells(&process.said());
    let data = control.folder().join("data");
    let before = control.folder().join("before");
    copy(&data, &before);
    copy(&copied, &data);
    let process = control.restart_in_vain();
    process.ended(SOON).await;
    tells(&process.said());
    // What the copy did not move away from here, the folder itself can follow, and nowhere else.
    copy(&before, &data);
    let from = ["--from-kafka", &brokers, "--from-kafka-prefix", "left"];
    tells(&refused(&control, &from).await);
    let there = [&from[..], &["--kafka", &brokers, "--kafka-prefix", "found"]].concat();
    migrate_log(&control, &there).await;
    control.options().set("--kafka-prefix", Some("found"));
    control.restart().await;
    let reply = purge(control.api(), control.api_token(), "last").await;
    let again: latencify_conf::api::PurgeAccepted = reply.unwrap().json();
    assert!(again.repeat, "what was acknowledged last came along");
}
