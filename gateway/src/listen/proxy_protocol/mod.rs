//! The PROXY protocol (haproxy's proxy-protocol.txt, versions 1 and 2): a load balancer that works on TCP begins each
//! connection with a header that names the client.
//!
//! The header is required from the addresses that the policy trusts, and read from nobody else: whoever else sends one
//! has sent a request line that is none. What is malformed or late ends the connection; there is no guessing.
//!
//! # Characters
//! - [`header`]: octets → [`Header`], pure; [`v1`] the line, [`v2`] the binary form, [`crc32c`] its checksum.
//! - [`receive()`]: reads the header off a connection, and makes the client that it names the connection's peer.

mod crc32c;
mod header;
mod receive;
mod v1;
mod v2;

pub use header::{HEADER_BYTES_MAX, Header, Malformed, parse};
pub use receive::{Outcome, Received, Refused, receive};

#[cfg(test)]
mod tests;
