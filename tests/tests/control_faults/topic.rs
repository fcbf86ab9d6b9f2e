//! The topic of the log: what control refuses, and what it notices while it runs.

use crate::writers::{
    SOON, UNREAD, Writers, all_are_there_once, is_a_refusal_to_repeat, on_kafka, purge, readyz,
    until_fault, until_ready,
};
use latencify_tests::{Control, Kafka, skip, wait_until};

/// As the topic must be kept.
const KEPT: &str = "--partitions 1 --config retention.ms=-1 --config retention.bytes=-1 --config cleanup.policy=delete";

/// The command of Kafka that a message names.
fn command_in(said: &str, name: &str) -> String {
    let start = said
        .find(name)
        .unwrap_or_else(|| panic!("no {name} in {said}"));
    let rest = &said[start..];
    let end = rest
        .find([';', ')', ',', '\n'])
        .filter(|_| name != "kafka-configs.sh");
    let end = end.or_else(|| rest.find([';', '\n'])).unwrap_or(rest.len());
    rest[..end].to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_loses_entries_is_refused_with_the_command_that_mends_it() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let cases = [
        (
            "ms",
            "--partitions 1 --config retention.bytes=-1 --config retention.ms=604800000",
            "retention.ms=604800000",
        ),
        (
            "bytes",
            "--partitions 1 --config retention.ms=-1 --config retention.bytes=1000000",
            "retention.bytes=1000000",
        ),
        (
            "compact",
            "--partitions 1 --config retention.ms=-1 --config cleanup.policy=compact",
            "cleanup.policy=compact",
        ),
        (
            "small",
            "--partitions 1 --config retention.ms=-1 --config max.message.bytes=200000",
            "max.message.bytes=200000",
        ),
        (
            "parts",
            "--partitions 3 --config retention.ms=-1",
            "3 partitions",
        ),
    ];
    for (prefix, made_with, told) in cases {
        kafka.create_topic(&format!("{prefix}.changes"), made_with);
        let (mut process, folder) = on_kafka(&kafka, prefix)
            .flag("--api", "127.0.0.1:0")
            .flag("--fleet", "127.0.0.1:0")
            .start_in_vain();
        let status = process.ended(SOON).await;
        let said = process.said();
        assert_eq!(status.code(), Some(1), "{said}");
        let error = said
            .lines()
            .find(|line| line.starts_with("error: "))
            .unwrap_or_default();
        assert!(error.contains(told), "{prefix}: {said}");
        let name = if prefix == "parts" {
            "kafka-topics.sh"
        } else {
            "kafka-configs.sh"
        };
        kafka.command(&command_in(error, name));
        drop((process, folder));
        let control = on_kafka(&kafka, prefix).start().await;
        let reply = purge(control.api(), control.api_token(), prefix)
            .await
            .unwrap();
        assert_eq!(reply.status, 202, "{}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_records_are_refused_and_the_store_goes_on_as_another_log() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let mut control = on_kafka(&kafka, "cut").start().await;
    let writers = Writers::start(&control, "cut", 1);
    wait_until("some are written", SOON, async || {
        let written = control.log().await.entries.len();
        if written > 20 { Ok(()) } else { Err(written) }
    })
    .await;
    let acknowledged = writers.end().await;
    let plan = control.folder().join("plan.json");
    std::fs::write(
        &plan,
        r#"{"version":1,"partitions":[{"topic":"cut.changes","partition":0,"offset":5}]}"#,
    )
    .unwrap();
    kafka.command(&format!(
        "kafka-delete-records.sh --bootstrap-server {} --offset-json-file {}",
        kafka.brokers(),
        plan.display()
    ));
    control.stop().await;
    let process = control.restart_in_vain();
    process.ended(SOON).await;
    let said = process.said();
    assert!(
        said.contains("entries were deleted") && said.contains("migrate-log"),
        "{said}"
    );
    kafka.command(&command_in(&said, "kafka-topics.sh"));
    crate::migrate::migrate_log(
        &control,
        &[
            "--kafka",
            &kafka.brokers(),
            "--kafka-prefix",
            "cut",
            "--log-is-lost",
        ],
    )
    .await;
    control.restart().await;
    all_are_there_once(&control, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_deleted_under_a_running_control_is_noticed() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::private().await;
    let control = on_kafka(&kafka, "gone").start().await;
    let writers = Writers::start(&control, "gone", 2);
    wait_until("some are written", SOON, async || {
        let written = control.log().await.entries.len();
        if written > 20 { Ok(()) } else { Err(written) }
    })
    .await;
    kafka.delete_topic("gone.changes").await;
    let said = until_fault(&control, &["missing", "replaced"]).await;
    assert!(said.contains("migrate-log"), "{said}");
    writers.see_refusals().await;
    let acknowledged = writers.end().await;
    is_moved_on(control, &kafka, "gone", &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_made_anew_under_a_running_control_is_noticed() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::private().await;
    let control = on_kafka(&kafka, "anew").start().await;
    let writers = Writers::start(&control, "anew", 2);
    wait_until("some are written", SOON, async || {
        let written = control.log().await.entries.len();
        if written > 20 { Ok(()) } else { Err(written) }
    })
    .await;
    kafka.delete_topic("anew.changes").await;
    kafka.create_topic("anew.changes", KEPT);
    let said = until_fault(&control, &["missing", "replaced", "rewound"]).await;
    assert!(said.contains("migrate-log"), "{said}");
    writers.see_refusals().await;
    let acknowledged = writers.end().await;
    is_moved_on(control, &kafka, "anew", &acknowledged).await;
}

/// Another log is begun in the place of this one, and soon has more entries than this one had: none of them is taken in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anothers_log_in_the_topic_is_never_followed() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::private().await;
    let control = on_kafka(&kafka, "other").start().await;
    let before = control.log().await;
    kafka.delete_topic("other.changes").await;
    let other = on_kafka(&kafka, "other").start().await;
    for number in 0..20 {
        let reply = purge(other.api(), other.api_token(), &format!("others-{number}"))
            .await
            .unwrap();
        assert_eq!(reply.status, 202, "{}", reply.text());
    }
    let said = until_fault(&control, &["replaced"]).await;
    assert!(said.contains("holds log"), "{said}");
    is_a_refusal_to_repeat(
        &purge(control.api(), control.api_token(), "mine")
            .await
            .unwrap(),
    );
    assert_eq!(
        control.log().await.entries,
        before.entries,
        "nothing of it is taken in"
    );
    // And nothing of this one has come into the other.
    assert_eq!(readyz(&other).await.status, 200);
    let reply = purge(other.api(), other.api_token(), "last").await.unwrap();
    assert_eq!(reply.status, 202, "{}", reply.text());
}

/// What the operator is told to do brings everything back that was acknowledged.
pub async fn is_moved_on(
    mut control: Control,
    kafka: &Kafka,
    prefix: &str,
    acknowledged: &std::collections::BTreeMap<String, latencify_conf::api::PurgeAccepted>,
) {
    all_are_there_once(&control, acknowledged).await;
    let identity = control.log().await.log;
    control.stop().await;
    let topic = format!("{prefix}.changes");
    if kafka.topics().contains(&topic) {
        kafka.delete_topic(&topic).await;
    }
    let brokers = kafka.brokers();
    crate::migrate::migrate_log(
        &control,
        &[
            "--kafka",
            &brokers,
            "--kafka-prefix",
            prefix,
            "--log-is-lost",
        ],
    )
    .await;
    control.restart().await;
    until_ready(&control).await;
    assert_ne!(control.log().await.log, identity);
    all_are_there_once(&control, acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_comes_to_forget_while_control_runs_is_told_of() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let control = on_kafka(&kafka, "later").start().await;
    kafka.command(&format!(
        "kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name later.changes --add-config \
         retention.ms=604800000",
        kafka.brokers()
    ));
    wait_until("control warns", 2 * SOON, async || {
        let reply = readyz(&control).await;
        if reply.status == 200 && reply.text().contains("retention.ms=604800000") {
            Ok(())
        } else {
            Err(format!("{} {}", reply.status, reply.text()))
        }
    })
    .await;
    // Purges go on: refusing them would bring nothing back.
    let reply = purge(control.api(), control.api_token(), "still")
        .await
        .unwrap();
    assert_eq!(reply.status, 202, "{}", reply.text());
}

/// Everything that a running control has read of its log is deleted, and nothing is written: it can't tell any more whether
/// that is the same log. It says what to do about it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_log_whose_entries_are_all_deleted_is_told_of_until_one_is_written() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let control = on_kafka(&kafka, "quiet")
        .flag("--log-unread-max", UNREAD)
        .start()
        .await;
    let plan = control.folder().join("plan.json");
    std::fs::write(
        &plan,
        r#"{"version":1,"partitions":[{"topic":"quiet.changes","partition":0,"offset":-1}]}"#,
    )
    .unwrap();
    kafka.command(&format!(
        "kafka-delete-records.sh --bootstrap-server {} --offset-json-file {}",
        kafka.brokers(),
        plan.display()
    ));
    until_fault(&control, &["unread"]).await;
    // The reason is that of the latest attempt, which a slow broker may have left without an answer.
    let remedy = wait_until("the remedy is told", 2 * SOON, async || {
        let told = readyz(&control).await;
        match told.text().split_once("so that no more are, run ") {
            Some((why, remedy)) if why.contains("entries were deleted") => Ok(remedy.to_owned()),
            _ => Err(told.text().to_owned()),
        }
    })
    .await;
    kafka.command(&command_in(&remedy, "kafka-configs.sh"));
    wait_until("a purge is taken", 2 * SOON, async || {
        let reply = purge(control.api(), control.api_token(), "behind").await;
        let reply = reply.map_err(|error| error.to_string())?;
        if reply.status.is_success() {
            Ok(())
        } else {
            Err(format!("{} {}", reply.status, reply.text()))
        }
    })
    .await;
    until_ready(&control).await;
}
