//! Somebody on the path to control who alters what control says. That an entry which was altered behind TLS is refused by the
//! chain is shown where control itself is played: gateway/src/fleet/tests/stream.rs.

use super::{NAMES, SOON, version_at, versioned};
use latencify_conf::api::PurgeTarget;
use latencify_tests::{Control, Edge, Wire, policy::one_route, wait_until};
use std::sync::atomic::Ordering;

const SAID: &str = "/what-is-purged";
const KEPT: &str = "/what-is-not";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_octet_breaks_the_stream_and_the_true_entry_is_obeyed() {
    let (origin, version) = versioned().await;
    let control = Control::embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let wire = Wire::altering(control.fleet()).await;
    let mut edge = Edge::member_at(&control, &wire.url(), NAMES[0])
        .start()
        .await;
    control.everywhere(1).await;
    for path in [SAID, KEPT] {
        assert_eq!(version_at(&edge, path).await, 1);
    }
    version.store(2, Ordering::SeqCst);
    wire.alters();
    let purge = control
        .purge(vec![PurgeTarget::Url(format!("http://shop.example{SAID}"))])
        .await;

    wait_until("the edge tells of it", SOON, async || {
        if edge.process().said().contains("link to control is down") {
            Ok(())
        } else {
            Err(format!("{} altered", wire.altered()))
        }
    })
    .await;
    assert_eq!(wire.altered(), 1);
    let receipt = control.receipt(&purge.id).await;
    assert_eq!(receipt.edges.len(), 1, "{receipt:?}");
    let kept = edge.get("shop.example", KEPT).await;
    assert!(kept.is_hit() && kept.text() == "1", "{kept:?}");
    assert_eq!(version_at(&edge, SAID).await, 2);
}
