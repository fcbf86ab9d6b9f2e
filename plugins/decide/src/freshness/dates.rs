//! When a response was generated and until when it says that it is fresh.

use super::{Exchange, control::delta_seconds};
use crate::fields;
use http::{HeaderMap, header};
use std::time::{Duration, SystemTime};

/// `Expires` less `Date` (RFC 9111 §5.3): the earliest of several; what is no date, like `0`, is in the past.
pub(super) fn expires(exchange: &Exchange<'_>, headers: &HeaderMap) -> Option<Duration> {
    let base = date(headers).unwrap_or(exchange.received);
    let ttl = |line: &http::HeaderValue| {
        let at = line
            .to_str()
            .ok()
            .and_then(|text| httpdate::parse_http_date(text.trim()).ok());
        at.and_then(|at| at.duration_since(base).ok())
            .unwrap_or_default()
    };
    headers.get_all(header::EXPIRES).iter().map(ttl).min()
}

/// `corrected_initial_age` (RFC 9111 §4.2.3).
pub(super) fn initial_age(exchange: &Exchange<'_>, headers: &HeaderMap) -> Duration {
    let apparent = date(headers)
        .and_then(|date| exchange.received.duration_since(date).ok())
        .unwrap_or_default();
    let delay = exchange
        .received
        .duration_since(exchange.sent)
        .unwrap_or_default();
    // The first value counts; what is no number is ignored (§5.1).
    let said = fields::list(headers, &header::AGE)
        .next()
        .and_then(delta_seconds)
        .unwrap_or_default();
    apparent.max(said.saturating_add(delay))
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?.trim()).ok()
}
