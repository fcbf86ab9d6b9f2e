//! What passes between hops: `Via`, `CDN-Loop`, hop-by-hop fields, and for whom a trusted hop asks.

mod client;
mod forwarded;

pub use client::{HOPS_MAX, client_address};

use crate::fields;
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use std::borrow::Cow;

/// `CDN-Loop` (RFC 8586).
pub const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// Fields that are for one connection alone, whether or not `Connection` names them (RFC 9110 §7.6.1, §11.7; RFC 9111 §3.1).
const HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Fields that are for everybody on the way, whatever `Connection` says: it must not name them (RFC 9110 §7.6.1), and
/// without them a message would be framed, routed or stored otherwise than its sender meant.
const NEVER_HOP_BY_HOP: [HeaderName; 3] =
    [header::CACHE_CONTROL, header::CONTENT_LENGTH, header::HOST];

/// Whether a field is for one connection alone: by its name, or because `Connection` names it.
pub fn is_hop_by_hop(name: &HeaderName, headers: &HeaderMap) -> bool {
    is_always_hop_by_hop(name) || is_named(name, fields::list(headers, &header::CONNECTION))
}

/// Whether one of the options of `Connection` is a field that may stop here.
fn is_named<'a>(name: &HeaderName, mut options: impl Iterator<Item = &'a [u8]>) -> bool {
    options.any(|option| option.eq_ignore_ascii_case(name.as_str().as_bytes()))
        && !NEVER_HOP_BY_HOP.contains(name)
}

/// Whether a field is for one connection alone whatever `Connection` says.
pub fn is_always_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name)
}

/// The hop-by-hop fields that are there and don't go on. Whoever forwards an upgrade (RFC 9110 §7.8) or `TE: trailers` sets
/// its own.
pub fn hop_by_hop(headers: &HeaderMap) -> Vec<HeaderName> {
    // Read once for all fields.
    let options: Vec<_> = fields::list(headers, &header::CONNECTION).collect();
    let stops =
        |name: &&HeaderName| is_always_hop_by_hop(name) || is_named(name, options.iter().copied());
    headers.keys().filter(stops).cloned().collect()
}

/// Whether a client wants its connection to go on (RFC 9112 §9.3). All lines of `Connection` are one list (RFC 9110 §5.3).
pub fn persists(version: Version, headers: &HeaderMap) -> bool {
    let says = |option: &[u8]| {
        fields::list(headers, &header::CONNECTION).any(|named| named.eq_ignore_ascii_case(option))
    };
    match version {
        Version::HTTP_11 => !says(b"close"),
        Version::HTTP_10 => says(b"keep-alive") && !says(b"close"),
        _ => false,
    }
}

/// Whether the sender of a request takes trailers (RFC 9110 §10.1.4).
pub fn takes_trailers(headers: &HeaderMap) -> bool {
    fields::list(headers, &header::TE).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// The member that this edge appends to `Via` (RFC 9110 §7.6.3): the version received, and its pseudonym.
pub fn via(received: Version, edge: &str) -> Option<HeaderValue> {
    let version = match received {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    };
    HeaderValue::try_from(format!("{version} {}", token(edge))).ok()
}

/// The member that this edge appends to `CDN-Loop` (RFC 8586 §2): its id as a pseudonym.
pub fn cdn_loop(edge: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&token(edge)).ok()
}

/// Whether a request has passed this edge before: `CDN-Loop` names it. Members are split at every comma, quoted or not, so
/// that a quote that a client leaves open hides nothing. `Via` is not asked: its names are nobody's own.
pub fn has_looped(headers: &HeaderMap, edge: &str) -> bool {
    let mut lines = headers.get_all(CDN_LOOP).iter().peekable();
    if lines.peek().is_none() {
        return false;
    }
    let edge = token(edge);
    lines
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .filter_map(|member| member.split(|&byte| byte == b';').next())
        .any(|id| id.trim_ascii().eq_ignore_ascii_case(edge.as_bytes()))
}

/// A name as a token (RFC 9110 §5.6.2): other octets become `-`.
pub(crate) fn token(name: &str) -> Cow<'_, str> {
    let is_clean = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet);
    if !name.is_empty() && name.bytes().all(is_clean) {
        return Cow::Borrowed(name);
    }
    let clean: String = name
        .chars()
        .map(|c| {
            if u8::try_from(c).is_ok_and(is_clean) {
                c
            } else {
                '-'
            }
        })
        .collect();
    if clean.is_empty() {
        Cow::Borrowed("edge")
    } else {
        Cow::Owned(clean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn fields_named_by_connection_stop_here() {
        let map = headers(&[
            (
                "connection",
                "close, X-One, Content-Length, Cache-Control, Host",
            ),
            ("x-one", "1"),
            ("content-length", "3"),
            ("cache-control", "no-store"),
            ("host", "shop.example"),
            ("x-two", "2"),
            ("te", "trailers"),
        ]);
        let mut names: Vec<_> = hop_by_hop(&map).iter().map(ToString::to_string).collect();
        names.sort();
        assert_eq!(names, ["connection", "te", "x-one"]);
        assert!(takes_trailers(&map));
        assert!(!takes_trailers(&headers(&[("te", "gzip, deflate;q=0.5")])));
    }

    #[test]
    fn loops_are_seen() {
        let check = |lines: &[(&'static str, &'static str)], expected| {
            assert_eq!(
                has_looped(&headers(lines), "paris-1"),
                expected,
                "{lines:?}"
            );
        };
        check(&[], false);
        check(&[("cdn-loop", "other")], false);
        check(&[("cdn-loop", "other, paris-1")], true);
        check(
            &[("cdn-loop", "other"), ("cdn-loop", "Paris-1; id=3")],
            true,
        );
        check(&[("cdn-loop", "paris-10")], false);
        check(&[("cdn-loop", "\"open, paris-1")], true);
        check(&[("via", "1.1 paris-1")], false);
        // What this edge writes, it recognises.
        let mut own = HeaderMap::new();
        own.insert(CDN_LOOP, cdn_loop("néw york").unwrap());
        assert!(has_looped(&own, "néw york"));
        assert_eq!(via(Version::HTTP_2, "paris-1").unwrap(), "2 paris-1");
    }
}
