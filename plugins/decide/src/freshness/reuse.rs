//! Whether a stored response may answer a request.

use super::{Lifetime, RequestDirectives};
use serde::Serialize;
use std::time::{Duration, SystemTime};

/// What may be done with a stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// Serve it.
    Fresh,
    /// Serve it although it is stale: the client accepts that (`max-stale`).
    StaleAccepted,
    /// Serve it, and refresh it in the background.
    StaleWhileRevalidate,
    /// Ask the origin first. With `only-if-cached`, answer 504 instead.
    Revalidate(Revalidate),
}

/// Why the origin must be asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Revalidate {
    /// It is stale.
    Stale,
    /// A soft purge made it stale.
    Purged,
    /// The response said `no-cache`.
    ResponseNoCache,
    /// The client said `no-cache`.
    RequestNoCache,
    /// It is older than the client accepts (`max-age`).
    RequestMaxAge,
    /// It is not fresh for as long as the client asks (`min-fresh`).
    RequestMinFresh,
}

impl Reuse {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::StaleAccepted => "stale_accepted",
            Self::StaleWhileRevalidate => "stale_while_revalidate",
            Self::Revalidate(why) => why.as_str(),
        }
    }
}

impl Revalidate {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Purged => "purged",
            Self::ResponseNoCache => "response_no_cache",
            Self::RequestNoCache => "request_no_cache",
            Self::RequestMaxAge => "request_max_age",
            Self::RequestMinFresh => "request_min_fresh",
        }
    }
}

/// Whether a stored response may answer a request at `now` (RFC 9111 §4). `soft_purged` is the time of the latest soft mark
/// that matches it: the response is stale from then on.
pub fn reuse(
    lifetime: &Lifetime,
    soft_purged: Option<SystemTime>,
    asked: &RequestDirectives,
    now: SystemTime,
) -> Reuse {
    if lifetime.always_revalidate {
        return Reuse::Revalidate(Revalidate::ResponseNoCache);
    }
    if asked.no_cache {
        return Reuse::Revalidate(Revalidate::RequestNoCache);
    }
    let stale_by = staleness(lifetime, soft_purged, now);
    let too_old_by = asked.max_age.map_or(Duration::ZERO, |most| {
        lifetime.age(now).saturating_sub(most)
    });
    // RFC 8246 §2.1: a fresh response that never changes is validated for `no-cache` alone.
    let is_settled = lifetime.immutable && stale_by.is_none();
    if !too_old_by.is_zero() && !is_settled && asked.max_stale.is_none_or(|most| too_old_by > most)
    {
        return Reuse::Revalidate(Revalidate::RequestMaxAge);
    }
    let Some(by) = stale_by else {
        let least = asked.min_fresh.unwrap_or_default();
        return if lifetime.fresh_for(now) < least {
            Reuse::Revalidate(Revalidate::RequestMinFresh)
        } else {
            Reuse::Fresh
        };
    };
    if asked.min_fresh.is_some() {
        return Reuse::Revalidate(Revalidate::RequestMinFresh);
    }
    if !lifetime.must_revalidate {
        // §5.2.1.1: who says `max-age` and not `max-stale` wants nothing stale.
        if by < lifetime.stale_while_revalidate && asked.max_age.is_none() {
            return Reuse::StaleWhileRevalidate;
        }
        if asked.max_stale.is_some_and(|most| by <= most) {
            return Reuse::StaleAccepted;
        }
    }
    Reuse::Revalidate(if soft_purged.is_some() {
        Revalidate::Purged
    } else {
        Revalidate::Stale
    })
}

/// What may be done when the origin can't be reached or answers 500, 502, 503 or 504 (RFC 5861 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Serve the stored response.
    ServeStale,
    /// Pass the error on.
    PassOn,
}

/// The answers that are errors of an origin (RFC 5861 §4). One that can't be reached, closes its connection or says nothing in
/// time has failed as well.
pub fn is_origin_failure(status: u16) -> bool {
    matches!(status, 500 | 502 | 503 | 504)
}

/// Whether a stored response may be served instead of an error: in the response's window or in the request's, never against
/// `no-cache`, `must-revalidate`, `proxy-revalidate` or a bare `s-maxage` (RFC 9111 §4.2.4), whichever way the origin failed.
pub fn on_error(
    lifetime: &Lifetime,
    soft_purged: Option<SystemTime>,
    asked: &RequestDirectives,
    now: SystemTime,
) -> OnError {
    let forbidden = lifetime.must_revalidate || lifetime.always_revalidate || asked.no_cache;
    let in_time = match staleness(lifetime, soft_purged, now) {
        None => true,
        Some(by) => {
            by < lifetime
                .stale_if_error
                .max(asked.stale_if_error.unwrap_or_default())
        }
    };
    if in_time && !forbidden {
        OnError::ServeStale
    } else {
        OnError::PassOn
    }
}

/// For how long it has been stale; none: it is fresh.
fn staleness(
    lifetime: &Lifetime,
    soft_purged: Option<SystemTime>,
    now: SystemTime,
) -> Option<Duration> {
    let age = lifetime.age(now);
    let by_age = (age >= lifetime.fresh).then(|| age.saturating_sub(lifetime.fresh));
    let by_purge = soft_purged.map(|since| now.duration_since(since).unwrap_or_default());
    by_age.max(by_purge)
}
