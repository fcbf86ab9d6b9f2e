//! `migrate-log` that is killed behind the mark at the end of the old log and before the store has gone over to the new one:
//! then neither log can be followed, and the move is finished by running it again.

use crate::{
    migrate::{migrate_log, start_migrate_log},
    writers::{SOON, Writers, all_are_there_once, on_kafka},
};
use latencify_tests::{Kafka, OtherTransaction, skip, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_is_killed_behind_the_mark_is_finished_by_running_it_again() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let brokers = kafka.brokers();
    let mut control = on_kafka(&kafka, "marked").start().await;
    let writers = Writers::start(&control, "marked", 2);
    writers.see_acknowledged().await;
    let acknowledged = writers.end().await;
    control.stop().await;
    // While it reads, the journal can't be brought into the file, which is what a move does behind the mark.
    let store = control.folder().join("data/store.db");
    let Some(reader) = OtherTransaction::reading(&store, "entries") else {
        skip!("no sqlite3 here: deploy/setup tools");
    };
    let arguments = ["--from-kafka", &brokers, "--from-kafka-prefix", "marked"];
    let mut moving = start_migrate_log(&control, &arguments);
    wait_until("the old log is marked", SOON, async || {
        let is_mark = |line: &String| line.contains("log_moved");
        if kafka.consume("marked.changes").iter().any(is_mark) {
            Ok(())
        } else {
            Err(moving.said())
        }
    })
    .await;
    // Killed, or given up because of the reader just before that.
    moving.kill();
    assert!(!moving.said().contains("is now log"), "{}", moving.said());
    drop(reader);
    let process = control.restart_in_vain();
    process.ended(SOON).await;
    let said = process.said();
    assert!(said.contains("was moved to"), "{said}");
    let said = migrate_log(&control, &arguments).await;
    assert!(said.contains("is now log"), "{said}");
    control.options().set("--kafka", None);
    control.options().set("--kafka-prefix", None);
    control.restart().await;
    all_are_there_once(&control, &acknowledged).await;
}
