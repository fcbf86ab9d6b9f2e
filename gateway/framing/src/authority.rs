//! Hosts with optional ports.

use crate::{Violation, octets::run};
use std::net::Ipv6Addr;

/// The longest name of the DNS as text, with a trailing dot.
const NAME_BYTES_MAX: usize = 254;

/// A host and its port, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority<'a> {
    host: &'a [u8],
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `host [":" port]`. Narrower than RFC 3986 §3.2.2: names of the DNS, `_`, IPv4 and `[IPv6]`; what else a
    /// `reg-name` may have (percent-encoding, commas, `;`, `=`) is what two parsers read differently. An empty port is
    /// refused, too.
    pub fn read(text: &'a [u8]) -> Result<Self, Violation> {
        let host_bytes = if text.first() == Some(&b'[') {
            let end = text.iter().position(|octet| *octet == b']');
            end.ok_or(Violation::BadHost)? + 1
        } else {
            run(text, |octet| octet != b':')
        };
        let (host, port) = text
            .split_at_checked(host_bytes)
            .ok_or(Violation::BadHost)?;
        if !is_host(host) {
            return Err(Violation::BadHost);
        }
        let port = match port.split_first() {
            None => None,
            Some((b':', digits)) => Some(read_port(digits).ok_or(Violation::BadHost)?),
            Some(_) => return Err(Violation::BadHost),
        };
        Ok(Self { host, port })
    }

    /// Whether both mean the same, when what leaves out its port means `port`: case and one trailing dot don't count.
    pub fn is_same(self, other: Authority<'a>, port: Option<u16>) -> bool {
        let name = |host: &'a [u8]| host.strip_suffix(b".").unwrap_or(host);
        self.port.or(port) == other.port.or(port)
            && name(self.host).eq_ignore_ascii_case(name(other.host))
    }
}

/// Whether two authorities mean the same host and port, where `port` is meant when none is written (80 for `http`, 443
/// for `https`). Neither does when it can't be read.
pub fn is_same_authority(one: &[u8], other: &[u8], port: Option<u16>) -> bool {
    match (Authority::read(one), Authority::read(other)) {
        (Ok(one), Ok(other)) => one.is_same(other, port),
        _ => false,
    }
}

/// Whether it is a host with an optional port, as a request may name one.
pub fn check_authority(text: &[u8]) -> Result<(), Violation> {
    Authority::read(text).map(drop)
}

fn is_host(host: &[u8]) -> bool {
    if let Some(address) = host
        .strip_prefix(b"[")
        .and_then(|rest| rest.strip_suffix(b"]"))
    {
        return std::str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
    }
    let sound = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_');
    (1..=NAME_BYTES_MAX).contains(&host.len()) && host != b"." && host.iter().all(sound)
}

fn read_port(digits: &[u8]) -> Option<u16> {
    const DIGITS_MAX: usize = 5;
    if digits.len() > DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
