//! Caching.

use super::{
    Map,
    text::{Duration, HeaderName, NamePattern, Size, Statuses, Timeout, Words},
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
    /// The lifetime of an answer that says nothing of its freshness but when it was last changed (`Last-Modified`): a share of
    /// the time since then (RFC 9111 §4.2.2), before `default_ttl`. Default: none.
    pub heuristic: Option<Heuristic>,
    /// Both `stale_while_revalidate` and `stale_if_error`, unless they are written too.
    pub grace: Option<Duration>,
    /// How long a stale answer is served while it is refreshed, unless the answer says it (RFC 5861).
    pub stale_while_revalidate: Option<Duration>,
    /// How long a stale answer is served while the origin fails, unless the answer says it (RFC 5861).
    pub stale_if_error: Option<Duration>,
    /// What tells two objects apart, besides site, scheme, host, port and path.
    pub key: CacheKey,
    /// A larger body passes through and is not stored. Default 64MiB.
    pub object_max: Option<Size>,
    /// How long an uncacheable answer lets requests for its key go to the origin side by side. Default 10s.
    pub hit_for_miss: Option<Duration>,
    /// The longest that a request waits for another's fetch of the same key; then it fetches itself. Default 10s.
    pub lock_wait: Option<Duration>,
    /// Response headers that carry tags besides `Surrogate-Key` and `Cache-Tag`.
    pub tag_headers: Vec<HeaderName>,
    /// What becomes of an answer that sets a cookie. Default `bypass`.
    pub set_cookie: Option<SetCookie>,
    /// Whether `Surrogate-Control` counts: below `CDN-Cache-Control`, above `Cache-Control`. Clients don't see it then. Default no.
    pub surrogate_control: bool,
    /// Whether clients get to see `CDN-Cache-Control` (RFC 9213). Default `forward`: another CDN may stand before this one.
    pub cdn_cache_control: Option<CdnCacheControl>,
    /// What `Cache-Status` (RFC 9211) tells besides the outcome.
    pub cache_status: Option<CacheStatus>,
    /// Whether `Cache-Groups` and `Cache-Group-Invalidation` count (RFC 9875). Default yes.
    pub groups: Option<bool>,
    /// Which objects go to the disk tier of an edge that has one (`--disk`). Default `always`: whatever was stored survives a
    /// restart, and writes go one after another to the end of a log. What is there already is served whatever this says.
    pub disk: Option<Disk>,
    /// Request headers that reach the origin although they are no part of the key. A client can set them, and what the origin
    /// makes of one client's value is stored for all: name only those that leave the answer as it is, or that the origin names
    /// in `Vary`. What negotiates (`Accept…`), validates, traces, or says who asks goes on without being named. `Cookie` must
    /// be named, or its cookies be part of the key, where the policy gives lifetimes to what the origin gave none.
    #[schemars(length(max = 32))]
    pub forward_headers: Vec<HeaderName>,
}

/// A share of the time since the last change.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Heuristic {
    /// The share. Default 0.1: what was changed ten days ago is fresh for a day.
    #[schemars(range(min = 0.001, max = 1.0))]
    pub fraction: Option<f64>,
    /// The longest lifetime that comes of it. Default 1d.
    pub max: Option<Timeout>,
}

/// What becomes of an answer that sets a cookie.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SetCookie {
    /// It passes and is not stored: what is for one visitor does not reach the next.
    Bypass,
    /// It is stored like any other, cookie and all, if the answer's own directives allow it (RFC 9111 §7.3).
    Store,
}

/// Whether `CDN-Cache-Control` goes on.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CdnCacheControl {
    /// It does.
    Forward,
    /// It ends at the edge.
    Strip,
}

/// What `Cache-Status` tells besides the outcome.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheStatus {
    /// The cache key. Default no: it tells clients what the policy counts.
    pub key: Option<bool>,
    /// Why, in a word: `stale`, `set_cookie`. Default yes.
    pub detail: Option<bool>,
}

/// Which objects go to the disk tier.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disk {
    /// Every one.
    Always,
    /// Those that are fetched again: what is asked for once costs no write, and a disk that wears lives longer.
    SecondHit,
    /// None.
    Never,
}

/// The parts of the cache key besides site, scheme, host, port and path.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheKey {
    /// Which query parameters count. Default `all`. The others don't reach the origin.
    pub query: Option<Query>,
    /// Whether `a=1&b=2` and `b=2&a=1` are one key; the origin gets them sorted. Default no.
    pub sort_query: bool,
    /// Request headers whose values count.
    pub headers: Vec<HeaderName>,
    /// Cookies whose values count.
    pub cookies: Vec<Words>,
    /// Whether the client's country counts. The origin is told in `X-Country`. Default no.
    pub country: bool,
    /// Whether the client's kind of device counts: `desktop`, `mobile` or `tablet`, read from `Sec-CH-UA-Mobile` and
    /// `User-Agent`. The origin is told in `X-Device`. Default no.
    pub device: bool,
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
