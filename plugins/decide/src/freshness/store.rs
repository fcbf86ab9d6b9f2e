//! Whether a response may be stored, and for how long it is fresh.

use super::{
    Lifetime, LifetimeSource, RequestDirectives,
    complete::content_length,
    control::ResponseControl,
    dates::{expires, heuristic, initial_age},
    targeted,
};
use crate::{facts::Response, vary::Vary};
use http::{HeaderMap, HeaderName, Method, header};
use latencify_conf::policy::{CacheRule, SetCookie, TtlRules};
use serde::Serialize;
use std::time::{Duration, SystemTime};

/// One question to an origin and when it was answered.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// The method. GET also when the client sent HEAD and the origin was asked by GET, as a cache does to have a body to store.
    pub method: &'a Method,
    /// Whether the origin was sent an `Authorization` (one that the edge took out does not count).
    pub authorized: bool,
    /// What the client demanded.
    pub asked: RequestDirectives,
    /// When the request went to the origin.
    pub sent: SystemTime,
    /// When the head of the response came.
    pub received: SystemTime,
    /// The name of this edge, by which `Surrogate-Control` may address it.
    pub edge: &'a str,
}

/// What becomes of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storable {
    /// It is stored.
    Store {
        /// For how long it serves.
        lifetime: Lifetime,
        /// Fields that are left out of what is stored: `no-cache="…"`, `private="…"`.
        without: Vec<HeaderName>,
    },
    /// It is not.
    Not(NotStored),
}

/// Why a response is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NotStored {
    /// Only answers to GET and HEAD are.
    Method,
    /// 1xx, 206, 304, 412, 416, or a status that `must-understand` demands to be understood.
    Status,
    /// The client said `no-store`.
    RequestNoStore,
    /// The response says `no-store`.
    NoStore,
    /// The response says `private`.
    Private,
    /// The response says `no-cache` and has nothing to be validated by.
    NoCache,
    /// The request carried credentials and the response does not say that it is for all (RFC 9111 §3.5).
    Authorization,
    /// The response sets a cookie.
    SetCookie,
    /// It varies on more than a request shows.
    VaryStar,
    /// Neither the response nor the policy says for how long; or not at all, and there is nothing to validate it by.
    NoLifetime,
    /// It is larger than the policy stores.
    TooLarge,
}

impl NotStored {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Status => "status",
            Self::RequestNoStore => "request_no_store",
            Self::NoStore => "no_store",
            Self::Private => "private",
            Self::NoCache => "no_cache",
            Self::Authorization => "authorization",
            Self::SetCookie => "set_cookie",
            Self::VaryStar => "vary_star",
            Self::NoLifetime => "no_lifetime",
            Self::TooLarge => "too_large",
        }
    }
}

/// Whether a response may be stored (RFC 9111 §3) under a rule.
pub fn storable(exchange: &Exchange<'_>, response: Response<'_>, rule: &CacheRule) -> Storable {
    let control = Control::of(response.headers, rule, exchange.edge);
    match refusal(exchange, response, rule, &control) {
        Some(why) => Storable::Not(why),
        None => match lifetime(exchange, response, &rule.ttl, &control) {
            Ok(lifetime) => Storable::Store {
                lifetime,
                without: control.said.fields,
            },
            Err(why) => Storable::Not(why),
        },
    }
}

/// The directives that count, and where they stood.
struct Control {
    said: ResponseControl,
    /// Of a field for CDNs alone: what its lifetime is called.
    targeted: Option<LifetimeSource>,
}

impl Control {
    /// The first of the target list that is valid and not empty (RFC 9213 §2.2), else `Cache-Control`.
    fn of(headers: &HeaderMap, rule: &CacheRule, edge: &str) -> Self {
        let surrogate = || {
            let said = rule
                .surrogate_control
                .then(|| targeted::surrogate(headers, edge));
            Some((said.flatten()?, LifetimeSource::SurrogateControl))
        };
        let cdn = targeted::cdn(headers).map(|said| (said, LifetimeSource::CdnCacheControl));
        match cdn.or_else(surrogate) {
            Some((said, source)) => Self {
                said,
                targeted: Some(source),
            },
            None => Self {
                said: ResponseControl::of(headers),
                targeted: None,
            },
        }
    }
}

fn refusal(
    exchange: &Exchange<'_>,
    response: Response<'_>,
    rule: &CacheRule,
    control: &Control,
) -> Option<NotStored> {
    let Response { status, headers } = response;
    let said = &control.said;
    if !matches!(*exchange.method, Method::GET | Method::HEAD) {
        return Some(NotStored::Method);
    }
    // 206 is not stored as such, a 304 updates what is stored, and 412 and 416 answer fields that are no part of the key.
    if matches!(status, ..200 | 206 | 304 | 412 | 416)
        || (said.must_understand && !is_understood(status))
    {
        return Some(NotStored::Status);
    }
    if exchange.asked.no_store {
        return Some(NotStored::RequestNoStore);
    }
    // `must-understand` takes `no-store` back where the status is understood (§5.2.2.3).
    if said.no_store && !said.must_understand {
        return Some(NotStored::NoStore);
    }
    if said.private {
        return Some(NotStored::Private);
    }
    if exchange.authorized && !(said.public || said.s_maxage.is_some() || said.must_revalidate) {
        return Some(NotStored::Authorization);
    }
    // RFC 9111 §7.3 would have it stored; one visitor's session is no other's.
    if rule.set_cookie == SetCookie::Bypass
        && headers.contains_key(header::SET_COOKIE)
        && !said.fields.contains(&header::SET_COOKIE)
    {
        return Some(NotStored::SetCookie);
    }
    if Vary::of(headers) == Vary::Everything {
        return Some(NotStored::VaryStar);
    }
    if content_length(headers).is_some_and(|length| length > rule.object_bytes_max) {
        return Some(NotStored::TooLarge);
    }
    None
}

