//! The decisions of this crate as its users see them, one table a decision.
#![allow(clippy::unwrap_used)] // helpers of tests

mod admit;
mod explain;
mod house;
mod key;
mod limit;
mod redirect;
#[rustfmt::skip] // one case a line
mod reusing;
mod route;
mod steer;
#[rustfmt::skip] // one case a line
mod storing;
#[rustfmt::skip] // one case a line
mod token;
mod vary;
