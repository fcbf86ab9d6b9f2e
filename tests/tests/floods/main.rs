//! An edge under attack: each limit is attacked on the shipped program, acts, is counted and told, and somebody else goes
//! on being served all the while.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

mod attacked;
mod bodies;
mod connections;
mod fetches;
mod good_clients;
mod handshakes;
mod http2;
mod idle;
mod resources;
mod slow;
mod stalled;
