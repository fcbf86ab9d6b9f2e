//! Somebody on the path to control who alters what control says.

use super::{NAMES, SOON, version_at, versioned};
use latencify_conf::api::PurgeTarget;
use latencify_tests::{Control, Edge, Wire, policy::one_route, wait_until};
use std::sync::atomic::Ordering;

const SAID: &str = "/what-was-said";
const HEARD: &str = "/what-is-heard";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_entry_is_noticed_and_refused_and_the_true_one_obeyed() {
    let (origin, version) = versioned().await;
    let control = Control::embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let fleet = control.fleet_url();
    let server = fleet.trim_start_matches("http://").parse().unwrap();
    let wire = Wire::altering(server, SAID, HEARD).await;
    let mut edge = Edge::member_at(&control, &wire.url(), NAMES[0])
        .start()
        .await;
    control.everywhere(1).await;
    for path in [SAID, HEARD] {
        assert_eq!(version_at(&edge, path).await, 1);
    }
    version.store(2, Ordering::SeqCst);
    let purge = control
        .purge(vec![PurgeTarget::Url(format!("http://shop.example{SAID}"))])
        .await;

    wait_until("the edge tells of the forgery", SOON, async || {
        if edge.process().said().contains("can't be trusted") {
            Ok(())
        } else {
            Err(format!("{} altered", wire.altered()))
        }
    })
    .await;
    assert_eq!(wire.altered(), 1);
    let receipt = control.receipt(&purge.id).await;
    assert_eq!(receipt.edges.len(), 1, "{receipt:?}");
    let noticed = edge
        .metric("latencify_gateway_link_errors_total{error=\"altered\"}")
        .await;
    assert!(
        (noticed - 1.0).abs() < f64::EPSILON,
        "noticed {noticed} times"
    );
    let forged = edge.get("shop.example", HEARD).await;
    assert!(forged.is_hit() && forged.text() == "1", "{forged:?}");
    assert_eq!(version_at(&edge, SAID).await, 2);
}
