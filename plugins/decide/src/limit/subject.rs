//! What a limit counts apart.

use crate::facts::Request;
use latencify_conf::{change::SiteId, policy::RateKey};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv6Addr};

/// The /64 of an IPv6 address.
const SUBSCRIBER_BITS: u128 = !(u64::MAX as u128);

/// The name of one count. Limits with one name and one site share theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LimitKey<'a> {
    /// The site.
    pub site: SiteId,
    /// The limit's name.
    pub name: &'a str,
    /// Who is counted.
    pub subject: Subject,
}

/// Who is counted, in a size that no client chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An IPv4 address, or the first address of an IPv6 /64: what one subscriber has at least (RFC 6177).
    Address(IpAddr),
    /// SHA-256 of the value of a header or claim.
    Value([u8; 32]),
    /// All requests without that header or claim.
    Without,
}

impl Subject {
    /// Whom a request is counted as.
    pub fn of(key: &RateKey, request: &Request<'_>, claims: Option<&Map<String, Value>>) -> Self {
        match key {
            RateKey::Address => Self::of_address(request.client),
            RateKey::Header(name) => {
                let mut lines = request
                    .headers
                    .get_all(name)
                    .iter()
                    .map(http::HeaderValue::as_bytes)
                    .peekable();
                if lines.peek().is_none() {
                    Self::Without
                } else {
                    Self::of_parts(lines)
                }
            }
            RateKey::Claim(name) => match claims.and_then(|claims| claims.get(name)) {
                None | Some(Value::Null) => Self::Without,
                Some(Value::String(text)) => {
                    Self::of_parts([b"s".as_slice(), text.as_bytes()].into_iter())
                }
                Some(other) => {
                    Self::of_parts([b"j".as_slice(), other.to_string().as_bytes()].into_iter())
                }
            },
        }
    }

    /// The address itself for IPv4 (also inside IPv6), the /64 for IPv6.
    pub fn of_address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V4(v4) => IpAddr::V4(v4),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & SUBSCRIBER_BITS)),
        })
    }

    fn of_parts<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Self::Value(hasher.finalize().into())
    }
}
