//! What an operator is told of edges that are cut off.

use super::{
    SOON,
    stand::{Stand, start, when_isolated},
};
use latencify_tests::{Control, Edge, cli, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_says_who_is_fenced_and_fails_only_for_who_is_missing() {
    let stand = Stand::new().await;
    let control = start(Control::embedded()).await;
    control.apply(&stand.policy(0)).await;
    let fences = when_isolated(Edge::member(&control, "fences"), "revalidate")
        .start()
        .await;
    let serves = when_isolated(Edge::member(&control, "serves"), "serve")
        .start()
        .await;
    control.everywhere(2).await;
    let purge = ["purge", "all", "--wait"];

    // It waits for the lease of the one that is stopped, and ends well by itself.
    fences.signal("STOP");
    let said = cli::latencify_at(&control, &purge).await;
    assert_eq!(said.code, 0, "{said:?}");
    for word in [
        "fenced",
        "its lease is over since 20",
        "acked",
        "nothing that it stored before",
    ] {
        assert!(said.stdout.contains(word), "{word}: {said:?}");
    }
    let said = cli::latencify_at(&control, &["edge", "list"]).await;
    assert!(
        said.stdout.contains("(fenced)") || said.stdout.contains("connected, fenced"),
        "{said:?}"
    );
    wait_until("the stopped edge's stream is given up", SOON, async || {
        let said = cli::latencify_at(&control, &["edge", "list"]).await;
        let told = said.stdout.contains("cut off for ") && said.stdout.contains(" s (fenced)");
        if told { Ok(()) } else { Err(said.stdout) }
    })
    .await;
    fences.signal("CONT");
    control.everywhere(2).await;

    // One that serves whatever happens is missing until it acks.
    serves.signal("STOP");
    let said = cli::latencify_at(&control, &[&purge[..], &["--timeout", "8s"]].concat()).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("serves ("), "{said:?}");
    assert!(
        said.stderr.contains("serves what it stored all the same"),
        "{said:?}"
    );
    assert!(!said.stderr.contains("fences ("), "{said:?}");
    wait_until("the list says so", SOON, async || {
        let said = cli::latencify_at(&control, &["edge", "list"]).await;
        if said.stdout.contains(" s (serves)") {
            Ok(())
        } else {
            Err(said.stdout)
        }
    })
    .await;
    serves.signal("CONT");
    let said = cli::latencify_at(&control, &purge).await;
    assert_eq!(said.code, 0, "{said:?}");
    let said = cli::latencify_at(&control, &["replica", "list"]).await;
    assert!(
        said.code == 0 && said.stdout.contains("(answers)"),
        "{said:?}"
    );
}
