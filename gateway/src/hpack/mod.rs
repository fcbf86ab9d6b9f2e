//! HPACK (RFC 7541): blocks of fields as the client writes them, and as we write answers.
//!
//! The decoder is the connection's one: whatever it reads goes on to the library written anew, without a table. What we
//! write ourselves stands in no table either, so that it needs no state in common with the library's encoder.

mod decoder;
pub mod encode;
mod field;
mod huffman;
mod table;
#[cfg(test)]
mod tests;

pub use decoder::{Decoder, List};
pub use field::{Field, Meaning};

/// A block that can't be read: the connection is at its end (RFC 9113 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bad;