fn lifetime(
    exchange: &Exchange<'_>,
    response: Response<'_>,
    rules: &TtlRules,
    control: &Control,
) -> Result<Lifetime, NotStored> {
    let said = &control.said;
    let (fresh, source) = freshness_lifetime(exchange, response, rules, control);
    let stale_while_revalidate = said
        .stale_while_revalidate
        .or(rules.stale_while_revalidate)
        .unwrap_or_default();
    let stale_if_error = said
        .stale_if_error
        .or(rules.stale_if_error)
        .unwrap_or_default();
    let windows = !stale_while_revalidate.is_zero() || !stale_if_error.is_zero();
    let has_validator = response.headers.contains_key(header::ETAG)
        || response.headers.contains_key(header::LAST_MODIFIED);
    if said.no_cache && !has_validator {
        return Err(NotStored::NoCache);
    }
    // A policy that says zero means "not at all"; an origin that does may still be asked whether it changed.
    if fresh.is_zero() && (source.is_policy() || (!has_validator && !windows)) {
        return Err(NotStored::NoLifetime);
    }
    // `no-cache` says that it may be stored; a response that says nothing at all is not (the policy gives no default).
    if source == LifetimeSource::Nothing && !said.no_cache {
        return Err(NotStored::NoLifetime);
    }
    Ok(Lifetime {
        born: exchange
            .received
            .checked_sub(initial_age(exchange, response.headers))
            .unwrap_or(SystemTime::UNIX_EPOCH),
        fresh,
        stale_while_revalidate,
        stale_if_error,
        always_revalidate: said.no_cache,
        must_revalidate: said.must_revalidate
            || said.proxy_revalidate
            // §5.2.2.10: `s-maxage` implies it; beside stale windows it can't be meant (RFC 5861).
            || (said.s_maxage.is_some() && !source.is_policy() && !windows),
        immutable: said.immutable,
        source,
    })
}

/// RFC 9111 §4.2.1, after the policy's word: by status, then `ttl`, then what the response says within the policy's
/// bounds, then a share of its age (§4.2.2), then `default_ttl`. What the policy gives of itself holds for statuses that are
/// heuristically cacheable (RFC 9110 §15.1) and, of what gives lifetimes to nothing said, for `public` (§5.2.2.9).
fn freshness_lifetime(
    exchange: &Exchange<'_>,
    response: Response<'_>,
    rules: &TtlRules,
    control: &Control,
) -> (Duration, LifetimeSource) {
    let Response { status, headers } = response;
    if let Some((_, ttl)) = rules.by_status.iter().find(|(set, _)| set.contains(status)) {
        return (*ttl, LifetimeSource::PolicyStatus);
    }
    if let Some(ttl) = rules.over.filter(|_| is_heuristically_cacheable(status)) {
        return (ttl, LifetimeSource::PolicyTtl);
    }
    let said = &control.said;
    let explicit = match (said.s_maxage, said.max_age, control.targeted) {
        (Some(ttl), _, Some(source)) | (None, Some(ttl), Some(source)) => Some((ttl, source)),
        (None, None, Some(_)) => None,
        (Some(ttl), _, None) => Some((ttl, LifetimeSource::SMaxage)),
        (None, Some(ttl), None) => Some((ttl, LifetimeSource::MaxAge)),
        (None, None, None) => expires(exchange, headers).map(|ttl| (ttl, LifetimeSource::Expires)),
    };
    if let Some((ttl, source)) = explicit {
        let ttl = ttl
            .min(rules.max.unwrap_or(Duration::MAX))
            .max(rules.min.unwrap_or_default());
        return (ttl, source);
    }
    if !is_heuristically_cacheable(status) && !said.public {
        return (Duration::ZERO, LifetimeSource::Nothing);
    }
    let by_age = rules
        .heuristic
        .and_then(|rule| heuristic(exchange, headers, &rule));
    match (by_age, rules.default) {
        (Some(ttl), _) => (ttl, LifetimeSource::Heuristic),
        (None, Some(ttl)) => (ttl, LifetimeSource::PolicyDefault),
        (None, None) => (Duration::ZERO, LifetimeSource::Nothing),
    }
}

/// Cacheable by default (RFC 9110 §15.1), 206 left out; 308 by its own §15.4.9.
fn is_heuristically_cacheable(status: u16) -> bool {
    matches!(
        status,
        200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

/// Statuses whose caching rules are obeyed here, for `must-understand` (RFC 9111 §5.2.2.3).
fn is_understood(status: u16) -> bool {
    is_heuristically_cacheable(status)
        || matches!(status, 302 | 303 | 307 | 400 | 401 | 403 | 406 | 409 | 411 | 413..=415 | 417 | 418 | 421..=429 | 431 | 451 | 500 | 502..=505)
}
