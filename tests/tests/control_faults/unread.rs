//! Two runs of control on one store, of which the older is cut off from the log and not from its edge: what the newer says of
//! that edge is true.

use crate::{
    moving::copy,
    versions::{uses_what_it_stores, versioned},
    writers::{SOON, UNREAD, readyz, until_fault, until_ready},
};
use latencify_conf::api::{PurgeReceipt, PurgeTarget, ReceiptState};
use latencify_tests::{
    Client, Control, ControlOptions, Edge, Kafka, Origin, Reply, policy::one_route, skip,
    wait_until, wait_while_ok,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const LEASE: &str = "3s";
/// Longer than an edge needs to come again and to say that it lives.
const A_WHILE: Duration = Duration::from_secs(5);
/// How a run ends that was replaced.
const REPLACED: i32 = 3;

struct Scene {
    kafka: Kafka,
    older: Control,
    newer: Control,
    paris: Edge,
    version: Arc<AtomicUsize>,
    _origin: Origin,
}

fn on(brokers: &str) -> ControlOptions {
    Control::embedded()
        .environment("RUST_LOG", "warn,librdkafka=error")
        .flag("--kafka", brokers)
        .flag("--kafka-prefix", "unread")
        .flag("--edge-lease", LEASE)
        .flag("--log-unread-max", UNREAD)
}

impl Scene {
    /// The older run serves an edge, and a newer one starts on a copy of its data, while `cut` keeps the older one from
    /// reading that.
    async fn set(cut: impl FnOnce(&Kafka, &Control)) -> Self {
        let kafka = Kafka::private_behind_a_wire().await;
        let (origin, version) = versioned().await;
        let older = on(&kafka.wire().address().to_string()).start().await;
        older.apply(&one_route(&origin.url(), "cache: true")).await;
        let [paris] = older.edges(["paris"]).await;
        uses_what_it_stores(&paris).await;
        let newer = on(&kafka.brokers());
        older.signal("STOP");
        copy(&older.folder().join("data"), &newer.data());
        older.signal("CONT");
        cut(&kafka, &older);
        Self {
            kafka,
            older,
            newer: newer.start().await,
            paris,
            version,
            _origin: origin,
        }
    }

    /// What the newer run says of a purge that the edge does not hear of, and what the edge serves behind that: nothing
    /// old, if the receipt says so. In the end it does.
    async fn a_purge_is_true(&self) {
        self.version.store(2, Ordering::SeqCst);
        let purged = self.newer.purge(vec![PurgeTarget::All(true)]).await;
        let path = format!("/v1/purges/{}", purged.id);
        wait_until("the receipt is complete", 2 * SOON, async || {
            let receipt: PurgeReceipt = self.newer.get(&path).await;
            let reply = self.paris.get("shop.example", "/kept").await;
            let [paris] = &receipt.edges[..] else {
                panic!("{receipt:?}")
            };
            if paris.state == ReceiptState::Missing {
                return Err(format!("{receipt:?}"));
            }
            assert_eq!(reply.text(), "v2", "after {receipt:?}: {reply:?}");
            assert_eq!(paris.state, ReceiptState::Fenced);
            Ok(())
        })
        .await;
    }
}

async fn edge_ready(edge: &Edge) -> Reply {
    Client::new().get(edge.admin(), "admin", "/readyz").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_an_older_run_answers_is_fenced_when_that_run_has_not_read_the_log_for_too_long()
 {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let mut scene = Scene::set(|kafka, _| kafka.wire().cut()).await;
    scene.a_purge_is_true().await;
    assert!(scene.older.process().exited().is_none(), "it lives");
    until_fault(&scene.older, &["unread"]).await;
    let told = readyz(&scene.older).await;
    assert!(told.text().contains("--log-unread-max"), "{}", told.text());
    let isolated = edge_ready(&scene.paris).await;
    assert!(isolated.text().contains("isolated"), "{}", isolated.text());
    // As soon as it reads the log again it reads that it was replaced.
    scene.kafka.wire().mend();
    let ended = scene.older.process().ended(SOON).await;
    let said = scene.older.process().said();
    assert_eq!(ended.code(), Some(REPLACED), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_run_that_was_stopped_and_wakes_reads_the_log_before_it_answers() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let stop = |kafka: &Kafka, older: &Control| {
        older.signal("STOP");
        kafka.wire().cut();
    };
    let mut scene = Scene::set(stop).await;
    // Its edge says that it lives all the time: what it says waits for the older run.
    scene.a_purge_is_true().await;
    // It wakes, and can't read the log: whatever it finds in its sockets, it answers none of it.
    scene.older.signal("CONT");
    until_fault(&scene.older, &["unread"]).await;
    wait_while_ok("nothing old is served", A_WHILE, async || {
        let reply = scene.paris.get("shop.example", "/kept").await;
        let ready = edge_ready(&scene.paris).await;
        if reply.text() == "v2" && ready.text().contains("isolated") {
            Ok(())
        } else {
            Err(format!("{reply:?} {}", ready.text()))
        }
    })
    .await;
    scene.kafka.wire().mend();
    let ended = scene.older.process().ended(SOON).await;
    assert_eq!(ended.code(), Some(REPLACED));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_are_answered_again_when_the_log_is_back() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::private_behind_a_wire().await;
    let (origin, _version) = versioned().await;
    let control = on(&kafka.wire().address().to_string()).start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let [paris] = control.edges(["paris"]).await;
    uses_what_it_stores(&paris).await;
    kafka.wire().cut();
    until_fault(&control, &["unread"]).await;
    wait_until("the edge is isolated", SOON, async || {
        match edge_ready(&paris).await {
            reply if reply.text().contains("isolated") => Ok(()),
            reply => Err(reply.text().to_owned()),
        }
    })
    .await;
    kafka.wire().mend();
    until_ready(&control).await;
    wait_until(
        "the edge is not isolated",
        SOON,
        async || match edge_ready(&paris).await {
            reply if reply.status == 200 && !reply.text().contains("isolated") => Ok(()),
            reply => Err(reply.text().to_owned()),
        },
    )
    .await;
    uses_what_it_stores(&paris).await;
}
