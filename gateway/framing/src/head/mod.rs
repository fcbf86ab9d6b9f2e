//! The head of a request: request line, fields, empty line.

mod fields;
mod reader;

use crate::target::Target;

pub use reader::HeadReader;

/// A version that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// How the end of the body is found (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Empty,
    /// So many octets; at least one.
    Length(u64),
    /// By chunks.
    Chunked,
}

/// What a head says. Ranges are offsets into the octets that were looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Octets before the request line: one empty line, or none.
    pub skip: usize,
    /// Octets up to the body, `skip` included.
    pub end: usize,
    /// Where the method stands.
    pub method: (usize, usize),
    /// Where the target stands.
    pub target: (usize, usize),
    /// Its form.
    pub form: Target,
    /// The version.
    pub version: Version,
    /// Where the value of `Host` stands; none: HTTP/1.0 without one.
    pub host: Option<(usize, usize)>,
    /// How the body is framed.
    pub framing: Framing,
    /// Whether another protocol is asked for (RFC 9110 §7.8).
    pub upgrade: bool,
    /// Whether the body waits for `100 Continue` (RFC 9110 §10.1.1).
    pub expects_continue: bool,
    /// Header fields.
    pub fields: usize,
}
