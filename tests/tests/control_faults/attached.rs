//! Edges while control can't write: who is in the roster stays attached and may come back, and a new process is told why it
//! can't join.

use crate::{
    small_disk::SmallDisk,
    writers::{SOON, embedded, on_kafka, purge, until_fault, until_ready},
};
use latencify_conf::api::EdgeState;
use latencify_tests::{
    Client, Control, Edge, Kafka, Origin, policy::one_route, reply, skip, wait_until, wait_while_ok,
};
use std::{fs, time::Duration};

/// Longer than a lease: an edge whose heartbeats are not answered is isolated by then.
const BEYOND_THE_LEASE: Duration = Duration::from_secs(13);

async fn is_connected(control: &Control, name: &str) -> Result<(), String> {
    let roster = control.roster().await;
    let is_there = roster
        .edges
        .iter()
        .any(|edge| edge.edge == name && edge.state == EdgeState::Connected);
    if is_there {
        Ok(())
    } else {
        Err(format!("{roster:?}"))
    }
}

/// Not isolated: `/readyz` of the edge says so.
async fn is_not_isolated(edge: &Edge) -> Result<(), String> {
    let reply = Client::new().get(edge.admin(), "admin", "/readyz").await;
    let text = reply.text().to_owned();
    if reply.status == 200 && !text.contains("isolated") {
        Ok(())
    } else {
        Err(format!("{} {text}", reply.status))
    }
}

/// What holds while control can't write. `breaks` makes it so.
async fn edges_stay(control: &Control, kinds: &[&str], breaks: impl AsyncFnOnce()) -> (Edge, Edge) {
    let origin = Origin::serve(|_| async { reply::text("x").max_age(60).done() }).await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let [paris] = control.edges(["paris"]).await;
    breaks().await;
    // A write finds out.
    wait_until("a write is refused", SOON, async || {
        let reply = purge(control.api(), control.api_token(), "found-out").await;
        match reply {
            Ok(reply) if reply.status == 503 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    until_fault(control, kinds).await;
    wait_while_ok("paris is attached", BEYOND_THE_LEASE, async || {
        is_connected(control, "paris").await?;
        is_not_isolated(&paris).await
    })
    .await;
    // A stream that broke is made anew, by the process that is in the roster.
    paris_comes_back(control, &paris).await;
    let mut tokyo = Edge::member(control, "tokyo").start().await;
    wait_until("tokyo says why it can't join", SOON, async || {
        let said = tokyo.process().said();
        // Without a certificate it needs one first.
        let reasons = ["can't be written", "do not answer", "disk is full"];
        let is_told = reasons.iter().any(|reason| said.contains(reason));
        if is_told { Ok(()) } else { Err(said) }
    })
    .await;
    assert!(is_connected(control, "tokyo").await.is_err());
    (paris, tokyo)
}

/// Its process is stopped for longer than control waits for a word, and goes on.
async fn paris_comes_back(control: &Control, paris: &Edge) {
    paris.signal("STOP");
    wait_until(
        "control gives paris up",
        SOON,
        async || match is_connected(control, "paris").await {
            Ok(()) => Err("it is connected"),
            Err(_) => Ok(()),
        },
    )
    .await;
    paris.signal("CONT");
    wait_until("paris is attached again", SOON, async || {
        is_connected(control, "paris").await
    })
    .await;
    wait_until("paris is not isolated", SOON, async || {
        is_not_isolated(paris).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_stay_attached_while_the_disk_is_full() {
    let options = embedded();
    fs::create_dir(options.data()).unwrap();
    let Some(disk) = SmallDisk::at(&options.data(), 48 << 20).await else {
        skip!("no mount namespaces here: run as root, or allow user namespaces");
    };
    let mut control = options.by(&disk.enter()).start().await;
    let (paris, _tokyo) = edges_stay(&control, &["disk_full", "io"], async || disk.fill()).await;
    // Control that starts anew on the full disk serves who is in the roster.
    control.kill();
    control.restart_unready().await;
    until_fault(&control, &["disk_full", "io"]).await;
    wait_until("paris is back", SOON, async || {
        is_connected(&control, "paris").await
    })
    .await;
    wait_until("paris is not isolated", SOON, async || {
        is_not_isolated(&paris).await
    })
    .await;
    disk.clear();
    until_ready(&control).await;
    wait_until("tokyo joins", SOON, async || {
        is_connected(&control, "tokyo").await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_stay_attached_while_the_broker_is_away() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let mut kafka = Kafka::private().await;
    // However long this takes here, it is shorter.
    let control = on_kafka(&kafka, "attached").flag("--log-unread-max", "1h");
    let control = control.start().await;
    let (_paris, _tokyo) = edges_stay(&control, &["away"], async || kafka.kill()).await;
    kafka.restart().await;
    until_ready(&control).await;
    wait_until("tokyo joins", SOON, async || {
        is_connected(&control, "tokyo").await
    })
    .await;
}
