//! What a client demands of stored responses.

use super::control::{delta_seconds, directive};
use crate::fields;
use http::{HeaderMap, header};
use std::time::Duration;

/// `Cache-Control` of a request (RFC 9111 §5.2.1), or `Pragma: no-cache` (§5.4) where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestDirectives {
    /// The answer is not to be stored.
    pub no_store: bool,
    /// A stored response is to be validated first.
    pub no_cache: bool,
    /// Only a stored response is wanted: 504 without one (§5.2.1.7).
    pub only_if_cached: bool,
    /// No older than this.
    pub max_age: Option<Duration>,
    /// Fresh for at least this much longer.
    pub min_fresh: Option<Duration>,
    /// Stale by at most this; [`Duration::MAX`] when no limit was said.
    pub max_stale: Option<Duration>,
    /// Stale by less than this when the origin fails (RFC 5861 §4).
    pub stale_if_error: Option<Duration>,
}

impl RequestDirectives {
    /// Reads a request's header fields.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        if !headers.contains_key(header::CACHE_CONTROL) {
            found.no_cache = fields::list(headers, &header::PRAGMA)
                .any(|member| member.eq_ignore_ascii_case(b"no-cache"));
            return found;
        }
        for member in fields::list(headers, &header::CACHE_CONTROL) {
            let (directive, value) = directive(member);
            let is = |name: &str| directive.eq_ignore_ascii_case(name.as_bytes());
            let seconds = value.and_then(delta_seconds);
            if is("no-cache") {
                found.no_cache = true;
            } else if is("no-store") {
                found.no_store = true;
            } else if is("only-if-cached") {
                found.only_if_cached = true;
            } else if is("max-age") {
                // What can't be read asks for the youngest.
                let said = seconds.unwrap_or(Duration::ZERO);
                found.max_age = Some(found.max_age.map_or(said, |known| known.min(said)));
            } else if is("min-fresh") {
                found.min_fresh = found.min_fresh.max(seconds);
            } else if is("stale-if-error") {
                found.stale_if_error = shorter(found.stale_if_error, seconds);
            } else if is("max-stale") {
                let said = if value.is_none() {
                    Some(Duration::MAX)
                } else {
                    seconds
                };
                found.max_stale = shorter(found.max_stale, said);
            }
        }
        found
    }
}

fn shorter(known: Option<Duration>, said: Option<Duration>) -> Option<Duration> {
    match (known, said) {
        (Some(known), Some(said)) => Some(known.min(said)),
        (known, said) => known.or(said),
    }
}
