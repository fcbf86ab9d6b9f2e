//! A fleet of real processes under faults: killed, stopped, cut off, half cut off. Whatever happens, three things hold, and
//! clients that never stop asking look after the first:
//!
//! 1. No request that was sent after the receipt of a hard purge gets an older body.
//! 2. Every acknowledged write is in the log once, and in order.
//! 3. Edges that obey the same epoch run the same policy.
//!
//! Each test draws its faults from a seed, which it prints: `LATENCIFY_SEED=…` repeats them.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

mod cabled;
mod chaos;
mod hammer;
mod killed;
mod publisher;
mod removed;
mod replicas;
mod stand;
mod stopped;
mod told;
mod wired;

use std::time::Duration;

/// The lease of the edges: short, so that there is time for many.
const LEASE: Duration = Duration::from_secs(1);
/// What every wait is bounded by, on a machine where others build.
const SOON: Duration = Duration::from_mins(1);
