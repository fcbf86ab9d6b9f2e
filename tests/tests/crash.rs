//! Control killed with SIGKILL in the middle of its work: what was accepted is applied everywhere, once, in order.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

use futures::{StreamExt, stream};
use latencify_conf::{
    api::{LogOutcome, PurgeAccepted, PurgeRequest, PurgeTarget},
    change::{Epoch, Mode},
};
use latencify_tests::{Control, ControlOptions, Edge, Kafka, Origin, reply, skip, wait_until};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const PURGES: usize = 500;
const KILLS: usize = 20;
const EDGES: [&str; 3] = ["paris", "new-york", "tokyo"];

/// SplitMix64: the places of the kills follow from a seed, which a failure prints.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The seed of this run: `LATENCIFY_SEED`, else the clock.
fn seed() -> u64 {
    std::env::var("LATENCIFY_SEED").ok().map_or_else(
        || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_nanos() as u64
        },
        |seed| seed.parse().expect("LATENCIFY_SEED is a number"),
    )
}

fn policy(origin: &Origin) -> String {
    format!(
        "version: 1\norigins: {{app: {{url: '{}'}}}}\nsites: {{shop: {{hosts: ['*'], routes: [{{origins: [app], cache: true}}]}}}}\n",
        origin.url()
    )
}

/// Asks every edge for every path, and hands each answer's edge, path, text and whether it was a hit to `look`.
async fn ask_all(edges: &[Edge], paths: &[String], look: impl Fn(&str, &str, &str, bool)) {
    let all = edges
        .iter()
        .flat_map(|edge| paths.iter().map(move |path| (edge, path)));
    stream::iter(all)
        .for_each_concurrent(16, |(edge, path)| {
            let look = &look;
            async move {
                let reply = edge.get("shop.example", path).await;
                assert_eq!(
                    reply.status,
                    200,
                    "{} {path}: {}",
                    edge.name(),
                    reply.text()
                );
                look(edge.name(), path, reply.text(), reply.is_hit());
            }
        })
        .await;
}

/// Sends one purge until it is accepted, always with the same idempotency key, as the CLI does.
async fn purge(control: &Control, path: &str, key: &str) -> PurgeAccepted {
    let url = format!("http://shop.example{path}");
    let request = PurgeRequest {
        targets: vec![PurgeTarget::Url(url)],
        mode: Mode::Hard,
    };
    wait_until(
        &format!("{key} is accepted"),
        Duration::from_mins(1),
        async || match control
            .ask(http::Method::POST, "/v1/purges", Some(key), Some(&request))
            .await
        {
            Ok(reply) if reply.status == 202 => Ok(reply.json()),
            Ok(reply) => Err(format!("{}: {}", reply.status, reply.text())),
            Err(error) => Err(format!("{error:#}")),
        },
    )
    .await
}

/// Beside the test's own words: shown when it fails.
#[allow(clippy::print_stderr)]
fn tell(line: &str) {
    eprintln!("{line}");
}

async fn killed_at_random_points(options: ControlOptions) {
    let seed = seed();
    tell(&format!("LATENCIFY_SEED={seed}"));
    let mut chance = Chance(seed);
    let mut control = options.start().await;
    let version = Arc::new(AtomicUsize::new(1));
    let answered = Arc::clone(&version);
    let origin = Origin::serve(move |_| {
        let version = answered.load(Ordering::Relaxed);
        async move { reply::text(format!("v{version}")).max_age(3600).done() }
    })
    .await;
    control.apply(&policy(&origin)).await;
    let edges = control.edges(EDGES).await;
    let purged: Vec<_> = (0..PURGES).map(|n| format!("/purged/{n}")).collect();
    let kept: Vec<_> = (0..20).map(|n| format!("/kept/{n}")).collect();
    ask_all(&edges, &purged, |_, _, text, _| assert_eq!(text, "v1")).await;
    ask_all(&edges, &kept, |_, _, text, _| assert_eq!(text, "v1")).await;
    version.store(2, Ordering::Relaxed);

    let mut kills: Vec<_> = (0..KILLS)
        .map(|_| chance.below(PURGES as u64) as usize)
        .collect();
    kills.sort_unstable();
    let mut accepted: Vec<PurgeAccepted> = Vec::with_capacity(PURGES);
    for (n, path) in purged.iter().enumerate() {
        let key = format!("purge-{n}");
        let mut answer = None;
        for _ in kills.iter().filter(|at| **at == n) {
            // The kill falls somewhere between the request's arrival and its answer, or just after it.
            let after = Duration::from_micros(chance.below(12_000));
            answer = tokio::time::timeout(after, purge(&control, path, &key))
                .await
                .ok()
                .or(answer);
            control.kill();
            control.restart().await;
        }
        let answer = match answer {
            Some(answer) => answer,
            None => purge(&control, path, &key).await,
        };
        accepted.push(answer);
    }

    for purge in &accepted {
        let receipt = control.receipt(&purge.id).await;
        assert_eq!(receipt.epoch, purge.epoch, "seed {seed}");
        assert_eq!(
            receipt.edges.len(),
            EDGES.len(),
            "seed {seed}: {receipt:#?}"
        );
    }
    assert!(
        accepted.is_sorted_by_key(|purge| purge.epoch),
        "seed {seed}: in order"
    );
    let log = control.log().await;
    let mut times: BTreeMap<String, Vec<Epoch>> = BTreeMap::new();
    for entry in log
        .entries
        .iter()
        .filter(|entry| entry.outcome == LogOutcome::Accepted)
    {
        for target in entry.entry["change"]["targets"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let path = target["path"].as_str().unwrap().to_owned();
            times.entry(path).or_default().push(entry.epoch);
        }
    }
    for (n, purge) in accepted.iter().enumerate() {
        assert_eq!(
            times.get(&purged[n]),
            Some(&vec![purge.epoch]),
            "seed {seed}: purge {n}, once"
        );
    }
    ask_all(&edges, &purged, |edge, path, text, _| {
        assert_eq!(text, "v2", "seed {seed}: {edge} {path}");
    })
    .await;
    // Nothing purges them again, and what was not purged was never lost.
    ask_all(&edges, &purged, |edge, path, _, hit| {
        assert!(hit, "seed {seed}: {edge} {path} purged twice");
    })
    .await;
    ask_all(&edges, &kept, |edge, path, text, hit| {
        assert!(
            hit && text == "v1",
            "seed {seed}: {edge} {path}: {text}, hit: {hit}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_killed_amid_purges_with_its_log_in_sqlite() {
    killed_at_random_points(Control::embedded()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_killed_amid_purges_with_its_log_in_kafka() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    killed_at_random_points(Control::on_kafka(&kafka, "crash")).await;
}
