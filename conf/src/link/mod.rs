//! The link between control and edge: its messages, the hash chain, and both ends as state machines without I/O
//! (edge, control and simulator drive the same code).
//!
//! The `.proto` beside this file is compiled here, messages only; gateway and control make their own stubs for
//! these types in their build scripts. Every call carries the join token as `authorization: Bearer TOKEN`.

/// The messages, as generated.
#[allow(missing_docs, clippy::pedantic)]
pub mod message {
    include!(concat!(env!("OUT_DIR"), "/latencify.link.v1.rs"));
}

pub mod chain;
pub mod edge;
pub mod replica;

/// The version of the protocol that this build speaks.
pub const PROTOCOL: u32 = 1;
