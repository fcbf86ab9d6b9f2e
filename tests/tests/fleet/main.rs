//! A fleet of three edges: purges that are acknowledged hold, policies reach everyone, and nothing blocks a purge.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

mod command;
mod forgery;
mod hammer;
mod holding;
mod isolation;
mod members;
mod policies;
mod purges;
mod records;
mod secrecy;
mod secrets;
mod silent_clients;
mod state;

use latencify_tests::{Call, Edge, Origin, reply};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const SOON: Duration = Duration::from_mins(1);
const NAMES: [&str; 3] = ["paris", "tokyo", "new-york"];
/// How long the origin takes where it is slow.
const SLOW: Duration = Duration::from_millis(300);

/// An origin whose content has a version that the test raises. Under `/slow` it takes its time; under `/validated`
/// too, and what it says there must be validated each time.
async fn versioned() -> (Origin, Arc<AtomicU64>) {
    let version = Arc::new(AtomicU64::new(1));
    let current = Arc::clone(&version);
    let origin = Origin::serve(move |call| {
        // Taken when the request comes: a slow answer carries the version from before.
        let now = current.load(Ordering::SeqCst);
        answer(call, now)
    })
    .await;
    (origin, version)
}

async fn answer(call: Call, now: u64) -> http::Response<latencify_tests::body::Body> {
    let validated = call.path().starts_with("/validated");
    if validated || call.path().starts_with("/slow") {
        tokio::time::sleep(SLOW).await;
    }
    let etag = format!("\"{now}\"");
    let answer = if validated && call.header("if-none-match") == etag {
        reply::status(304)
    } else {
        reply::text(now.to_string())
    };
    answer
        .max_age(if validated { 0 } else { 600 })
        .tag("all-of-it")
        .header("etag", etag)
        .done()
}

async fn version_at(edge: &Edge, path: &str) -> u64 {
    let reply = edge.get("shop.example", path).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.text().parse().unwrap()
}
