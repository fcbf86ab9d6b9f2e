//! The decisions of this crate as its users see them, one table a decision.
#![allow(clippy::unwrap_used)] // helpers of tests

mod admit;
#[rustfmt::skip] // one case a line
mod dates;
#[rustfmt::skip] // one case a line
mod directives;
mod explain;
#[rustfmt::skip] // one case a line
mod forward;
#[rustfmt::skip] // one case a line
mod freshening;
#[rustfmt::skip] // one case a line
mod groups;
mod house;
#[rustfmt::skip] // one case a line
mod invalidation;
mod key;
mod limit;
mod mixing;
mod monotonic;
mod redirect;
#[rustfmt::skip] // one case a line
mod reusing;
mod route;
mod steer;
#[rustfmt::skip] // one case a line
mod storing;
#[rustfmt::skip] // one case a line
mod targeted;
#[rustfmt::skip] // one case a line
mod token;
mod vary;
