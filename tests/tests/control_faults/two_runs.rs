//! Two runs of control on one store: a copy of a data folder is started while the run on the original lives.

use crate::{
    moving::copy,
    versions::{uses_what_it_stores, versioned},
    writers::{SOON, UNREAD, on_kafka},
};
use latencify_conf::api::{LogEntry, LogOutcome, PurgeReceipt, PurgeTarget};
use latencify_tests::{Edge, Kafka, policy::one_route, skip, wait_until};
use std::{sync::atomic::Ordering, time::Duration};

const LEASE: &str = "5s";
/// How a run ends that was replaced: the unit says that it is not started again then.
const REPLACED: i32 = 3;
/// Longer than the lease: what the newer run counted from its start would be over.
const BEYOND_THE_LEASE: Duration = Duration::from_secs(8);

/// While the broker stands still, the newer run can't announce itself, and the older one can't read that it did: it goes on
/// answering heartbeats.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fence_counts_from_when_the_older_run_was_replaced() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let mut kafka = Kafka::private().await;
    let (origin, version) = versioned().await;
    let options = || {
        on_kafka(&kafka, "runs")
            .flag("--edge-lease", LEASE)
            .flag("--log-unread-max", UNREAD)
    };
    let (older, newer) = (options(), options());
    let mut older = older.start().await;
    older.apply(&one_route(&origin.url(), "cache: true")).await;
    let [paris]: [Edge; 1] = older.edges(["paris"]).await;
    uses_what_it_stores(&paris).await;
    older.signal("STOP");
    copy(&older.folder().join("data"), &newer.data());
    older.signal("CONT");
    kafka.process().signal("STOP");
    let goes_on = async {
        tokio::time::sleep(BEYOND_THE_LEASE).await;
        assert!(older.process().exited().is_none(), "it lives");
        kafka.process().signal("CONT");
    };
    let (newer, ()) = tokio::join!(newer.start(), goes_on);
    version.store(2, Ordering::SeqCst);
    let purged = newer.purge(vec![PurgeTarget::All(true)]).await;
    let first: PurgeReceipt = newer.get(&format!("/v1/purges/{}", purged.id)).await;
    let receipt = newer.receipt(&purged.id).await;
    let reply = paris.get("shop.example", "/kept").await;
    assert_eq!(
        reply.text(),
        "v2",
        "after {receipt:?}, first {first:?}: {reply:?}"
    );
    let ended = older.process().ended(SOON).await;
    assert_eq!(
        ended.code(),
        Some(REPLACED),
        "a service manager can tell: {}",
        older.process().said()
    );
    // When it has waited it says so, and who comes after it need not.
    wait_until("it says that nobody else answers", 2 * SOON, async || {
        let log = newer.log().await;
        let is_said = |entry: &LogEntry| {
            entry.entry["change"]["kind"] == "replica_alone"
                && entry.outcome == LogOutcome::Accepted
        };
        if log.entries.iter().any(is_said) {
            Ok(())
        } else {
            Err(format!("{:?}", log.entries.last()))
        }
    })
    .await;
}
