//! Version 2: binary (§2.2).

use super::{HEADER_BYTES_MAX, Header, Malformed, crc32c};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length.
const FIXED_BYTES: usize = 16;
/// The type of the TLV that holds a CRC32C of the header (§2.2.3).
const TYPE_CRC32C: u8 = 0x03;
/// A TLV's type and length.
const TLV_HEAD_BYTES: usize = 3;
const CHECKSUM_BYTES: usize = 4;

/// Octets of an address block.
const INET_BYTES: usize = 12;
const INET6_BYTES: usize = 36;
const UNIX_BYTES: usize = 216;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Local,
    Proxy,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Unspecified,
    Inet,
    Inet6,
    Unix,
}

impl Family {
    fn bytes(self) -> usize {
        match self {
            Self::Unspecified => 0,
            Self::Inet => INET_BYTES,
            Self::Inet6 => INET6_BYTES,
            Self::Unix => UNIX_BYTES,
        }
    }
}

/// Reads a header that begins with [`SIGNATURE`], as far as it has come. What can't become one is told at once.
pub(super) fn parse(octets: &[u8]) -> Result<Option<Header>, Malformed> {
    let mut fixed = octets.iter().copied().skip(SIGNATURE.len());
    let Some(version_and_command) = fixed.next() else {
        return Ok(None);
    };
    let command = command(version_and_command)?;
    let Some(family_and_transport) = fixed.next() else {
        return Ok(None);
    };
    let (family, is_stream) = family(family_and_transport)?;
    let (Some(high), Some(low)) = (fixed.next(), fixed.next()) else {
        return Ok(None);
    };
    let length = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if length > HEADER_BYTES_MAX {
        return Err(Malformed::Length);
    }
    // LOCAL: whatever the block holds is discarded.
    if command == Command::Proxy && length < FIXED_BYTES + family.bytes() {
        return Err(Malformed::Length);
    }
    let Some(header) = octets.get(..length) else {
        return Ok(None);
    };
    let mut client = None;
    if command == Command::Proxy {
        let (fixed_and_addresses, tlvs) = header
            .split_at_checked(FIXED_BYTES + family.bytes())
            .ok_or(Malformed::Length)?;
        check_tlvs(header, fixed_and_addresses.len(), tlvs)?;
        let block = fixed_and_addresses.get(FIXED_BYTES..).unwrap_or_default();
        client = source(family, block).filter(|_| is_stream);
    }
    Ok(Some(Header { client, length }))
}

fn command(octet: u8) -> Result<Command, Malformed> {
    match (octet >> 4, octet & 0x0f) {
        (2, 0) => Ok(Command::Local),
        (2, 1) => Ok(Command::Proxy),
        (2, _) => Err(Malformed::Command),
        _ => Err(Malformed::Version),
    }
}

/// The family, and whether the transport is a stream. An address of datagrams says nothing of this connection.
fn family(octet: u8) -> Result<(Family, bool), Malformed> {
    let family = match octet >> 4 {
        0 => Family::Unspecified,
        1 => Family::Inet,
        2 => Family::Inet6,
        3 => Family::Unix,
        _ => return Err(Malformed::Family),
    };
    match octet & 0x0f {
        0 | 2 => Ok((family, false)),
        1 => Ok((family, true)),
        _ => Err(Malformed::Family),
    }
}

/// The source of an address block: source, destination, source port, destination port.
fn source(family: Family, block: &[u8]) -> Option<SocketAddr> {
    let (address, port_at): (IpAddr, _) = match family {
        Family::Inet => (Ipv4Addr::from(*block.first_chunk::<4>()?).into(), 8),
        Family::Inet6 => (Ipv6Addr::from(*block.first_chunk::<16>()?).into(), 32),
        Family::Unspecified | Family::Unix => return None,
    };
    let port = *block.get(port_at..)?.first_chunk::<2>()?;
    Some(SocketAddr::new(address, u16::from_be_bytes(port)))
}

/// Walks over the TLVs, which begin at `start` of the header. Only the checksum is of interest.
fn check_tlvs(header: &[u8], start: usize, mut tlvs: &[u8]) -> Result<(), Malformed> {
    let mut at = start;
    let mut is_checked = false;
    while let Some((&kind, rest)) = tlvs.split_first() {
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(Malformed::Tlv)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (value, next) = rest.split_at_checked(length).ok_or(Malformed::Tlv)?;
        if kind == TYPE_CRC32C {
            let told: [u8; CHECKSUM_BYTES] = value.try_into().map_err(|_| Malformed::Tlv)?;
            let is_right = checksum(header, at + TLV_HEAD_BYTES) == u32::from_be_bytes(told);
            if is_checked || !is_right {
                return Err(Malformed::Checksum);
            }
            is_checked = true;
        }
        at += TLV_HEAD_BYTES + length;
        tlvs = next;
    }
    Ok(())
}

/// Over the whole header, with zeros in place of the checksum itself.
fn checksum(header: &[u8], at: usize) -> u32 {
    let (before, rest) = header.split_at_checked(at).unwrap_or((header, &[]));
    let after = rest.get(CHECKSUM_BYTES..).unwrap_or_default();
    let crc = crc32c::update(crc32c::START, before);
    let crc = crc32c::update(crc, &[0; CHECKSUM_BYTES]);
    crc32c::finish(crc32c::update(crc, after))
}
