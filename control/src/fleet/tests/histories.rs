//! Edges and replicas that don't stand on the same history.

use super::{edge::Edge, purge, receipt, states};
use crate::testing::{Replica, until};
use latencify_conf::change::Epoch;
use serde_json::json;

/// A copy of a data folder that nobody writes to, as a backup makes it. A database that is closed meanwhile takes the file
/// beside it away: then it is copied again.
async fn copy(from: &std::path::Path, to: &std::path::Path) {
    until("a copy is whole", async || {
        let _ = std::fs::remove_dir_all(to);
        std::fs::create_dir_all(to).unwrap();
        let files = std::fs::read_dir(from).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        names.sort();
        let copied = |name| std::fs::copy(from.join(name), to.join(name)).is_ok();
        names.iter().all(copied).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_ahead_of_a_restored_copy_is_turned_away_loudly_and_its_acks_count_no_more() {
    let replica = Replica::start().await;
    replica.apply(&["shop"]).await;
    let mut paris = Edge::join(&replica, "paris").await;
    let backup = tempfile::tempdir().unwrap();
    let replica = replica
        .restart_after(async |data| copy(&data, backup.path()).await)
        .await;
    let mut paris = Edge::attach(&replica, "paris", paris.process, paris.position.take()).await;
    paris.welcomed().await;
    // What is lost by the restore, and obeyed by the edge.
    for number in 0..4 {
        let id = purge(&replica, json!({"tag": {"tag": number.to_string()}})).await;
        while paris.delivered().await.id.to_string() != id {}
    }
    paris.ack().await;
    let (process, obeyed) = (paris.process, paris.position.unwrap());
    drop(paris);
    let replica = replica
        .restart_after(async |data| {
            std::fs::remove_dir_all(&data).unwrap();
            copy(backup.path(), &data).await;
        })
        .await;

    // The log is shorter than what the edge obeys: it may come again, and the operator is told.
    let mut paris = Edge::attach(&replica, "paris", process, Some(obeyed)).await;
    let refusal = paris.ends().await.unwrap();
    assert!(!refusal.r#final, "{refusal:?}");
    let edges = replica.get("/v1/edges").await.body;
    assert_eq!(edges["edges"][0]["ahead"], obeyed.epoch.0, "{edges}");
    let (status, ready) = replica.admin("/readyz").await;
    assert!(
        status.is_success() && ready.contains("migrate-log"),
        "{ready}"
    );
    let (_, metrics) = replica.admin("/metrics").await;
    assert!(
        metrics.contains(r#"latencify_control_edges{state="ahead"} 1"#),
        "{metrics}"
    );

    // The new history goes on to where the edge stands, and beyond: the hash decides.
    let mut id = String::new();
    while replica.get("/v1/edges").await.body["head"]
        .as_u64()
        .unwrap()
        <= obeyed.epoch.0
    {
        id = purge(&replica, json!({"tag": {"tag": "new"}})).await;
    }
    assert_eq!(
        receipt(&replica, &id, "0s").await,
        (false, states(&[("paris", "missing")])),
        "an ack of the abandoned history is none of the new one"
    );
    let mut paris = Edge::attach(&replica, "paris", process, Some(obeyed)).await;
    assert!(paris.welcomed().await.reset);
    assert_eq!(
        receipt(&replica, &id, "0s").await,
        (false, states(&[("paris", "missing")]))
    );
    paris.ack().await;
    assert_eq!(
        receipt(&replica, &id, "20s").await,
        (true, states(&[("paris", "acked")]))
    );
    // That the log has grown makes nothing whole that was lost: the operator is told however often the edge comes.
    let position = paris.position;
    drop(paris);
    let mut paris = Edge::attach(&replica, "paris", process, position).await;
    assert!(!paris.welcomed().await.reset);
    let (status, ready) = replica.admin("/readyz").await;
    assert!(
        status.is_success() && ready.contains("is not in it") && ready.contains("migrate-log"),
        "{ready}"
    );
    let (_, metrics) = replica.admin("/metrics").await;
    assert!(
        metrics.contains("latencify_control_log_forks_total 1\n"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_was_told_of_more_than_the_log_has_is_welcome_and_the_operator_is_told() {
    let replica = Replica::start().await;
    replica.apply(&["shop"]).await;
    let mut paris = Edge::join(&replica, "paris").await;
    let (process, position) = (paris.process, paris.position);
    let told = Epoch(paris.beat(1).await.0 + 3);
    drop(paris);
    let is_told = async || {
        let (status, ready) = replica.admin("/readyz").await;
        assert!(status.is_success(), "{ready}");
        ready.contains(&format!("was told that this log goes to epoch {told}"))
    };
    let mut paris = Edge::attach_told(&replica, "paris", process, position, told).await;
    assert!(!paris.welcomed().await.reset);
    until("the operator is told", async || {
        is_told().await.then_some(())
    })
    .await;
    // Until the log has gone on to there.
    while paris.beat(2).await < told {
        purge(&replica, json!({"tag": {"tag": "more"}})).await;
    }
    assert!(!is_told().await);
}
