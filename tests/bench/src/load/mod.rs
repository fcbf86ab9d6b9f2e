//! Asks, and measures what it sees: a process of its own, one thread, on the load's core.
//!
//! Closed loop: every connection asks again as soon as it is answered; what is measured is how many answers come. Open loop: requests
//! are due at times that were drawn before (a Poisson process), whether or not anything was answered, and a latency counts from the
//! time at which its request was due. A server that stalls for a while is thereby charged for every request that it kept waiting.

mod connection;
mod engine;
mod paths;

pub use paths::{object, unique};

use crate::{output, works::Paths};
use anyhow::Context as _;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, time::Duration};

/// The site that everybody asks for.
pub const HOST: &str = "bench.test";
/// Latencies are told apart up to this; a request that took longer counts as this.
const LATENCY_MAX: Duration = Duration::from_mins(2);
/// Digits of a latency that are kept.
const DIGITS: u8 = 3;

/// What to ask for, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Whom.
    pub target: SocketAddr,
    /// How many connections.
    pub connections: usize,
    /// The paths.
    pub paths: Paths,
    /// The length that each body must have.
    pub bytes: usize,
    /// When to ask.
    pub pace: Pace,
    /// So long before anything is measured.
    pub warm_ms: u64,
    /// So long is measured. [`Paths::Each`] ends by itself.
    pub measured_ms: u64,
}

/// When to ask.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// When the connection was answered.
    Closed,
    /// So often a second, on the average.
    Open(f64),
}

/// What was seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Every request that was answered, those before the measuring included.
    pub all: u64,
    /// Those that were measured.
    pub measured: u64,
    /// So long was measured.
    pub seconds: f64,
    /// Median latency in µs.
    pub p50_us: f64,
    /// The latency that one in a hundred exceeds, in µs.
    pub p99_us: f64,
    /// The longest latency, in µs.
    pub max_us: f64,
}

impl Report {
    /// Measured answers per second.
    pub fn rate(&self) -> f64 {
        self.measured as f64 / self.seconds
    }

    fn of(latencies: &Histogram<u64>, all: u64, seconds: f64) -> Self {
        let us = |ns: u64| ns as f64 / 1e3;
        Self {
            all,
            measured: latencies.len(),
            seconds,
            p50_us: us(latencies.value_at_quantile(0.5)),
            p99_us: us(latencies.value_at_quantile(0.99)),
            max_us: us(latencies.max()),
        }
    }
}

/// The process: does as the plan says, and prints the report.
pub fn run(plan: &Plan) -> anyhow::Result<()> {
    let report = engine::Engine::connect(plan)?.run()?;
    output::say(&serde_json::to_string(&report).context("the report")?);
    Ok(())
}

/// For latencies in nanoseconds.
fn histogram() -> anyhow::Result<Histogram<u64>> {
    Histogram::new_with_bounds(100, LATENCY_MAX.as_nanos() as u64, DIGITS).context("the histogram")
}

/// A request for that path.
pub fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: bench/1\r\nAccept: */*\r\n\r\n")
        .into_bytes()
}
