//! What a fleet of 10, 100 and 1,000 edges asks of one control: `make fleet-bench`.
//!
//! The edges are played: the link's own state machine over a connection each, which verify, obey, ack and fetch as a gateway
//! does, and serve nothing. All of them are one process, which shares this machine with control; so times are those of
//! both, and what control alone used is what the kernel says of its process.
//! - **Policy to all**: from sending a policy to the last edge that has its files, verified.
//! - **Receipt from all**: from sending a purge to having its complete receipt.
//! - **CPU**: control's time on a core, by edge and by entry of the log, in each of the two.
//!
//! Nothing here is a test: a goal that is missed is said, and the program ends with 1. Numbers after its name are fleets
//! of other sizes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a measuring program

mod crowd;
mod usage;

use crowd::Crowd;
use latencify_conf::api::{PurgeReceipt, PurgeTarget};
use latencify_tests::{Control, policy::one_route};
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};
use usage::Usage;

const SIZES: [usize; 3] = [10, 100, 1_000];
/// The 99th percentile is one of them.
const POLICIES: usize = 100;
const PURGES: usize = 300;
/// Of policies and receipts that are not measured: nothing is warm before.
const WARM_UP: usize = 5;
const POLICY_GOAL: Duration = Duration::from_secs(1);
const RECEIPT_GOAL: Duration = Duration::from_millis(500);
const MEMORY_GOAL_BYTES: u64 = 512 << 20;

/// What was measured with a fleet of one size.
struct Outcome {
    edges: usize,
    /// Until all of them were in the fleet and ran the policy.
    joined: Duration,
    joined_cpu: Duration,
    policies: Vec<Duration>,
    policies_cpu: Duration,
    receipts: Vec<Duration>,
    /// From acceptance to the last ack, as control tells it.
    acks: Vec<Duration>,
    receipts_cpu: Duration,
    /// Control's time on a core in a second in which nothing happens but heartbeats.
    idle_cpu: Duration,
    memory_bytes: u64,
    memory_bytes_most: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let sizes: Vec<usize> = std::env::args()
        .skip(1)
        .map(|size| size.parse().expect("a number of edges"))
        .collect();
    let sizes = if sizes.is_empty() {
        SIZES.to_vec()
    } else {
        sizes
    };
    println!("{POLICIES} policies, then {PURGES} purges, one after the other, with each fleet");
    let mut outcomes = Vec::new();
    for edges in sizes {
        let outcome = measure(edges).await;
        outcome.tell();
        outcomes.push(outcome);
    }
    if let [first, .., last] = &outcomes[..] {
        first.tell_growth(last);
    }
    let missed: Vec<_> = outcomes.iter().flat_map(Outcome::missed).collect();
    if missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("goals missed: {}", missed.join("; "));
    ExitCode::FAILURE
}

async fn measure(edges: usize) -> Outcome {
    let mut control = Control::embedded()
        .environment("RUST_LOG", "warn")
        .start()
        .await;
    let pid = control.process().pid();
    let usage = || Usage::of(pid);
    let before = usage();
    let began = Instant::now();
    let first = control.apply(&policy(0)).await;
    let mut crowd = Crowd::join(&control, edges).await;
    crowd.all_run(first.revision).await;
    let joined = began.elapsed();
    let in_fleet = usage();

    let mut policies = Vec::new();
    let mut policies_from = in_fleet;
    for number in 0..WARM_UP + POLICIES {
        if number == WARM_UP {
            policies_from = usage();
        }
        let began = Instant::now();
        let accepted = control.apply(&policy(number + 1)).await;
        crowd.all_run(accepted.revision).await;
        policies.push(began.elapsed());
    }
    let policies_to = usage();

    let (mut receipts, mut acks) = (Vec::new(), Vec::new());
    let mut receipts_from = policies_to;
    for number in 0..WARM_UP + PURGES {
        if number == WARM_UP {
            receipts_from = usage();
        }
        let began = Instant::now();
        let url = PurgeTarget::Url(format!("http://shop.example/{number}"));
        let purge = control.purge(vec![url]).await;
        let path = format!("/v1/purges/{}?wait=30s", purge.id);
        let receipt: PurgeReceipt = control.get(&path).await;
        receipts.push(began.elapsed());
        assert!(
            receipt.complete && receipt.edges.len() == edges,
            "{receipt:#?}"
        );
        let slowest = receipt.edges.iter().filter_map(|edge| edge.latency_us);
        acks.push(Duration::from_micros(slowest.max().unwrap()));
    }
    let receipts_to = usage();
    let idle = Duration::from_secs(5);
    tokio::time::sleep(idle).await;
    let idle_to = usage();
    for warm in [&mut policies, &mut receipts, &mut acks] {
        warm.drain(..WARM_UP);
    }
    crowd.end().await;
    Outcome {
        edges,
        joined,
        joined_cpu: in_fleet.cpu_since(&before),
        policies,
        policies_cpu: policies_to.cpu_since(&policies_from),
        receipts,
        acks,
        receipts_cpu: receipts_to.cpu_since(&receipts_from),
        idle_cpu: idle_to.cpu_since(&receipts_to) / idle.as_secs() as u32,
        memory_bytes: idle_to.resident_bytes,
        memory_bytes_most: idle_to.resident_bytes_most,
    }
}

