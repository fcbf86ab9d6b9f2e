//! The harness of the end-to-end suites: real programs, a real broker, origins and clients that do what they are told.
//!
//! ```no_run
//! # async fn example() {
//! use latencify_tests::{Client, Edge, Origin, reply};
//!
//! let origin = Origin::serve(|_| async { reply::text("hello").max_age(60).done() }).await;
//! let edge = Edge::alone(&format!(
//!     "version: 1\norigins: {{app: {{url: 'http://{}'}}}}\n\
//!      sites: {{main: {{hosts: ['*'], routes: [{{origins: [app], cache: true}}]}}}}\n",
//!     origin.address(),
//! ))
//! .start()
//! .await;
//! let reply = Client::at("127.10.0.1").get(edge.http(), "shop.example", "/a").await;
//! assert_eq!(reply.text(), "hello");
//! # }
//! ```
//!
//! - [`Edge`], [`Control`], [`Kafka`], [`cli`]: our programs and the broker as processes, on ports that stay theirs
//!   while they are down ([`Port`]). What they say is shown when the test fails; they are killed when the value goes away.
//! - [`Origin`], [`RawOrigin`]: HTTP/1.1 and HTTP/2 origins by a closure, and origins octet by octet.
//! - [`Client`]: sends from a chosen loopback address, and never sends anything twice.
//! - [`LinkEdge`]: an edge of which there is the link alone, which comes in by a [`Door`]; thousands fit into one process.
//! - [`ServiceManager`]: plays systemd, with a socket unit. [`OtherTransaction`]: holds a database of ours.
//! - [`Dns`]: a DNS server whose answers a test changes. [`Authority`]: certificates.
//! - [`Wire`]: a path that a test spoils or cuts, or on which somebody alters what passes. [`Namespace`]: a machine of its own, whose cables
//!   can be pulled. [`Chance`]: a seed, and what follows from it.
//! - [`wait_until`]: instead of sleeping. [`skip!`]: for what this machine does not have.
//!
//! The programs are those of the last `cargo build --workspace --bins` (`make test` does it first).

// A test program: whatever goes wrong ends the test that it belongs to, and says where.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod body;
mod certificates;
mod chance;
pub mod cli;
mod client;
mod control;
mod dns;
mod edge;
pub mod frames;
pub mod idle;
mod kafka;
mod link;
mod namespace;
mod origin;
pub mod policy;
mod ports;
mod process;
mod programs;
pub mod reply;
mod service_manager;
mod skip;
mod sqlite;
mod wait;
mod wire;

pub use certificates::{Authority, Identity, client_of};
pub use chance::Chance;
pub use client::{Client, Connection, Protocol, Reply};
pub use control::{Control, ControlOptions};
pub use dns::Dns;
pub use edge::{Edge, EdgeOptions};
pub use kafka::Kafka;
pub use link::{Door, LinkEdge};
pub use namespace::{Cable, Namespace};
pub use origin::{Call, Origin, RawOrigin, Seen};
pub use ports::Port;
pub use process::Process;
pub use programs::{cache_folder, geoip_fixture, program, repository};
pub use service_manager::ServiceManager;
pub use skip::report_skipped;
pub use sqlite::OtherTransaction;
pub use wait::{wait_until, wait_while_ok};
pub use wire::{Flow, Weather, Wire};
