//! Content events through a real Kafka, into a replica whose log is in that Kafka too. Skipped by name without a broker.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests may fail at once"
)]

mod broker;

use broker::Broker;
use clap::Parser as _;
use latencify_conf::bundle::File;
use latencify_control::{kafka::Cluster, run, settings::Settings};
use rdkafka::{
    Message as _,
    consumer::{Consumer as _, StreamConsumer},
    message::{Header, Headers as _, OwnedHeaders, OwnedMessage},
    producer::{FutureProducer, FutureRecord},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

const TOKEN: &str = "api-token-of-the-tests";
const WAIT_MAX: Duration = Duration::from_mins(1);

/// A replica on a cluster, and a client of its API.
struct Replica {
    running: run::Running,
    client: reqwest::Client,
}

impl Replica {
    async fn start(folder: &Path, cluster: &Cluster) -> Self {
        let folder = folder.to_str().unwrap();
        let flags = [
            "latencify-control",
            "--data",
            folder,
            "--api-token",
            TOKEN,
            "--join-token",
            TOKEN,
        ];
        let ports = [
            "--api",
            "127.0.0.1:0",
            "--fleet",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ];
        let kafka = [
            "--kafka",
            &cluster.brokers,
            "--kafka-prefix",
            &cluster.prefix,
        ];
        let settings = Settings::try_parse_from(flags.iter().chain(&ports).chain(&kafka)).unwrap();
        Self {
            running: run::start(&settings).await.unwrap(),
            client: reqwest::Client::new(),
        }
    }

    async fn apply(&self, site: &str) {
        let text = format!(
            "version: 1\norigins: {{ app: {{ url: \"http://127.0.0.1:9\" }} }}\n\
             sites: {{ {site}: {{ hosts: [{site}.example], routes: [{{ origins: [app], cache: true }}] }} }}\n"
        );
        let files = vec![File {
            name: "p.yaml".into(),
            text,
        }];
        let url = format!("http://{}/v1/policies", self.running.api);
        let answer = self
            .client
            .post(url)
            .bearer_auth(TOKEN)
            .json(&json!({"files": files}))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 201);
    }

    /// Purges everything with an idempotency key; the answer's status.
    async fn purge(&self, key: &str) -> u16 {
        let url = format!("http://{}/v1/purges", self.running.api);
        let request = self
            .client
            .post(url)
            .bearer_auth(TOKEN)
            .header("idempotency-key", key);
        request
            .json(&json!({"targets": [{"all": true}]}))
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    }

    async fn log(&self) -> Value {
        let url = format!("http://{}/v1/log?limit=1000", self.running.api);
        self.client
            .get(url)
            .bearer_auth(TOKEN)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// How often an entry with this key was accepted.
    async fn accepted_with_key(&self, key: &str) -> usize {
        let (log, key) = (self.log().await, format!("api/{key}"));
        let entries = log["entries"].as_array().unwrap().iter();
        entries
            .filter(|entry| entry["entry"]["key"] == *key && entry["outcome"] == "accepted")
            .count()
    }

    /// Purges in the log by the event behind each, with how often each was accepted.
    async fn purges(&self) -> BTreeMap<String, usize> {
        let log = self.log().await;
        let mut purges = BTreeMap::new();
        for entry in log["entries"].as_array().unwrap() {
            if let (Some(id), "accepted") = (
                entry["entry"]["change"]["event"]["id"].as_str(),
                entry["outcome"].as_str().unwrap(),
            ) {
                *purges.entry(id.to_owned()).or_default() += 1;
            }
        }
        purges
    }

    async fn until_purged(&self, expected: &[&str]) {
        let expected: BTreeMap<_, _> = expected.iter().map(|id| ((*id).to_owned(), 1)).collect();
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let purges = self.purges().await;
            if purges == expected {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{purges:?} instead of {expected:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn event(id: &str, data: Value) -> Vec<u8> {
    let event = json!({"specversion": "1.0", "id": id, "source": "/cms", "type": "com.latencify.content.updated", "data": data});
    event.to_string().into_bytes()
}

async fn produce(
    producer: &FutureProducer,
    cluster: &Cluster,
    payload: &[u8],
    headers: &[(&str, &str)],
) {
    let topic = cluster.topic("events");
    let headers = headers
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(*value),
            })
        });
    let record = FutureRecord::<str, [u8]>::to(&topic)
        .payload(payload)
        .key("key")
        .headers(headers);
    producer
        .send(record, WAIT_MAX)
        .await
        .map_err(|(error, _)| error)
        .unwrap();
}

async fn dead_letters(cluster: &Cluster, count: usize) -> Vec<OwnedMessage> {
    let mut config = cluster.consumer();
    config
        .set("group.id", cluster.topic("letters"))
        .set("auto.offset.reset", "earliest");
    let consumer: StreamConsumer = config.create().unwrap();
    consumer.subscribe(&[&cluster.topic("events.dlq")]).unwrap();
    let mut letters = Vec::new();
    while letters.len() < count {
        let letter = tokio::time::timeout(WAIT_MAX, consumer.recv())
            .await
            .expect("a dead letter is missing");
        letters.push(letter.unwrap().detach());
    }
    letters
}

fn header<'a>(message: &'a OwnedMessage, name: &str) -> &'a str {
    let headers = message.headers().unwrap();
    let found = headers
        .iter()
        .find(|header| header.key == name)
        .unwrap_or_else(|| panic!("no header {name}"));
    std::str::from_utf8(found.value.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_from_kafka_purge_once_and_poison_is_a_dead_letter() {
    let Some(mut broker) = Broker::get("events_from_kafka_purge_once_and_poison_is_a_dead_letter")
    else {
        return;
    };
    let cluster = broker.cluster("events");
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path(), &cluster).await;
    replica.apply("shop").await;
    cluster
        .ensure_topic(&latencify_control::kafka::topic(
            &cluster.topic("events"),
            -1,
        ))
        .await
        .unwrap();
    let producer: FutureProducer = cluster.producer().create().unwrap();
    let binary = [
        ("ce_specversion", "1.0"),
        ("ce_id", "binary"),
        ("ce_source", "/cms"),
        ("ce_type", "com.latencify.content.deleted"),
        ("content-type", "application/json"),
    ];
    let url = |path: &str| json!({"urls": [format!("https://shop.example{path}")]});
    produce(&producer, &cluster, &event("one", url("/a")), &[]).await;
    produce(&producer, &cluster, b"poison", &[("x-trace", "7")]).await;
    produce(&producer, &cluster, &event("one", url("/a")), &[]).await;
    produce(
        &producer,
        &cluster,
        &event("lost", json!({"urls": ["https://nowhere.example/"]})),
        &[],
    )
    .await;
    produce(&producer, &cluster, br#"{"tags": ["t"]}"#, &binary).await;
    produce(&producer, &cluster, b"", &[]).await;
    replica.until_purged(&["binary", "one"]).await;

    let letters = dead_letters(&cluster, 3).await;
    let mut reasons: Vec<_> = letters
        .iter()
        .map(|letter| header(letter, "latencify-reason"))
        .collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["not_an_event", "not_an_event", "unknown_host"]);
    let poison = letters
        .iter()
        .find(|letter| letter.payload() == Some(b"poison"))
        .unwrap();
    assert_eq!(
        (header(poison, "x-trace"), header(poison, "latencify-topic")),
        ("7", &*cluster.topic("events"))
    );
    assert_eq!(
        (poison.key(), header(poison, "latencify-offset")),
        (Some(&b"key"[..]), "1")
    );

    // The broker dies and comes back: what was being written is there once, and so is what came meanwhile by HTTP.
    let (mut status, deadline) = (0, Instant::now() + WAIT_MAX);
    broker
        .crash(async || {
            assert_eq!(
                replica.purge("crash").await,
                503,
                "whether it was taken is not known"
            );
        })
        .await;
    while status != 202 && Instant::now() < deadline {
        status = replica.purge("crash").await;
    }
    assert_eq!(status, 202, "the same key is safe to repeat");
    produce(&producer, &cluster, &event("back", url("/c")), &[]).await;
    replica.until_purged(&["back", "binary", "one"]).await;
    assert_eq!(replica.accepted_with_key("crash").await, 1);

    // Stopped and started on the same folder: what was done is not done again, what came meanwhile is.
    replica.running.stop().await;
    produce(&producer, &cluster, &event("two", url("/b")), &[]).await;
    produce(&producer, &cluster, &event("one", url("/a")), &[]).await;
    let replica = Replica::start(folder.path(), &cluster).await;
    replica
        .until_purged(&["back", "binary", "one", "two"])
        .await;

    // On an empty folder, the log is folded anew, and knows the repeats.
    replica.running.stop().await;
    let empty = tempfile::tempdir().unwrap();
    let replica = Replica::start(empty.path(), &cluster).await;
    produce(&producer, &cluster, &event("two", url("/b")), &[]).await;
    // What needs the policy's files waits for them; it is no dead letter.
    produce(&producer, &cluster, &event("three", url("/c")), &[]).await;
    replica
        .until_purged(&["back", "binary", "one", "two"])
        .await;
    assert_eq!(
        replica.purge("all").await,
        202,
        "everything is purged without them"
    );
    replica.apply("shop").await;
    replica
        .until_purged(&["back", "binary", "one", "three", "two"])
        .await;
    replica.running.stop().await;
}
