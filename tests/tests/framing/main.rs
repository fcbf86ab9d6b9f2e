//! Where requests begin and end, tried by octets that no polite client sends: nothing that could be read in two ways
//! reaches an origin, each refusal is a document, a record and a count, and the connection ends with it.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

mod bodies;
mod cases;
mod cut;
mod heads;
mod http2;
mod legal;
mod lifecycle;
mod origins;
mod outbound;
mod smuggling;
mod untaken;
mod waits;
mod world;
