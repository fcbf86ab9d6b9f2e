//! How limits are told: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers), `Retry-After`.

use super::RateState;
use http::HeaderValue;
use latencify_conf::policy::RateLimit;
use std::{sync::Arc, time::Duration};

/// What is told of a limit, about.
const BYTES_EACH: usize = 48;

/// `RateLimit-Policy: "per-client";q=100;w=60`: the quota and its window in seconds. None when there is no limit.
pub fn rate_limit_policy(limits: &[(Arc<RateLimit>, RateState)]) -> Option<HeaderValue> {
    value(limits, |text, limit, _| {
        push_number(text, ";q=", limit.requests);
        push_number(text, ";w=", seconds_up(limit.per).max(1));
    })
}

/// `RateLimit: "per-client";r=50;t=30`: how many are left, and the seconds until all are there again.
pub fn rate_limit(limits: &[(Arc<RateLimit>, RateState)]) -> Option<HeaderValue> {
    value(limits, |text, _, state| {
        push_number(text, ";r=", state.remaining);
        push_number(text, ";t=", seconds_up(state.reset));
    })
}

/// `Retry-After` (RFC 9110 §10.2.3) in seconds, rounded up, at least 1.
pub fn retry_after(wait: Duration) -> HeaderValue {
    HeaderValue::from(seconds_up(wait).max(1))
}

fn value(
    limits: &[(Arc<RateLimit>, RateState)],
    write: impl Fn(&mut String, &RateLimit, &RateState),
) -> Option<HeaderValue> {
    let mut text = String::with_capacity(limits.len() * BYTES_EACH);
    for (limit, state) in limits {
        if !text.is_empty() {
            text.push_str(", ");
        }
        push_string(&mut text, &limit.name);
        write(&mut text, limit, state);
    }
    if text.is_empty() {
        None
    } else {
        HeaderValue::try_from(text).ok()
    }
}

/// A string of structured fields (RFC 9651 §3.3.3).
fn push_string(text: &mut String, value: &str) {
    text.push('"');
    let stands = |octet| matches!(octet, b' '..=b'~') && octet != b'"' && octet != b'\\';
    if value.bytes().all(stands) {
        text.push_str(value);
        text.push('"');
        return;
    }
    for c in value.chars().filter(|c| (' '..='~').contains(c)) {
        if c == '"' || c == '\\' {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
}

fn push_number(text: &mut String, name: &str, number: impl itoa::Integer) {
    text.push_str(name);
    text.push_str(itoa::Buffer::new().format(number));
}

fn seconds_up(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_add(u64::from(duration.subsec_nanos() > 0))
}
