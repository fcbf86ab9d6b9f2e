//! Version 1: a line of text (§2.1).

use super::{Header, Malformed};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::{self, FromStr},
};

pub(super) const SIGNATURE: &[u8] = b"PROXY ";
/// The most octets of the line, with its CRLF.
const LINE_BYTES_MAX: usize = 107;

/// Reads a line that begins with [`SIGNATURE`], as far as it has come.
pub(super) fn parse(octets: &[u8]) -> Result<Option<Header>, Malformed> {
    // The CR has its place before the last octet.
    let window = octets.get(..LINE_BYTES_MAX - 1).unwrap_or(octets);
    let Some(end) = window
        .iter()
        .position(|octet| matches!(octet, b'\r' | b'\n'))
    else {
        return if octets.len() >= LINE_BYTES_MAX - 1 {
            Err(Malformed::Line)
        } else {
            Ok(None)
        };
    };
    match octets.get(end..) {
        Some([b'\r', b'\n', ..]) => {}
        Some([b'\r']) => return Ok(None),
        _ => return Err(Malformed::Line),
    }
    let line = window
        .get(SIGNATURE.len()..end)
        .and_then(|line| str::from_utf8(line).ok())
        .ok_or(Malformed::Fields)?;
    Ok(Some(Header {
        client: client(line)?,
        length: end + 2,
    }))
}

fn client(line: &str) -> Result<Option<SocketAddr>, Malformed> {
    let mut fields = line.split(' ');
    match fields.next() {
        // What follows is not looked at (§2.1).
        Some("UNKNOWN") => Ok(None),
        Some("TCP4") => addresses::<Ipv4Addr>(fields).map(Some),
        Some("TCP6") => addresses::<Ipv6Addr>(fields).map(Some),
        _ => Err(Malformed::Fields),
    }
}

/// Source, destination, and their ports; nothing else.
fn addresses<'a, A: FromStr + Into<IpAddr>>(
    mut fields: impl Iterator<Item = &'a str>,
) -> Result<SocketAddr, Malformed> {
    let mut address = || fields.next().and_then(|text| text.parse::<A>().ok());
    let (source, destination) = (address(), address());
    let mut port = || fields.next().and_then(port);
    let (source_port, destination_port) = (port(), port());
    match (
        source,
        destination,
        source_port,
        destination_port,
        fields.next(),
    ) {
        (Some(source), Some(_), Some(port), Some(_), None) => {
            Ok(SocketAddr::new(source.into(), port))
        }
        _ => Err(Malformed::Fields),
    }
}

/// Decimal, without sign and leading zeros.
fn port(text: &str) -> Option<u16> {
    let is_plain =
        text.bytes().all(|octet| octet.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}
