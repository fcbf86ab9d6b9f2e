//! A log that becomes another one under edges that are attached: they start over, and nothing that was purged comes back.

use crate::{
    migrate::{contents, migrate_log, refused},
    versions::versioned,
    writers::{SOON, UNREAD, embedded, on_kafka, purge, until_ready},
};
use latencify_conf::api::PurgeTarget;
use latencify_tests::{Control, Edge, Kafka, policy::one_route, skip, wait_until};
use std::{
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

async fn holds(edges: &[Edge], path: &str, text: &str) {
    for edge in edges {
        edge.keeps("shop.example", path, text).await;
    }
}

fn url(path: &str) -> Vec<PurgeTarget> {
    vec![PurgeTarget::Url(format!("http://shop.example{path}"))]
}

/// Every edge is attached to the log that control follows now.
async fn attached(control: &Control, edges: usize) {
    until_ready(control).await;
    control.everywhere(edges).await;
}

/// After another log was begun: what was stored before is not used any more, purges hold, and new ones work.
async fn starts_over(control: &Control, edges: &[Edge], version: &AtomicUsize) {
    attached(control, edges.len()).await;
    let new = version.fetch_add(1, Ordering::SeqCst) + 1;
    for edge in edges {
        wait_until("nothing old is served", SOON, async || {
            let reply = edge.get("shop.example", "/kept").await;
            if reply.text() == format!("v{new}") {
                Ok(())
            } else {
                Err(format!("{reply:?}"))
            }
        })
        .await;
    }
    holds(edges, "/kept", &format!("v{new}")).await;
    let newer = version.fetch_add(1, Ordering::SeqCst) + 1;
    let purge = control.purge(url("/kept")).await;
    let receipt = control.receipt(&purge.id).await;
    assert_eq!(receipt.edges.len(), edges.len());
    for edge in edges {
        assert_eq!(
            edge.get("shop.example", "/kept").await.text(),
            format!("v{newer}")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_follow_a_log_from_sqlite_to_kafka() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let (origin, version) = versioned().await;
    let mut control = embedded().flag("--log-unread-max", UNREAD).start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let edges = control.edges(["paris", "tokyo"]).await;
    holds(&edges, "/purged", "v1").await;
    holds(&edges, "/kept", "v1").await;
    version.store(2, Ordering::SeqCst);
    let purge = control.purge(url("/purged")).await;
    control.receipt(&purge.id).await;
    let (policy, before): (latencify_conf::api::PolicyDetail, _) = (
        control.get("/v1/policies/head").await,
        control.roster().await,
    );
    control.stop().await;
    let brokers = kafka.brokers();
    migrate_log(
        &control,
        &["--kafka", &brokers, "--kafka-prefix", "followed"],
    )
    .await;
    control.options().set("--kafka", Some(&brokers));
    control.options().set("--kafka-prefix", Some("followed"));
    control.restart().await;
    for edge in &edges {
        assert_eq!(
            edge.get("shop.example", "/purged").await.text(),
            "v2",
            "the purge holds"
        );
    }
    starts_over(&control, &edges, &version).await;
    let after: latencify_conf::api::PolicyDetail = control.get("/v1/policies/head").await;
    assert_eq!(
        (after.summary.revision, after.summary.digest),
        (policy.summary.revision, policy.summary.digest)
    );
    assert_eq!(before.edges.len(), control.roster().await.edges.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_made_anew_while_control_is_stopped() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::private().await;
    let (origin, version) = versioned().await;
    let mut control = on_kafka(&kafka, "stopped")
        .flag("--log-unread-max", UNREAD)
        .start()
        .await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let edges = control.edges(["paris", "tokyo"]).await;
    holds(&edges, "/kept", "v1").await;
    control.stop().await;
    kafka.delete_topic("stopped.changes").await;
    for made_anew in [false, true] {
        if made_anew {
            kafka.create_topic(
                "stopped.changes",
                "--partitions 1 --config retention.ms=-1 --config retention.bytes=-1 --config cleanup.policy=delete",
            );
        }
        let process = control.restart_in_vain();
        process.ended(SOON).await;
        let said = process.said();
        assert!(
            said.contains("migrate-log") && said.contains("--log-is-lost"),
            "{said}"
        );
        assert_eq!(
            kafka.topics().contains(&"stopped.changes".to_owned()),
            made_anew,
            "it makes none"
        );
        assert!(
            kafka.consume("stopped.changes").is_empty(),
            "no second history is begun"
        );
    }
    let brokers = kafka.brokers();
    migrate_log(
        &control,
        &[
            "--kafka",
            &brokers,
            "--kafka-prefix",
            "stopped",
            "--log-is-lost",
        ],
    )
    .await;
    control.restart().await;
    starts_over(&control, &edges, &version).await;
}

/// Copies a folder, in the place of what is there.
pub fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let done = Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status()
        .unwrap();
    assert!(done.success());
}

/// Yesterday's copy of the whole data folder: the same log, rewound, and edges that obey more of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_of_the_data_folder() {
    let (origin, version) = versioned().await;
    let mut control = embedded().flag("--log-unread-max", UNREAD).start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let edges = control.edges(["paris", "tokyo"]).await;
    control.stop().await;
    let (data, backup) = (
        control.folder().join("data"),
        control.folder().join("backup"),
    );
    copy(&data, &backup);
    control.restart().await;
    attached(&control, 2).await;
    for round in 0..5 {
        let purge = control.purge(url(&format!("/since/{round}"))).await;
        control.receipt(&purge.id).await;
    }
    holds(&edges, "/kept", "v1").await;
    control.stop().await;
    copy(&backup, &data);
    migrate_log(&control, &[]).await;
    control.restart().await;
    starts_over(&control, &edges, &version).await;
}

/// Yesterday's copy of `changes.db` alone: the store has folded more than there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_of_the_log_alone() {
    let (origin, version) = versioned().await;
    let mut control = embedded().flag("--log-unread-max", UNREAD).start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let edges = control.edges(["paris", "tokyo"]).await;
    control.stop().await;
    let (log, backup) = (
        control.folder().join("data/changes.db"),
        control.folder().join("backup.db"),
    );
    // What is not yet in the one file is in the other.
    let wal = |file: &Path| file.with_extension("db-wal");
    fs::copy(&log, &backup).unwrap();
    let _ = fs::copy(wal(&log), wal(&backup));
    control.restart().await;
    attached(&control, 2).await;
    let purge = control.purge(url("/since")).await;
    control.receipt(&purge.id).await;
    holds(&edges, "/kept", "v1").await;
    control.stop().await;
    let _ = fs::remove_file(log.with_extension("db-shm"));
    fs::copy(&backup, &log).unwrap();
    let _ = fs::remove_file(wal(&log));
    let _ = fs::copy(wal(&backup), wal(&log));
    let process = control.restart_in_vain();
    process.ended(SOON).await;
    let said = process.said();
    assert!(
        said.contains("but the log ends at") && said.contains("migrate-log"),
        "{said}"
    );
    migrate_log(&control, &["--log-is-lost"]).await;
    control.restart().await;
    let all = control.log().await;
    let is_there =
        |entry: &latencify_conf::api::LogEntry| entry.entry["id"].as_str() == Some(&purge.id);
    assert!(
        all.entries.iter().any(is_there),
        "what the store had folded is kept"
    );
    starts_over(&control, &edges, &version).await;
}

/// An older copy of the log that was written to, beside the store that has folded what came instead: as long, and another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_of_the_log_that_was_written_to() {
    let mut control = embedded().start().await;
    control.stop().await;
    let data = control.folder().join("data");
    let (before, after) = (
        control.folder().join("before"),
        control.folder().join("after"),
    );
    copy(&data, &before);
    let write = async |control: &mut Control, name: &str, count: usize| {
        control.restart().await;
        for number in 0..count {
            let key = format!("{name}-{number}");
            let reply = purge(control.api(), control.api_token(), &key)
                .await
                .unwrap();
            assert_eq!(reply.status, 202, "{}", reply.text());
        }
        let log = control.log().await;
        control.stop().await;
        log
    };
    let mine = write(&mut control, "mine", 5).await;
    copy(&data, &after);
    copy(&before, &data);
    write(&mut control, "others", 9).await;
    // The log of one history, the store of the other.
    for name in ["store.db", "store.db-wal", "store.db-shm"] {
        let _ = fs::remove_file(data.join(name));
        let _ = fs::copy(after.join(name), data.join(name));
    }
    let process = control.restart_in_vain();
    process.ended(SOON).await;
    let said = process.said();
    assert!(
        said.contains("another one in the log than in the store"),
        "{said}"
    );
    migrate_log(&control, &["--log-is-lost"]).await;
    control.restart().await;
    let (old, new) = (contents(&mine), contents(&control.log().await));
    assert_eq!(
        new[..old.len()],
        old[..],
        "what the store had folded is kept"
    );
}

