//! Stores that are older than what the fleet was told, without anything in them saying so: who they may serve, and what
//! their receipts are worth.

use crate::{
    moving::copy,
    versions::{uses_what_it_stores, versioned},
    writers::{SOON, embedded, on_kafka, purge, readyz, until_ready},
};
use latencify_conf::api::{EdgeState, LogOutcome, PurgeReceipt, PurgeTarget, Replicas};
use latencify_tests::{
    Client, Control, ControlOptions, Edge, Kafka, Origin, Process, Wire, policy::one_route,
    program, skip, wait_until, wait_while_ok,
};
use std::{process::Command, sync::atomic::Ordering, time::Duration};

/// Longer than the lease of most tests here, and than a stream needs to be made anew.
const A_WHILE: Duration = Duration::from_secs(8);

/// A control that has a policy, so that edges run one.
async fn with_policy(options: ControlOptions) -> (Control, Origin) {
    let (origin, _) = versioned().await;
    let control = options.start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    (control, origin)
}

fn kept() -> Vec<PurgeTarget> {
    vec![PurgeTarget::Url("http://shop.example/kept".to_owned())]
}

async fn is_isolated(edge: &Edge) -> Result<(), String> {
    let reply = Client::new().get(edge.admin(), "admin", "/readyz").await;
    let text = reply.text().to_owned();
    if text.contains("isolated") {
        Ok(())
    } else {
        Err(format!("{} {text}", reply.status))
    }
}

async fn until_connected(control: &Control, name: &str) {
    wait_until("the edge is attached", 2 * SOON, async || {
        let asked = control.ask(http::Method::GET, "/v1/edges", None, None::<&()>);
        let reply = asked.await.map_err(|error| error.to_string())?;
        let roster: latencify_conf::api::Edges = reply.json();
        let is_there = roster
            .edges
            .iter()
            .any(|edge| edge.edge == name && edge.state == EdgeState::Connected);
        if is_there {
            Ok(())
        } else {
            Err(format!("{roster:?}"))
        }
    })
    .await;
}

/// Starts control on the same addresses and data, where it can't listen yet.
fn start_again(control: &Control, kafka: &Kafka, prefix: &str) -> Process {
    let mut command = Command::new(program("latencify-control"));
    command
        .arg("--data")
        .arg(control.folder().join("data"))
        .args(["--kafka", &kafka.brokers(), "--kafka-prefix", prefix])
        .args(["--edge-lease", "2s"])
        .args(["--api", &control.api().to_string()])
        .args(["--fleet", &control.fleet().to_string()])
        .args(["--admin", &control.admin().to_string()])
        .env("LATENCIFY_API_TOKEN", control.api_token())
        .env("LATENCIFY_JOIN_TOKEN", control.join_token())
        .current_dir(control.folder());
    Process::start("control", command, &control.folder().join("again.log"))
}

/// The edge was away while the purge was acknowledged without it. An older copy of the store does not know of the purge, and
/// its log can't be asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_store_serves_no_edge_while_its_log_is_away() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let mut kafka = Kafka::private().await;
    let (origin, version) = versioned().await;
    let mut control = on_kafka(&kafka, "older")
        .flag("--edge-lease", "2s")
        .start()
        .await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let [paris] = control.edges(["paris"]).await;
    control.stop().await;
    let (data, older) = (
        control.folder().join("data"),
        control.folder().join("older"),
    );
    copy(&data, &older);
    control.restart().await;
    until_connected(&control, "paris").await;
    uses_what_it_stores(&paris).await;
    paris.signal("STOP");
    version.store(2, Ordering::SeqCst);
    let purged = control.purge(kept()).await;
    control.receipt(&purged.id).await;
    control.kill();
    copy(&older, &data);
    kafka.kill();
    let mut again = start_again(&control, &kafka, "older");
    paris.signal("CONT");
    wait_until("paris is isolated", SOON, async || {
        is_isolated(&paris).await
    })
    .await;
    wait_while_ok("nothing old is served", A_WHILE, async || {
        is_isolated(&paris).await?;
        match paris.get("shop.example", "/kept").await {
            reply if reply.text() == "v2" => Ok(()),
            reply => Err(format!("{reply:?}")),
        }
    })
    .await;
    wait_until("control says what it waits for", SOON, async || {
        assert!(again.exited().is_none(), "{}", again.said());
        match again.said() {
            said if said.contains("waiting for Kafka") => Ok(()),
            said => Err(said),
        }
    })
    .await;
    // And whoever asks for its health is answered meanwhile.
    let reply = readyz(&control).await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(
        reply.text().contains("opening: the change log"),
        "{reply:?}"
    );
    kafka.restart().await;
    until_connected(&control, "paris").await;
    assert_eq!(paris.get("shop.example", "/kept").await.text(), "v2");
    let receipt: PurgeReceipt = control.get(&format!("/v1/purges/{}", purged.id)).await;
    assert_eq!(receipt.edges.len(), 1, "the purge is folded: {receipt:?}");
}

