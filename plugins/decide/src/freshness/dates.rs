//! When a response was generated and until when it says that it is fresh.

use super::{Exchange, control::delta_seconds};
use crate::{dates, fields};
use http::{HeaderMap, header};
use latencify_conf::policy::Heuristic;
use std::time::{Duration, SystemTime};

/// `Expires` less `Date` (RFC 9111 §4.2.1, §5.3): the earliest of several lines; what is no date, like `0`, is in the past.
pub(super) fn expires(exchange: &Exchange<'_>, headers: &HeaderMap) -> Option<Duration> {
    let base = generated(exchange, headers);
    let ttl = |line: &http::HeaderValue| {
        let at = dates::parse(line.as_bytes(), exchange.received);
        at.and_then(|at| at.duration_since(base).ok())
            .unwrap_or_default()
    };
    headers.get_all(header::EXPIRES).iter().map(ttl).min()
}

/// A share of the time since `Last-Modified` (§4.2.2); none when it is absent, no date, or not before `Date`.
pub(super) fn heuristic(
    exchange: &Exchange<'_>,
    headers: &HeaderMap,
    rule: &Heuristic,
) -> Option<Duration> {
    let changed = dates::single(headers, &header::LAST_MODIFIED, exchange.received)?;
    let unchanged = generated(exchange, headers).duration_since(changed).ok()?;
    Some(
        unchanged
            .mul_f64(rule.fraction.clamp(0.0, 1.0))
            .min(rule.max),
    )
}

/// `corrected_initial_age` (RFC 9111 §4.2.3).
pub(super) fn initial_age(exchange: &Exchange<'_>, headers: &HeaderMap) -> Duration {
    let apparent = date(exchange, headers)
        .and_then(|date| exchange.received.duration_since(date).ok())
        .unwrap_or_default();
    let delay = exchange
        .received
        .duration_since(exchange.sent)
        .unwrap_or_default();
    // §5.1: of a list or of several lines the first member counts; what is no count of seconds (negative, a fraction, a word) is
    // ignored, and `Date` still counts. Parameters are, too, but not the number that they stand behind: it can only be older.
    let said = fields::list(headers, &header::AGE)
        .next()
        .and_then(|first| fields::split(first, b';').next())
        .and_then(delta_seconds)
        .unwrap_or_default();
    apparent.max(said.saturating_add(delay))
}

/// `Date`, or the arrival where there is none that can be read (§4.2.3; RFC 9110 §6.6.1).
fn generated(exchange: &Exchange<'_>, headers: &HeaderMap) -> SystemTime {
    date(exchange, headers).unwrap_or(exchange.received)
}

fn date(exchange: &Exchange<'_>, headers: &HeaderMap) -> Option<SystemTime> {
    dates::single(headers, &header::DATE, exchange.received)
}
