//! What the operator types, and what it says.

use super::{version_at, versioned};
use latencify_tests::{Control, cli, policy::one_route};
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_purges_waits_and_says_who_is_missing() {
    let (origin, version) = versioned().await;
    let control = Control::embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let [mut paris, tokyo] = control.edges(["paris", "tokyo"]).await;
    version_at(&paris, "/a").await;
    version.store(2, Ordering::SeqCst);
    let purge = ["purge", "url", "http://shop.example/a", "--wait"];
    let said = cli::latencify_at(&control, &purge).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(version_at(&paris, "/a").await, 2);

    paris.process().signal("STOP");
    let said = cli::latencify_at(&control, &[&purge[..], &["--timeout", "2s"]].concat()).await;
    assert_eq!(said.code, 1, "{said:?}");
    let words = format!("{}{}", said.stdout, said.stderr);
    assert!(words.contains("paris"), "{said:?}");
    paris.process().signal("CONT");
    assert_eq!(version_at(&tokyo, "/a").await, 2);

    let said = cli::latencify_at(&control, &["purge", "nonsense"]).await;
    assert_eq!(said.code, 2, "{said:?}");
}
