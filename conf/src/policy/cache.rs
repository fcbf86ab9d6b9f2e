//! Caching rules of a route.

use super::StatusSet;
use std::time::Duration;

/// What is cached, for how long, under which key.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheRule {
    /// Lifetimes.
    pub ttl: TtlRules,
    /// What tells two objects apart, besides site, host and path.
    pub key: KeyParts,
    /// A larger body passes through and is not stored. Default 64 MiB.
    pub object_bytes_max: u64,
    /// How long an uncacheable answer lets the requests for its key go to the origin side by side. Default 10 s.
    pub hit_for_miss: Duration,
    /// The longest that a request waits for another's fetch of the same key; then it fetches itself. Default 10 s.
    pub lock_wait: Duration,
    /// Response headers that carry tags besides `Surrogate-Key` and `Cache-Tag`.
    pub tag_headers: Vec<http::HeaderName>,
}

/// Lifetimes: what the origin says (RFC 9111), unless the policy says otherwise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TtlRules {
    /// For a response that says nothing of its freshness; none: such a response is not stored.
    pub default: Option<Duration>,
    /// Instead of what the response says; `no-store` and `private` still hold.
    pub over: Option<Duration>,
    /// By status, before `over` and `default`.
    pub by_status: Vec<(StatusSet, Duration)>,
    /// Bounds on what the origin says.
    pub min: Option<Duration>,
    /// Bounds on what the origin says.
    pub max: Option<Duration>,
    /// For a response that does not say it (RFC 5861 §3).
    pub stale_while_revalidate: Option<Duration>,
    /// For a response that does not say it (RFC 5861 §4).
    pub stale_if_error: Option<Duration>,
}

/// The parts of a cache key beside site, host and path. The scheme is not one of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeyParts {
    /// Which query parameters count.
    pub query: Names,
    /// Whether `a=1&b=2` and `b=2&a=1` are one key. Default no.
    pub sort_query: bool,
    /// Request headers whose values count.
    pub headers: Vec<http::HeaderName>,
    /// Cookies whose values count.
    pub cookies: Vec<String>,
    /// Whether the client's country counts.
    pub country: bool,
}

/// A choice of names; `*` at an end is a wildcard (`utm_*`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Names {
    /// Every one.
    #[default]
    All,
    /// None.
    None,
    /// These.
    Only(Vec<String>),
    /// Every one but these.
    Except(Vec<String>),
}

impl Names {
    /// Whether a name is chosen.
    pub fn chooses(&self, name: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches_name(pattern, name));
        match self {
            Self::All => true,
            Self::None => false,
            Self::Only(patterns) => any(patterns),
            Self::Except(patterns) => !any(patterns),
        }
    }
}

fn matches_name(pattern: &str, name: &str) -> bool {
    match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(start), _) => name.starts_with(start),
        (None, Some(end)) => name.ends_with(end),
        (None, None) => pattern == name,
    }
}

/// Who may send `PURGE` to an edge.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PurgeAccess {
    /// Clients (after trusted hops) in these blocks; empty: nobody.
    pub from: Vec<ipnet::IpNet>,
}
