//! Directives for CDNs alone: `CDN-Cache-Control` (RFC 9213) and, where the policy says so, `Surrogate-Control` (Edge
//! Architecture Specification 1.0 §2). Where one of them counts, `Cache-Control` and `Expires` don't (RFC 9213 §2.2).

use super::control::{ResponseControl, directive};
use crate::{fields, hops};
use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

/// Directives for CDNs (RFC 9213 §3).
pub const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// Directives for surrogates.
pub const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

/// Directives whose argument is a number (an Integer of a Structured Field).
const WITH_SECONDS: [&str; 4] = [
    "max-age",
    "s-maxage",
    "stale-if-error",
    "stale-while-revalidate",
];

/// `CDN-Cache-Control` over all its lines as a Dictionary; none if it is absent, empty or invalid: then it is as if it were
/// not there (RFC 9213 §2.1). Invalid is also a number of seconds that is no Integer. Parameters are ignored.
pub(super) fn cdn(headers: &HeaderMap) -> Option<ResponseControl> {
    let mut value = Vec::new();
    for line in headers.get_all(CDN_CACHE_CONTROL) {
        if !value.is_empty() {
            value.extend_from_slice(b", ");
        }
        value.extend_from_slice(line.as_bytes());
    }
    let members: Dictionary = Parser::new(&value).parse().ok()?;
    if members.is_empty() {
        return None;
    }
    let mut control = ResponseControl::default();
    for (key, member) in &members {
        let name = key.as_str();
        let value = match member {
            ListEntry::Item(item) => &item.bare_item,
            // No directive has a list of values: what it restricts, it restricts wholly.
            ListEntry::InnerList(_) => &BareItem::Boolean(true),
        };
        match value {
            BareItem::Boolean(false) => {}
            BareItem::Integer(seconds) => {
                // A negative number is no delta-seconds: zero, as any that can't be read.
                control.take(name.as_bytes(), Some(seconds.to_string().as_bytes()));
            }
            _ if WITH_SECONDS.contains(&name) => return None,
            BareItem::String(list) => control.take(name.as_bytes(), Some(list.as_str().as_bytes())),
            BareItem::Token(token) => {
                control.take(name.as_bytes(), Some(token.as_str().as_bytes()));
            }
            _ => control.take(name.as_bytes(), None),
        }
    }
    Some(control)
}

/// `Surrogate-Control`; none if nothing in it is for this edge. A directive with another's name as parameter is not for it;
/// one with its own counts instead of one without.
pub(super) fn surrogate(headers: &HeaderMap, edge: &str) -> Option<ResponseControl> {
    let edge = hops::token(edge);
    let (mut own, mut general) = (Vec::new(), Vec::new());
    for member in fields::list(headers, &SURROGATE_CONTROL) {
        let mut parts = fields::split(member, b';');
        let Some(said) = parts.next() else { continue };
        let mut targets = parts.peekable();
        if targets.peek().is_none() {
            general.push(said);
        } else if targets.any(|target| target.eq_ignore_ascii_case(edge.as_bytes())) {
            own.push(said);
        }
    }
    let mut control = ResponseControl::default();
    let mut counts = false;
    let named = |said: &[u8]| directive(said).0.to_ascii_lowercase();
    let own_names: Vec<_> = own.iter().map(|said| named(said)).collect();
    let general = general
        .into_iter()
        .filter(|said| !own_names.contains(&named(said)));
    for said in own.into_iter().chain(general) {
        counts |= take_surrogate(&mut control, said);
    }
    counts.then_some(control)
}

/// Whether the directive says something about caching.
fn take_surrogate(control: &mut ResponseControl, said: &[u8]) -> bool {
    let (name, value) = directive(said);
    match name.to_ascii_lowercase().as_slice() {
        // An edge of a CDN is remote from the origin.
        b"no-store" | b"no-store-remote" => control.take(b"no-store", None),
        b"max-age" => {
            // `60+30`: fresh for 60 s, then served stale for 30 s.
            let value = value.unwrap_or_default();
            let mut parts = value.splitn(2, |&byte| byte == b'+');
            control.take(b"max-age", parts.next());
            if let Some(stale) = parts.next() {
                control.take(b"stale-while-revalidate", Some(stale));
                control.take(b"stale-if-error", Some(stale));
            }
        }
        _ => return false,
    }
    true
}
