//! Edges that were away, and edges whose control is.

use super::{SOON, version_at, versioned};
use latencify_conf::api::PurgeTarget;
use latencify_tests::{Control, policy::one_route, wait_until};
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_was_away_catches_up() {
    let (origin, version) = versioned().await;
    let control = Control::embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let [mut paris, tokyo] = control.edges(["paris", "tokyo"]).await;
    version_at(&paris, "/a").await;
    // Stopped in the middle of its life, not ended: what it holds, it still holds.
    paris.process().signal("STOP");
    version.store(2, Ordering::SeqCst);
    let purge = control
        .purge(vec![PurgeTarget::Url("http://shop.example/a".to_owned())])
        .await;
    let early: latencify_conf::api::PurgeReceipt =
        control.get(&format!("/v1/purges/{}", purge.id)).await;
    assert!(!early.complete, "{early:?}");
    assert_eq!(version_at(&tokyo, "/a").await, 2);
    paris.process().signal("CONT");
    control.receipt(&purge.id).await;
    assert_eq!(version_at(&paris, "/a").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_starts_without_control_on_its_last_good_policy() {
    let (origin, _) = versioned().await;
    let mut control = Control::embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let [mut edge] = control.edges(["paris"]).await;
    control.kill();
    edge.restart().await;
    wait_until("it serves", SOON, async || {
        let reply = edge.get("shop.example", "/a").await;
        if reply.status == 200 {
            Ok(())
        } else {
            Err(format!("{reply:?}"))
        }
    })
    .await;
}
