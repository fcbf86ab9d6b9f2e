//! The directives of a response, whichever field they stand in: `Cache-Control` here, its targeted forms in [`super::targeted`].

use crate::fields;
use http::{HeaderMap, HeaderName, header};
use std::time::Duration;

/// The largest delta-seconds that is told apart; larger ones are this (RFC 9111 §1.2.2).
const DELTA_SECONDS_MAX: u64 = 1 << 31;

/// The directives of a response. Repeated and conflicting ones: the most restrictive counts (RFC 9111 §4.2.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ResponseControl {
    pub no_store: bool,
    pub private: bool,
    pub no_cache: bool,
    /// Fields named by `no-cache="…"` and `private="…"`: not stored, so never sent without validation (§5.2.2.4, §5.2.2.7).
    pub fields: Vec<HeaderName>,
    pub public: bool,
    pub must_revalidate: bool,
    pub proxy_revalidate: bool,
    pub must_understand: bool,
    /// RFC 8246.
    pub immutable: bool,
    pub max_age: Option<Duration>,
    pub s_maxage: Option<Duration>,
    pub stale_while_revalidate: Option<Duration>,
    pub stale_if_error: Option<Duration>,
}

impl ResponseControl {
    /// Reads all lines of `Cache-Control` (§5.2).
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        for member in fields::list(headers, &header::CACHE_CONTROL) {
            let (directive, value) = directive(member);
            control.take(directive, value);
        }
        control
    }

    pub(super) fn take(&mut self, directive: &[u8], value: Option<&[u8]>) {
        let is = |name: &str| directive.eq_ignore_ascii_case(name.as_bytes());
        if is("max-age") {
            shorten(&mut self.max_age, value);
        } else if is("s-maxage") {
            shorten(&mut self.s_maxage, value);
        } else if is("public") {
            self.public = true;
        } else if is("no-store") {
            self.no_store = true;
        } else if is("private") {
            match value.and_then(field_names) {
                Some(names) => self.fields.extend(names),
                None => self.private = true,
            }
        } else if is("no-cache") {
            match value.and_then(field_names) {
                Some(names) => self.fields.extend(names),
                None => self.no_cache = true,
            }
        } else if is("must-revalidate") {
            self.must_revalidate = true;
        } else if is("proxy-revalidate") {
            self.proxy_revalidate = true;
        } else if is("must-understand") {
            self.must_understand = true;
        } else if is("immutable") {
            self.immutable = true;
        } else if is("stale-while-revalidate") {
            shorten(&mut self.stale_while_revalidate, value);
        } else if is("stale-if-error") {
            shorten(&mut self.stale_if_error, value);
        }
    }
}

/// A directive and its argument. White space around the `=` makes the argument unreadable, not the directive unknown.
pub(super) fn directive(member: &[u8]) -> (&[u8], Option<&[u8]>) {
    let Some(at) = member.iter().position(|&byte| byte == b'=') else {
        return (member, None);
    };
    let (name, rest) = member.split_at(at);
    let value = rest.get(1..).unwrap_or_default();
    let is_sound =
        name.trim_ascii_end().len() == name.len() && value.trim_ascii_start().len() == value.len();
    (
        name.trim_ascii_end(),
        Some(if is_sound { value } else { b"" }),
    )
}

/// The shorter of what is known and what is said; what can't be read is zero: stale is the safe side (§4.2.1).
fn shorten(known: &mut Option<Duration>, value: Option<&[u8]>) {
    let said = value.and_then(delta_seconds).unwrap_or(Duration::ZERO);
    *known = Some(known.map_or(said, |known| known.min(said)));
}

/// A count of seconds, also in quotes (§5.2); too large is [`DELTA_SECONDS_MAX`], anything but digits is nothing.
pub(super) fn delta_seconds(value: &[u8]) -> Option<Duration> {
    let value = fields::unquote(value);
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = value
        .iter()
        .fold(0u64, |total, digit| {
            total
                .saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        })
        .min(DELTA_SECONDS_MAX);
    Some(Duration::from_secs(seconds))
}

/// The names in `="a, b"`; none if one of them is no field name: then the directive counts as if it had no list.
fn field_names(value: &[u8]) -> Option<Vec<HeaderName>> {
    let list = fields::unquote(value);
    let names: Option<Vec<_>> = fields::split(&list, b',')
        .map(|name| HeaderName::from_bytes(name).ok())
        .collect();
    names.filter(|names| !names.is_empty())
}
