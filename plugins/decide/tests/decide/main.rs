//! The decisions of this crate as its users see them, one table a decision.
#![allow(clippy::unwrap_used)] // helpers of tests

mod admit;
mod explain;
mod freshness;
mod house;
mod key;
mod limit;
mod redirect;
mod route;
mod steer;
mod token;
mod vary;
