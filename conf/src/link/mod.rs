//! The link between control and edge: its messages, the hash chain, and both ends as state machines without I/O
//! (edge, control and simulator drive the same code).
//!
//! The `.proto` beside this file is compiled here, messages only; gateway and control make their own stubs for
//! these types in their build scripts. The link is TLS, and the client's certificate names the edge ([`trust`]); only the
//! call by which an edge gets its first certificate goes without one, and carries a join token instead.

/// The messages, as generated.
#[allow(missing_docs, clippy::pedantic)]
pub mod message {
    include!(concat!(env!("OUT_DIR"), "/latencify.link.v1.rs"));
}

pub mod chain;
pub mod edge;
pub mod health;
pub mod replica;
mod secret;
pub mod snapshot;
pub mod trust;

/// The version of the protocol that this build speaks.
pub const PROTOCOL: u32 = 1;
