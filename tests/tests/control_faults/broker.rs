//! The broker is away for a minute: killed, and stopped in the middle of its work.

use crate::writers::{SOON, Writers, all_are_there_once, on_kafka, until_fault, until_ready};
use latencify_tests::{Control, Kafka, skip, wait_until, wait_while_ok};
use std::time::Duration;

/// The time that this is about.
const AWAY: Duration = Duration::from_mins(1);

async fn goes_on_without_help(control: &Control, writers: Writers, acknowledged_before: usize) {
    until_ready(control).await;
    wait_until("writes are acknowledged again", SOON, async || {
        let log = control.log().await;
        if log.entries.len() > acknowledged_before {
            Ok(())
        } else {
            Err(log.entries.len())
        }
    })
    .await;
    let acknowledged = writers.end().await;
    all_are_there_once(control, &acknowledged).await;
}

/// Lets a minute pass in which control says what is wrong.
async fn away(control: &Control, writers: &Writers) {
    let said = until_fault(control, &["away"]).await;
    assert!(said.contains("do not answer"), "{said}");
    writers.see_refusals().await;
    wait_while_ok("control tells that its broker is away", AWAY, async || {
        let reply = crate::writers::readyz(control).await;
        if reply.status == 503 {
            Ok(())
        } else {
            Err(format!("{reply:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_is_away_for_a_minute() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let mut kafka = Kafka::private().await;
    let mut control = on_kafka(&kafka, "killed").start().await;
    let writers = Writers::start(&control, "killed", 4);
    writers.see_acknowledged().await;
    kafka.kill();
    away(&control, &writers).await;
    let before = control.log().await.entries.len();
    kafka.restart().await;
    goes_on_without_help(&control, writers, before).await;
    let told = control
        .process()
        .said()
        .matches("writes are refused until")
        .count();
    assert!((1..=3).contains(&told), "told {told} times");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_stopped_is_away_for_a_minute() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let mut kafka = Kafka::private().await;
    let control = on_kafka(&kafka, "stopped").start().await;
    let writers = Writers::start(&control, "stopped", 4);
    writers.see_acknowledged().await;
    kafka.process().signal("STOP");
    away(&control, &writers).await;
    let before = control.log().await.entries.len();
    kafka.process().signal("CONT");
    goes_on_without_help(&control, writers, before).await;
}
