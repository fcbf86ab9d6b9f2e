//! An edge that stands alone: what it stores, what it passes through, TLS, reloads, errors, and what it says of itself.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

mod ahead;
mod caching;
mod errors;
mod heads;
mod hot;
mod hot_ends;
mod hot_http2;
mod negotiating;
mod operation;
mod passing;
mod private_origins;
mod proxied;
mod purging;
mod reloading;
mod through;
mod through_ends;
mod tls;
mod tls_strength;
mod withdrawn;
