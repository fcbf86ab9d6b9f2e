//! What passes between hops: `Via`, `CDN-Loop`, hop-by-hop fields, and for whom a trusted hop asks.

mod client;
mod forwarded;

pub use client::{HOPS_MAX, client_address};

use crate::fields;
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use std::borrow::Cow;

/// `CDN-Loop` (RFC 8586).
pub const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// Whether a field is for one connection alone: by its name, or because `Connection` names it.
pub fn is_hop_by_hop(name: &HeaderName, headers: &HeaderMap) -> bool {
    let options: Vec<_> = fields::list(headers, &header::CONNECTION).collect();
    stops(name.as_str().as_bytes(), &options)
}

/// Whether a field is for one connection alone whatever `Connection` says.
pub fn is_always_hop_by_hop(name: &HeaderName) -> bool {
    always_stops(name.as_str().as_bytes())
}

/// The hop-by-hop fields that are there and don't go on. Whoever forwards an upgrade (RFC 9110 §7.8) or `TE: trailers` sets
/// its own.
pub fn hop_by_hop(headers: &HeaderMap) -> Vec<HeaderName> {
    // Read once for all fields.
    let options: Vec<_> = fields::list(headers, &header::CONNECTION).collect();
    let stops = |name: &&HeaderName| stops(name.as_str().as_bytes(), &options);
    headers.keys().filter(stops).cloned().collect()
}

/// The options of the lines of `Connection`, which are one list (RFC 9110 §5.3).
pub fn options<'a>(lines: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    lines.flat_map(|line| fields::split(line, b','))
}

/// Whether the field of that name, in any case, ends where those are the options of `Connection`.
pub fn stops(name: &[u8], options: &[&[u8]]) -> bool {
    let is_named = || {
        options
            .iter()
            .any(|option| option.eq_ignore_ascii_case(name))
    };
    always_stops(name) || is_named() && !never_stops(name)
}

/// Fields that are for one connection alone, whether or not `Connection` names them (RFC 9110 §7.6.1, §11.7; RFC 9111 §3.1).
/// Asked of every field of every message: by its length first.
fn always_stops(name: &[u8]) -> bool {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    match name.len() {
        2 => is(b"te"),
        7 => is(b"upgrade") || is(b"trailer"),
        10 => is(b"connection") || is(b"keep-alive"),
        16 => is(b"proxy-connection"),
        17 => is(b"transfer-encoding"),
        18 => is(b"proxy-authenticate"),
        19 => is(b"proxy-authorization"),
        25 => is(b"proxy-authentication-info"),
        _ => false,
    }
}

/// Fields that are for everybody on the way, whatever `Connection` says: it must not name them (RFC 9110 §7.6.1), and
/// without them a message would be framed, routed or stored otherwise than its sender meant.
fn never_stops(name: &[u8]) -> bool {
    [&b"cache-control"[..], b"content-length", b"host"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether a client wants its connection to go on (RFC 9112 §9.3). All lines of `Connection` are one list (RFC 9110 §5.3).
pub fn persists(version: Version, headers: &HeaderMap) -> bool {
    persists_with(version, || fields::list(headers, &header::CONNECTION))
}

/// The same, of the options themselves.
pub fn persists_with<'a, O: Iterator<Item = &'a [u8]>>(
    version: Version,
    options: impl Fn() -> O,
) -> bool {
    let says = |option: &[u8]| options().any(|named| named.eq_ignore_ascii_case(option));
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

/// What an edge is called, and what it appends to the messages that pass it, made once.
#[derive(Debug, Clone)]
pub struct Pseudonym {
    name: String,
    /// By the version received.
    via: [Option<HeaderValue>; RECEIVED.len()],
    cdn_loop: Option<HeaderValue>,
}

/// The versions of HTTP that messages are received in, as `Via` says them.
const RECEIVED: [(Version, &str); 5] = [
    (Version::HTTP_11, "1.1"),
    (Version::HTTP_2, "2"),
    (Version::HTTP_10, "1.0"),
    (Version::HTTP_09, "0.9"),
    (Version::HTTP_3, "3"),
];

impl Pseudonym {
    /// Of the edge of that name.
    pub fn new(name: String) -> Self {
        let token = token(&name);
        let via =
            RECEIVED.map(|(_, version)| HeaderValue::try_from(format!("{version} {token}")).ok());
        let cdn_loop = HeaderValue::from_str(&token).ok();
        Self {
            name,
            via,
            cdn_loop,
        }
    }

    /// The name, as it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The member that this edge appends to `Via` (RFC 9110 §7.6.3): the version received, and its pseudonym.
    pub fn via(&self, received: Version) -> Option<HeaderValue> {
        let known = |(version, _): &(Version, _)| *version == received;
        let place = RECEIVED.iter().position(known).unwrap_or_default();
        self.via.get(place)?.clone()
    }

    /// The member that this edge appends to `CDN-Loop` (RFC 8586 §2): its id as a pseudonym.
    pub fn cdn_loop(&self) -> Option<HeaderValue> {
        self.cdn_loop.clone()
    }
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
        let edge = Pseudonym::new("néw york".to_owned());
        own.insert(CDN_LOOP, edge.cdn_loop().unwrap());
        assert!(has_looped(&own, edge.name()));
        assert_eq!(edge.via(Version::HTTP_2).unwrap(), "2 n-w-york");
        assert_eq!(edge.via(Version::HTTP_11).unwrap(), "1.1 n-w-york");
    }
}
