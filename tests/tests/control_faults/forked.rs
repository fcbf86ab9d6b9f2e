//! An older copy of a log that was put back, and has grown beyond what the fleet obeyed before any edge comes.

use crate::{
    migrate::migrate_log,
    moving::copy,
    writers::{SOON, embedded, readyz},
};
use latencify_conf::api::PurgeTarget;
use latencify_tests::{Client, Control, Edge, Origin, Wire, policy::one_route, reply, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_lost_what_the_fleet_obeyed_is_told_of() {
    let origin = Origin::serve(|_| async { reply::text("x").max_age(60).done() }).await;
    let mut control = embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let wire = Wire::before(control.fleet()).await;
    let paris = Edge::member_at(&control, &wire.url(), "paris")
        .start()
        .await;
    control.everywhere(1).await;
    let all = || vec![PurgeTarget::All(true)];
    let (data, older) = (
        control.folder().join("data"),
        control.folder().join("older"),
    );
    wire.cut();
    control.stop().await;
    copy(&data, &older);
    control.restart().await;
    wire.mend();
    let lost = control.purge(all()).await;
    control.receipt(&lost.id).await;
    wire.cut();
    control.kill();
    copy(&older, &data);
    control.restart().await;
    // More than was lost: nothing is shorter than it was.
    for _ in 0..5 {
        control.purge(all()).await;
    }
    wire.mend();
    is_told(&control, true).await;
    let metrics = Client::new()
        .get(control.admin(), "admin", "/metrics")
        .await;
    let count = "latencify_control_log_forks_total 1\n";
    assert!(metrics.text().contains(count), "{}", metrics.text());
    wait_until("the edge counts it", SOON, async || {
        let metrics = paris.metrics().await;
        let line = metrics.lines().find(|line| line.contains("log_forked"));
        match line {
            Some(line) if line.ends_with(" 1") => Ok(()),
            line => Err(format!("{line:?}")),
        }
    })
    .await;
    // The edge has started over and shows nothing any more. What is lost is lost, until the operator makes another log.
    control.kill();
    control.restart().await;
    is_told(&control, true).await;
    control.stop().await;
    migrate_log(&control, &[]).await;
    control.restart().await;
    is_told(&control, false).await;
}

/// Whether control tells its operator that the log has lost what an edge obeyed.
async fn is_told(control: &Control, expected: bool) {
    wait_until("control tells its operator, or not", SOON, async || {
        let reply = readyz(control).await;
        let text = reply.text();
        let is_told = text.contains("is not in it") && text.contains("migrate-log");
        if reply.status == 200 && is_told == expected {
            Ok(())
        } else {
            Err(format!("{} {text}", reply.status))
        }
    })
    .await;
}
