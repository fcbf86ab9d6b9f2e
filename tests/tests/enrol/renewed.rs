//! Certificates that are renewed while purges come.

use super::{control, identity};
use latencify_conf::api::PurgeTarget;
use latencify_tests::wait_until;
use std::{collections::BTreeSet, fs, time::Duration};

/// Long enough for a machine where others build to renew in time, short enough to see several.
const LIFETIME: &str = "20s";
const SEEN: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_renewed_without_a_purge_that_is_lost() {
    let (mut control, _origin) = control(&[("--certificate-lifetime", LIFETIME)]).await;
    let [mut paris, tokyo] = control.edges(["paris", "tokyo"]).await;
    let mut seen = [BTreeSet::new(), BTreeSet::new()];
    let mut purges = 0;
    wait_until(
        "each edge has had three certificates",
        Duration::from_mins(4),
        async || {
            for (edge, seen) in [&paris, &tokyo].into_iter().zip(&mut seen) {
                seen.insert(fs::read(identity(edge)).unwrap());
            }
            let purge = control
                .purge(vec![PurgeTarget::Url(format!(
                    "http://shop.example/{purges}"
                ))])
                .await;
            purges += 1;
            let receipt = control.receipt(&purge.id).await;
            assert_eq!(receipt.edges.len(), 2, "{receipt:?}");
            if seen.iter().all(|seen| seen.len() >= SEEN) {
                Ok(())
            } else {
                Err(format!(
                    "{} and {} in {purges} purges",
                    seen[0].len(),
                    seen[1].len()
                ))
            }
        },
    )
    .await;
    // Nobody was sent away, and nobody left: each stream was one more, and nothing else.
    let refused = "latencify_gateway_link_errors_total{error=\"unauthorised\"}";
    for edge in [&paris, &tokyo] {
        assert!(edge.metric(refused).await < 1.0, "{}", edge.metrics().await);
    }
    assert_eq!(control.roster().await.edges.len(), 2);
    // A process that takes over shares them.
    paris.upgrade().await;
    wait_until("who took over is there", super::SOON, async || {
        let purge = control.purge(vec![PurgeTarget::All(true)]).await;
        let receipt = control.receipt(&purge.id).await;
        if receipt.complete {
            Ok(())
        } else {
            Err(format!("{receipt:?}"))
        }
    })
    .await;
    // Control's own certificate was replaced as often: whoever comes now is not turned away.
    let lyon = latencify_tests::Edge::member(&control, "lyon")
        .start()
        .await;
    wait_until("lyon is there", super::SOON, async || {
        let roster = control.roster().await;
        if roster.edges.iter().any(|edge| edge.edge == "lyon") {
            Ok(())
        } else {
            Err(format!("{roster:?}\n{}", control.process().last_words()))
        }
    })
    .await;
    drop(lyon);
}
