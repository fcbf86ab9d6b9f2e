//! Which version it is, and what both can say.

use super::{v1, v2};
use std::net::SocketAddr;

/// The most octets of a header: version 1 has at most 107, version 2 an address block and its TLVs.
pub const HEADER_BYTES_MAX: usize = 4096;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The client; none when the header names none: a health check of the load balancer itself (`LOCAL`), an unknown
    /// protocol, or a Unix socket. The connection's own peer is the client then.
    pub client: Option<SocketAddr>,
    /// The header's octets; what follows them belongs to the connection.
    pub length: usize,
}

/// Why octets are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// They begin like neither version.
    Signature,
    /// Version 1: the line has no end within its limit.
    Line,
    /// Version 1: the fields are not those of its grammar.
    Fields,
    /// Version 2: another version.
    Version,
    /// Version 2: neither `LOCAL` nor `PROXY`.
    Command,
    /// Version 2: a family or transport that is not specified.
    Family,
    /// Version 2: shorter than its addresses, or longer than [`HEADER_BYTES_MAX`].
    Length,
    /// Version 2: a TLV that reaches over the end.
    Tlv,
    /// Version 2: the CRC32C does not fit, or is there twice.
    Checksum,
}

impl Malformed {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Signature,
        Self::Line,
        Self::Fields,
        Self::Version,
        Self::Command,
        Self::Family,
        Self::Length,
        Self::Tlv,
        Self::Checksum,
    ];

    /// Its name in metrics and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Line => "line",
            Self::Fields => "fields",
            Self::Version => "version",
            Self::Command => "command",
            Self::Family => "family",
            Self::Length => "length",
            Self::Tlv => "tlv",
            Self::Checksum => "checksum",
        }
    }
}

/// Reads the header that the octets begin with. `None`: so far it may be one, more are needed.
pub fn parse(octets: &[u8]) -> Result<Option<Header>, Malformed> {
    if starts_alike(octets, v1::SIGNATURE) {
        v1::parse(octets)
    } else if starts_alike(octets, v2::SIGNATURE) {
        v2::parse(octets)
    } else {
        Err(Malformed::Signature)
    }
}

/// Whether one of the two begins with the other.
fn starts_alike(octets: &[u8], signature: &[u8]) -> bool {
    octets
        .iter()
        .zip(signature)
        .all(|(left, right)| left == right)
}
