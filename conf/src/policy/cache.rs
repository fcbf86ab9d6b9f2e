//! Caching rules of a route.

use super::StatusSet;
use std::time::Duration;

/// What is cached, for how long, under which key.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheRule {
    /// Lifetimes.
    pub ttl: TtlRules,
    /// What tells two objects apart, besides site, scheme, host, port and path.
    pub key: KeyParts,
    /// A larger body passes through and is not stored. Default 64 MiB.
    pub object_bytes_max: u64,
    /// How long an uncacheable answer lets the requests for its key go to the origin side by side. Default 10 s.
    pub hit_for_miss: Duration,
    /// The longest that a request waits for another's fetch of the same key; then it fetches itself. Default 10 s.
    pub lock_wait: Duration,
    /// Response headers that carry tags besides `Surrogate-Key` and `Cache-Tag`.
    pub tag_headers: Vec<http::HeaderName>,
    /// What becomes of a response that sets a cookie.
    pub set_cookie: SetCookie,
    /// Whether `Surrogate-Control` counts: below `CDN-Cache-Control`, above `Cache-Control`. Default no.
    pub surrogate_control: bool,
    /// Whether clients get to see `CDN-Cache-Control` (RFC 9213 §2.2).
    pub cdn_cache_control: CdnCacheControl,
    /// What `Cache-Status` tells besides the outcome.
    pub cache_status: CacheStatusRule,
    /// Whether `Cache-Groups` and `Cache-Group-Invalidation` count (RFC 9875). Default yes.
    pub groups: bool,
    /// Which objects go to the disk tier of an edge that has one.
    pub disk: DiskAdmission,
    /// Request fields that reach the origin although they are no part of the key, besides those that every cache passes on.
    pub forward_headers: Vec<http::HeaderName>,
}

impl Default for CacheRule {
    /// What `cache: true` means.
    fn default() -> Self {
        Self {
            ttl: TtlRules::default(),
            key: KeyParts::default(),
            object_bytes_max: 64 * 1024 * 1024,
            hit_for_miss: Duration::from_secs(10),
            lock_wait: Duration::from_secs(10),
            tag_headers: Vec::new(),
            set_cookie: SetCookie::default(),
            surrogate_control: false,
            cdn_cache_control: CdnCacheControl::default(),
            cache_status: CacheStatusRule::default(),
            groups: true,
            disk: DiskAdmission::default(),
            forward_headers: Vec::new(),
        }
    }
}

/// What becomes of a response that sets a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SetCookie {
    /// It passes and is not stored: what is for one visitor does not reach the next.
    #[default]
    Bypass,
    /// It is stored like any other, cookie and all (RFC 9111 §7.3).
    Store,
}

/// Whether `CDN-Cache-Control` goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CdnCacheControl {
    /// It does: another CDN may stand between this edge and the client.
    #[default]
    Forward,
    /// It ends here.
    Strip,
}

/// What `Cache-Status` tells besides the outcome (RFC 9211).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheStatusRule {
    /// The cache key (§2.7). Default no.
    pub key: bool,
    /// Why, in a word (§2.8). Default yes.
    pub detail: bool,
}

impl Default for CacheStatusRule {
    fn default() -> Self {
        Self {
            key: false,
            detail: true,
        }
    }
}

/// Which objects go to the disk tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiskAdmission {
    /// Every one.
    #[default]
    Always,
    /// Those that are fetched again.
    SecondHit,
    /// None.
    Never,
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
    /// For a response that says nothing of its freshness but when it was last changed; before `default`.
    pub heuristic: Option<Heuristic>,
}

impl TtlRules {
    /// Whether it gives a lifetime to responses whose origin gave none.
    pub fn gives_lifetimes(&self) -> bool {
        let gives = |ttl: &Option<Duration>| ttl.is_some_and(|ttl| !ttl.is_zero());
        gives(&self.default)
            || gives(&self.over)
            || gives(&self.min)
            || self.heuristic.is_some()
            || self.by_status.iter().any(|(_, ttl)| !ttl.is_zero())
    }
}

/// Heuristic freshness (RFC 9111 §4.2.2): a share of the time since the last change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heuristic {
    /// The share; above 0, at most 1. Default 0.1.
    pub fraction: f64,
    /// The longest lifetime that comes of it. Default one day.
    pub max: Duration,
}

impl Default for Heuristic {
    fn default() -> Self {
        Self {
            fraction: 0.1,
            max: Duration::from_hours(24),
        }
    }
}

/// The parts of a cache key beside site, scheme, host, port and path: those are the target URI (RFC 9111 §2), and the origin
/// gets to see them.
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
    /// Whether the client's kind of device counts: desktop, mobile or tablet.
    pub device: bool,
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
