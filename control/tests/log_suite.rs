//! One behaviour suite for every change log. SQLite runs always; Kafka runs on the broker named by
//! `LATENCIFY_TEST_KAFKA` (`host:port`), else on one that is started from `deploy/kafka/run` if its jars are there, and
//! is reported as skipped otherwise.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests may fail at once"
)]

mod broker;
#[path = "log_suite/suite.rs"]
mod suite;

use broker::Broker;
use latencify_control::{
    kafka::Cluster,
    log::{ChangeLog, LogError, Opening, kafka::KafkaLog, sqlite::SqliteLog},
};
use rdkafka::admin::{NewTopic, TopicReplication};
use std::{path::Path, sync::Arc};

async fn sqlite(folder: &Path) -> Arc<dyn ChangeLog> {
    Arc::new(
        SqliteLog::open(folder, Opening::Follow(None))
            .await
            .unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_what_a_log_promises() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_path_buf();
    suite::run(async || sqlite(&path).await).await;
}

#[tokio::test]
async fn a_sqlite_file_that_begins_with_something_else_is_not_a_log() {
    use sea_orm::ConnectionTrait as _;
    let folder = tempfile::tempdir().unwrap();
    drop(sqlite(folder.path()).await);
    let file = folder.path().join(latencify_control::log::sqlite::FILE);
    let database = latencify_control::store::sqlite::writer(&file)
        .await
        .unwrap();
    database
        .execute_unprepared("update changes set bytes = x'7b7d'")
        .await
        .unwrap();
    assert!(matches!(
        SqliteLog::open(folder.path(), Opening::Follow(None)).await,
        Err(LogError::NotALog(_))
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_keeps_what_a_log_promises() {
    let Some(broker) = Broker::get("kafka_keeps_what_a_log_promises") else {
        return;
    };
    let cluster = broker.cluster("suite");
    suite::run(async || {
        let log: Arc<dyn ChangeLog> = Arc::new(
            KafkaLog::open(cluster.clone(), Opening::Follow(None))
                .await
                .unwrap(),
        );
        log
    })
    .await;
    a_topic_that_forgets_is_refused(&broker).await;
    a_topic_that_may_lose_entries_is_told_of(&broker).await;
    two_replicas_that_begin_at_once_agree(&broker).await;
}

async fn a_topic_that_forgets_is_refused(broker: &Broker) {
    let cluster = broker.cluster("forgets");
    let name = cluster.topic("changes");
    let topic = latencify_control::kafka::topic(&name, 1).set("retention.ms", "1000");
    cluster.ensure_topic(&topic).await.unwrap();
    let error = KafkaLog::open(cluster, Opening::Follow(None))
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("retention.ms=-1"), "{error}");

    let cluster = broker.cluster("parted");
    let name = cluster.topic("changes");
    let kept = latencify_control::kafka::topic(&name, 2)
        .set("retention.ms", "-1")
        .set("retention.bytes", "-1")
        .set("cleanup.policy", "delete");
    cluster.ensure_topic(&kept).await.unwrap();
    let error = KafkaLog::open(cluster, Opening::Follow(None))
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("2 partitions"), "{error}");
}

async fn a_topic_that_may_lose_entries_is_told_of(broker: &Broker) {
    let cluster = broker.cluster("risks");
    let name = cluster.topic("changes");
    let topic = [
        ("cleanup.policy", "delete"),
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
        ("min.insync.replicas", "1"),
        ("unclean.leader.election.enable", "true"),
    ]
    .into_iter()
    .fold(
        NewTopic::new(&name, 1, TopicReplication::Fixed(1)),
        |topic, (key, value)| topic.set(key, value),
    );
    cluster.ensure_topic(&topic).await.unwrap();
    let log = KafkaLog::open(cluster, Opening::Follow(None))
        .await
        .unwrap();
    let risks = log.risks();
    for (risk, says) in risks.iter().zip([
        "has 1 replica,",
        "min.insync.replicas=2",
        "unclean.leader.election.enable=false",
        "message.timestamp.type=LogAppendTime",
    ]) {
        assert!(risk.contains(&name) && risk.contains(says), "{risk}");
    }
    assert_eq!(risks.len(), 4, "{risks:?}");
}

async fn two_replicas_that_begin_at_once_agree(broker: &Broker) {
    let cluster: Cluster = broker.cluster("race");
    let (one, two) = tokio::join!(
        KafkaLog::open(cluster.clone(), Opening::Follow(None)),
        KafkaLog::open(cluster.clone(), Opening::Follow(None))
    );
    assert_eq!(one.unwrap().identity(), two.unwrap().identity());
}
