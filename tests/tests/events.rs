//! Content events through a real broker: they purge every edge, and none is lost, applied twice or dropped silently.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

use latencify_conf::api::{LogEntry, LogOutcome};
use latencify_tests::{Control, Edge, Kafka, Origin, reply, skip, wait_until};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const EDGES: [&str; 3] = ["paris", "new-york", "tokyo"];
const PATIENCE: Duration = Duration::from_mins(1);

fn event(id: &str, time: &str, data: &Value) -> String {
    json!({
        "specversion": "1.0", "type": "com.latencify.content.updated", "source": "/cms", "id": id,
        "time": time, "datacontenttype": "application/json", "data": data,
    })
    .to_string()
}

fn updated(id: &str, path: &str) -> String {
    event(
        id,
        "2026-11-23T10:00:00Z",
        &json!({"urls": [format!("https://shop.example{path}")]}),
    )
}

/// An origin that says how often it was asked, so that a new body shows that the old one is gone.
async fn counting() -> (Origin, Arc<AtomicUsize>) {
    let version = Arc::new(AtomicUsize::new(1));
    let answered = Arc::clone(&version);
    let origin = Origin::serve(move |_| {
        let version = answered.load(Ordering::Relaxed);
        async move {
            reply::text(format!("v{version}"))
                .max_age(3600)
                .tag("news")
                .done()
        }
    })
    .await;
    (origin, version)
}

async fn fleet(kafka: &Kafka, prefix: &str, origin: &Origin) -> (Control, [Edge; 3]) {
    let control = Control::on_kafka(kafka, prefix).start().await;
    control
        .apply(&format!(
            "version: 1\norigins: {{app: {{url: '{}'}}}}\nsites: {{shop: {{hosts: [shop.example], routes: [{{origins: [app], cache: true}}]}}}}\n",
            origin.url()
        ))
        .await;
    let edges = control.edges(EDGES).await;
    (control, edges)
}

async fn warm(edges: &[Edge], path: &str, text: &str) {
    for edge in edges {
        edge.keeps("shop.example", path, text).await;
    }
}

/// Waits until every edge has let go of the old body.
async fn gone(edges: &[Edge], path: &str, new: &str) {
    for edge in edges {
        wait_until(
            &format!("{} serves {new} at {path}", edge.name()),
            PATIENCE,
            async || match edge.get("shop.example", path).await {
                reply if reply.text() == new => Ok(()),
                reply => Err(reply.text().to_owned()),
            },
        )
        .await;
    }
}

/// The accepted entries that came of the event.
async fn accepted(control: &Control, id: &str) -> Vec<LogEntry> {
    let came_of = |entry: &LogEntry| {
        entry.outcome == LogOutcome::Accepted
            && entry.entry["change"]["event"]["id"].as_str() == Some(id)
    };
    control
        .log()
        .await
        .entries
        .into_iter()
        .filter(came_of)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_from_kcat_purges_every_edge() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let (origin, version) = counting().await;
    let (control, edges) = fleet(&kafka, "kcat", &origin).await;
    let cases = [
        ("by-url", json!({"urls": ["https://shop.example/a?x=1"]})),
        ("by-tag", json!({"tags": ["news"], "site": "shop"})),
        ("by-prefix", json!({"prefixes": ["https://shop.example/"]})),
    ];
    for (round, (id, data)) in cases.iter().enumerate() {
        let (old, new) = (format!("v{}", round + 1), format!("v{}", round + 2));
        warm(&edges, "/a", &old).await;
        version.store(round + 2, Ordering::Relaxed);
        kafka.produce("kcat.events", &[&event(id, "2026-11-23T10:00:00Z", data)]);
        gone(&edges, "/a", &new).await;
        assert_eq!(accepted(&control, id).await.len(), 1, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_late_events_and_poison() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let (origin, version) = counting().await;
    let (control, edges) = fleet(&kafka, "odd", &origin).await;
    warm(&edges, "/a", "v1").await;
    version.store(2, Ordering::Relaxed);
    let late = event(
        "late",
        "2001-01-01T00:00:00Z",
        &json!({"urls": ["https://shop.example/a"]}),
    );
    let unknown_site = event(
        "lost",
        "2026-11-23T10:00:00Z",
        &json!({"urls": ["https://nobody.example/a"]}),
    );
    let poison = [
        "{not json",
        r#"{"specversion":"1.0","id":"x"}"#,
        &unknown_site,
    ];
    kafka.produce(
        "odd.events",
        &[
            poison[0],
            &updated("twice", "/b"),
            poison[1],
            &updated("twice", "/b"),
            poison[2],
            &late,
        ],
    );
    gone(&edges, "/a", "v2").await;
    assert_eq!(
        accepted(&control, "late").await.len(),
        1,
        "an event out of date still purges"
    );
    assert_eq!(
        accepted(&control, "twice").await.len(),
        1,
        "a duplicate is applied once"
    );
    wait_until(
        "all poison is in the dead-letter topic",
        PATIENCE,
        async || {
            let dead = kafka.consume("odd.events.dlq");
            if poison
                .iter()
                .all(|poison| dead.iter().any(|dead| dead == poison))
                && dead.len() == poison.len()
            {
                Ok(())
            } else {
                Err(format!("{dead:#?}"))
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_killed_midway_loses_nothing_and_repeats_nothing() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    const EVENTS: usize = 60;
    let mut kafka = Kafka::private().await;
    let (origin, version) = counting().await;
    let (control, edges) = fleet(&kafka, "killed", &origin).await;
    let paths: Vec<_> = (0..EVENTS).map(|n| format!("/page/{n}")).collect();
    for path in &paths {
        warm(&edges, path, "v1").await;
    }
    version.store(2, Ordering::Relaxed);
    let events: Vec<_> = paths
        .iter()
        .enumerate()
        .map(|(n, path)| updated(&format!("page-{n}"), path))
        .collect();
    let (first, second) = events.split_at(EVENTS / 2);
    let lines = |events: &[String]| {
        events
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    };
    kafka.produce("killed.events", &[&lines(first)]);
    // Some of them are on their way through control now.
    kafka.kill();
    let while_away = control
        .ask(
            http::Method::POST,
            "/v1/purges",
            Some("while-away"),
            Some(&json!({"targets": [{"url": "https://shop.example/page/0"}]})),
        )
        .await
        .unwrap();
    assert_eq!(
        while_away.status,
        503,
        "no write is promised without the log: {}",
        while_away.text()
    );
    kafka.restart().await;
    // Everything again, as a producer does that does not know what arrived; and the rest.
    kafka.produce("killed.events", &[&lines(first), &lines(second)]);
    for path in &paths {
        gone(&edges, path, "v2").await;
    }
    for n in 0..EVENTS {
        assert_eq!(
            accepted(&control, &format!("page-{n}")).await.len(),
            1,
            "page-{n}"
        );
    }
    assert_eq!(kafka.consume("killed.events.dlq"), Vec::<String>::new());
}