/// An entry that this version can't read ends what it can fold. A newer one may have served the fleet beyond it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_that_cannot_read_its_log_to_the_end_serves_no_edge() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let control = on_kafka(&kafka, "newer").flag("--edge-lease", "2s");
    let (mut control, _origin) = with_policy(control).await;
    let [paris] = control.edges(["paris"]).await;
    // Killed, so that it is announced still.
    control.kill();
    kafka.produce("newer.changes", &[r#"{"kind":"newer"}"#]);
    control.restart_unready().await;
    wait_until("paris is isolated", SOON, async || {
        is_isolated(&paris).await
    })
    .await;
    wait_while_ok("paris is isolated", A_WHILE, async || {
        is_isolated(&paris).await
    })
    .await;
    let reply = readyz(&control).await;
    let said = reply.text();
    assert_eq!(reply.status, 503, "{said}");
    assert!(
        said.contains("stopped: ") && said.contains("this replica serves no edge"),
        "{said}"
    );
}

/// The whole data folder is put back, and the log is in it: nothing tells of an edge that joined since and holds a lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_wait_for_the_leases_that_an_older_copy_does_not_know() {
    let (origin, version) = versioned().await;
    let mut control = embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    control.stop().await;
    let (data, older) = (
        control.folder().join("data"),
        control.folder().join("older"),
    );
    copy(&data, &older);
    control.restart().await;
    let wire = Wire::before(control.fleet()).await;
    let paris = Edge::member_at(&control, &wire.url(), "paris")
        .start()
        .await;
    control.everywhere(1).await;
    uses_what_it_stores(&paris).await;
    version.store(2, Ordering::SeqCst);
    wire.cut();
    control.kill();
    copy(&older, &data);
    control.restart().await;
    let purged = control.purge(kept()).await;
    let path = format!("/v1/purges/{}", purged.id);
    let first: PurgeReceipt = control.get(&path).await;
    let receipt = control.receipt(&purged.id).await;
    assert!(
        receipt.edges.is_empty(),
        "the copy knows of none: {receipt:?}"
    );
    let reply = paris.get("shop.example", "/kept").await;
    assert_eq!(
        reply.text(),
        "v2",
        "after {receipt:?}, first {first:?}: {reply:?}"
    );
    assert!(
        first.complete || first.held_ms.is_some(),
        "the wait has a reason: {first:?}"
    );
    // After that, receipts wait for nobody who is not there.
    let purged = control.purge(kept()).await;
    let receipt: PurgeReceipt = control.get(&format!("/v1/purges/{}", purged.id)).await;
    assert!(receipt.complete && receipt.held_ms.is_none(), "{receipt:?}");
    drop(paris);
}

async fn this_run(control: &Control) -> latencify_conf::change::ReplicaId {
    let replicas: Replicas = control.get("/v1/replicas").await;
    let own = replicas.replicas.iter().find(|replica| replica.answers);
    own.unwrap_or_else(|| panic!("{replicas:?}")).replica
}

/// A removal that a run of control handed to its broker comes to the log when the next run serves the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_comes_to_the_log_after_its_run_of_control_counts_no_more() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let (mut control, _origin) = with_policy(on_kafka(&kafka, "late")).await;
    let [_paris] = control.edges(["paris"]).await;
    let before = this_run(&control).await;
    let member = control.roster().await.edges.remove(0);
    control.kill();
    control.restart().await;
    until_connected(&control, "paris").await;
    let after = this_run(&control).await;
    assert_ne!(before, after);
    let late = |id: u32, replica| {
        format!(
            r#"{{"id":"018f0000-0000-7000-8000-{id:012}","by":"token:default","at":"2026-11-23T01:02:16Z","change":{{"kind":"edge_left","process":"{}","why":"removed","replica":"{replica}"}}}}"#,
            member.process
        )
    };
    kafka.produce("late.changes", &[&late(1, before)]);
    let outcome = wait_until("it is folded", SOON, async || {
        let log = control.log().await;
        let found = log.entries.iter().find(|entry| {
            entry.entry["id"]
                .as_str()
                .is_some_and(|id| id.ends_with("0001") && id.starts_with("018f0000-0000"))
        });
        found.map(|entry| entry.outcome).ok_or("it is not")
    })
    .await;
    assert_eq!(outcome, LogOutcome::Conflict);
    let roster = control.roster().await;
    assert_eq!(
        (roster.edges[0].process, roster.edges[0].joined),
        (member.process, member.joined),
        "it never was out: {roster:?}"
    );
    let purged = control.purge(vec![PurgeTarget::All(true)]).await;
    assert_eq!(control.receipt(&purged.id).await.edges.len(), 1);
}

/// The same with a broker that really stands still: whichever comes first, the edge that serves is in the roster.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_in_doubt_when_control_is_killed_takes_out_nobody_who_serves() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let mut kafka = Kafka::private().await;
    let control = on_kafka(&kafka, "doubt").flag("--edge-lease", "2s");
    let (mut control, _origin) = with_policy(control).await;
    let [paris] = control.edges(["paris"]).await;
    paris.signal("STOP");
    wait_until("control gives paris up", SOON, async || {
        let roster = control.roster().await;
        match roster.edges.first() {
            Some(edge) if edge.state == EdgeState::Disconnected && edge.fenced => Ok(()),
            _ => Err(format!("{roster:?}")),
        }
    })
    .await;
    kafka.process().signal("STOP");
    let removal = control
        .ask(http::Method::DELETE, "/v1/edges/paris", None, None::<&()>)
        .await
        .unwrap();
    assert_eq!(removal.status, 503, "{}", removal.text());
    control.kill();
    kafka.process().signal("CONT");
    paris.signal("CONT");
    control.restart().await;
    until_ready(&control).await;
    until_connected(&control, "paris").await;
    for number in 0..5 {
        let reply = purge(
            control.api(),
            control.api_token(),
            &format!("after-{number}"),
        )
        .await
        .unwrap();
        let accepted: latencify_conf::api::PurgeAccepted = reply.json();
        let receipt = control.receipt(&accepted.id).await;
        let states: Vec<_> = receipt.edges.iter().map(|edge| edge.state).collect();
        assert_eq!(states.len(), 1, "{receipt:?}");
    }
}
