//! Caching.

use super::{
    Map,
    text::{Duration, HeaderName, NamePattern, Size, Statuses, Words},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// `true`: answers are cached as the origin says (RFC 9111). A mapping says more.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Cache {
    /// Whether answers are cached.
    Switch(bool),
    /// How answers are cached.
    Rules(Box<CacheRules>),
}

/// How answers are cached.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheRules {
    /// The lifetime of an answer that says nothing of its freshness. Default: such an answer is not stored.
    pub default_ttl: Option<Duration>,
    /// The lifetime instead of what the answer says; `no-store` and `private` still hold.
    pub ttl: Option<Duration>,
    /// The lifetime by status, before `ttl` and `default_ttl`. The narrowest entry wins: `404` before `4xx`.
    pub ttl_by_status: Map<Statuses, Duration>,
    /// What the answer says is raised to this.
    pub min_ttl: Option<Duration>,
    /// What the answer says is lowered to this.
    pub max_ttl: Option<Duration>,
    /// How long a stale answer is served while it is refreshed, unless the answer says it (RFC 5861).
    pub stale_while_revalidate: Option<Duration>,
    /// How long a stale answer is served while the origin fails, unless the answer says it (RFC 5861).
    pub stale_if_error: Option<Duration>,
    /// What tells two objects apart, besides site, host and path.
    pub key: CacheKey,
    /// A larger body passes through and is not stored. Default 64MiB.
    pub object_max: Option<Size>,
    /// How long an uncacheable answer lets requests for its key go to the origin side by side. Default 10s.
    pub hit_for_miss: Option<Duration>,
    /// The longest that a request waits for another's fetch of the same key; then it fetches itself. Default 10s.
    pub lock_wait: Option<Duration>,
    /// Response headers that carry tags besides `Surrogate-Key` and `Cache-Tag`.
    pub tag_headers: Vec<HeaderName>,
}

/// The parts of the cache key besides site, host and path.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheKey {
    /// Which query parameters count. Default `all`.
    pub query: Option<Query>,
    /// Whether `a=1&b=2` and `b=2&a=1` are one key. Default no.
    pub sort_query: bool,
    /// Request headers whose values count.
    pub headers: Vec<HeaderName>,
    /// Cookies whose values count.
    pub cookies: Vec<Words>,
    /// Whether the client's country counts. Default no.
    pub country: bool,
}

/// Which query parameters count.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// Every one.
    All,
    /// None.
    None,
    /// These.
    Only(#[schemars(length(min = 1))] Vec<NamePattern>),
    /// Every one but these.
    Except(#[schemars(length(min = 1))] Vec<NamePattern>),
}