/// The data folder of another time, or of a replica that was behind: the log goes on from one that has more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_behind_follows_the_log_that_another_one_began() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let brokers = kafka.brokers();
    let mut control = on_kafka(&kafka, "behind").start().await;
    control.stop().await;
    let (data, behind) = (
        control.folder().join("data"),
        control.folder().join("behind"),
    );
    let newest = control.folder().join("newest");
    copy(&data, &behind);
    control.restart().await;
    for number in 0..7 {
        let reply = purge(
            control.api(),
            control.api_token(),
            &format!("more-{number}"),
        )
        .await;
        assert_eq!(reply.unwrap().status, 202);
    }
    let log = control.log().await;
    control.stop().await;
    copy(&data, &newest);
    kafka.delete_topic("behind.changes").await;
    let arguments = [
        "--kafka",
        &brokers,
        "--kafka-prefix",
        "behind",
        "--log-is-lost",
    ];
    migrate_log(&control, &arguments).await;
    copy(&behind, &data);
    migrate_log(&control, &arguments).await;
    control.restart().await;
    let (old, new) = (contents(&log), contents(&control.log().await));
    assert_eq!(new[..old.len()], old[..]);
    control.stop().await;
    // The other way round, entries would be lost.
    kafka.delete_topic("behind.changes").await;
    copy(&behind, &data);
    migrate_log(&control, &arguments).await;
    copy(&newest, &data);
    let why = refused(&control, &arguments).await;
    assert!(why.contains("begin with the store that has most"), "{why}");
}
