//! Tokens and rate limits at an edge: what is let in, what is refused, and what the refused are told.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

mod limits;
mod tokens;