/// A policy that differs from the one before.
fn policy(number: usize) -> String {
    let route = format!("cache: {{default_ttl: {}s}}", 60 + number);
    one_route("http://127.0.0.1:9", &route)
}

impl Outcome {
    fn tell(&self) {
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        println!();
        println!("{} edges", self.edges);
        println!(
            "  joined                {:>9.1?}, control's CPU {:.2?}",
            self.joined, self.joined_cpu
        );
        for (what, times) in [
            ("policy to all", &self.policies),
            ("receipt from all", &self.receipts),
            ("acceptance to last ack", &self.acks),
        ] {
            println!(
                "  {what:22} p50 {:.1?}, p90 {:.1?}, p99 {:.1?}, most {:.1?}",
                percentile(times, 50),
                percentile(times, 90),
                percentile(times, 99),
                percentile(times, 100)
            );
        }
        println!(
            "  CPU by edge and entry  policy {:.1?}, purge {:.1?}; with heartbeats alone {:.1?} a second",
            self.cpu_of_policy(),
            self.cpu_of_purge(),
            self.idle_cpu
        );
        println!(
            "  control's memory       {:.1} MiB, at most {:.1} MiB",
            mebibytes(self.memory_bytes),
            mebibytes(self.memory_bytes_most)
        );
    }

    /// How much dearer an edge is in a larger fleet.
    fn tell_growth(&self, larger: &Self) {
        let times = |of: fn(&Self) -> Duration| {
            of(larger).as_secs_f64() / of(self).as_secs_f64().max(f64::MIN_POSITIVE)
        };
        println!();
        println!(
            "from {} to {} edges: CPU by edge and entry of a policy × {:.2}, of a purge × {:.2}; p99 of a policy × {:.1}, of a receipt × {:.1}",
            self.edges,
            larger.edges,
            times(Self::cpu_of_policy),
            times(Self::cpu_of_purge),
            times(|outcome| percentile(&outcome.policies, 99)),
            times(|outcome| percentile(&outcome.receipts, 99)),
        );
        let more = larger.memory_bytes.saturating_sub(self.memory_bytes);
        let each = more / (larger.edges - self.edges).max(1) as u64;
        println!("memory by edge: {:.1} KiB", each as f64 / 1_024.0);
    }

    fn cpu_of_policy(&self) -> Duration {
        self.policies_cpu / (self.edges * POLICIES) as u32
    }

    fn cpu_of_purge(&self) -> Duration {
        self.receipts_cpu / (self.edges * PURGES) as u32
    }

    fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        for (what, is, goal) in [
            ("policy to all", percentile(&self.policies, 99), POLICY_GOAL),
            (
                "receipt from all",
                percentile(&self.receipts, 99),
                RECEIPT_GOAL,
            ),
        ] {
            if is > goal {
                let edges = self.edges;
                missed.push(format!(
                    "{what} of {edges} edges: p99 {is:.1?}, not {goal:.1?}"
                ));
            }
        }
        if self.memory_bytes_most > MEMORY_GOAL_BYTES {
            let edges = self.edges;
            missed.push(format!("memory with {edges} edges"));
        }
        missed
    }
}

fn percentile(times: &[Duration], share: usize) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[(times.len() - 1) * share / 100]
}
