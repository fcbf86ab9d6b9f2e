//! Leaving the fleet. From then on receipts do not count on the process: whatever is still connected to it gets nothing that
//! it had stored.

use super::SOON;
use latencify_conf::api::PurgeTarget;
use latencify_tests::{Control, Edge, Origin, Wire, policy::one_route, reply, wait_until};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const HOST: &str = "shop.example";
/// Longer than a process lives after it has left.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_drain_that_ran_out_of_time_nothing_old_is_served_to_who_was_still_connected() {
    for when_isolated in ["serve", "revalidate"] {
        outlives_the_drain(when_isolated, "TERM").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_by_the_predecessor_of_an_upgrade() {
    outlives_the_drain("serve", "USR2").await;
}

/// A client has sent a part of a request when the process is told to go, and the rest when a purge is complete without it.
async fn outlives_the_drain(when_isolated: &str, signal: &str) {
    let version = Arc::new(AtomicU64::new(1));
    let current = version.clone();
    let origin = Origin::serve(move |_| {
        let now = current.load(SeqCst);
        async move { reply::text(format!("version {now}")).max_age(600).done() }
    })
    .await;
    let control = Control::embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let wire = Wire::before(control.fleet()).await;
    let mut edge = Edge::member_at(&control, &wire.url(), "paris")
        .flag("--when-isolated", when_isolated)
        .flag("--drain-timeout", "1s")
        .start()
        .await;
    control.everywhere(1).await;
    let processes = async || {
        let roster = control.roster().await;
        let processes = roster.edges.iter().map(|edge| edge.process);
        processes.collect::<Vec<_>>()
    };
    let before = processes().await;

    let mut late = TcpStream::connect(edge.http()).await.unwrap();
    let head = format!("GET /a HTTP/1.1\r\nHost: {HOST}\r\n");
    late.write_all(head.as_bytes()).await.unwrap();
    wait_until("it hits", SOON, async || {
        let reply = edge.get(HOST, "/a").await;
        if reply.is_hit() {
            Ok(())
        } else {
            Err(reply.header("cache-status").to_owned())
        }
    })
    .await;

    // It says that it leaves, and does not hear that it is out: it stays for as long as it ever does.
    wire.hold_answers();
    edge.process().signal(signal);
    wait_until("the process is out of the roster", SOON, async || {
        let now = processes().await;
        let is_replaced = signal == "TERM" || !now.is_empty();
        if is_replaced && now.iter().all(|process| !before.contains(process)) {
            Ok(())
        } else {
            Err(format!("{now:?}"))
        }
    })
    .await;
    version.store(2, SeqCst);
    let target = PurgeTarget::Url(format!("http://{HOST}/a"));
    let purge = control.purge(vec![target]).await;
    let receipt = control.receipt(&purge.id).await;
    assert!(receipt.complete, "{receipt:?}");

    // Both may fail: the connection is gone.
    let _ = late.write_all(b"\r\n").await;
    let mut answer = Vec::new();
    let read = timeout(ANSWER_WITHIN, late.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        !answer.contains("version 1"),
        "{when_isolated}: after the receipt: {answer}\n{}",
        edge.process().last_words()
    );
    assert!(
        read.is_ok(),
        "{when_isolated}: neither an answer nor an end"
    );
    if signal == "TERM" {
        assert!(edge.process().ended(SOON).await.success());
        assert!(edge.process().said().contains("is cut off"));
    }
}
