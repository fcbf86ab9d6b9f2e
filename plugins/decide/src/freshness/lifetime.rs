//! How long a stored response is fresh, and for how long after that it may still serve.

use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// Longer windows are this: a hundred years, which every clock can count.
const WINDOW_MAX: Duration = Duration::from_hours(100 * 365 * 24);

/// What is kept beside a stored response to decide its reuse. Every window is counted from `born`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifetime {
    /// When the response was generated, by this edge's clock: the time of its arrival less the age that it had then
    /// (RFC 9111 §4.2.3).
    pub born: SystemTime,
    /// The age until which it is fresh.
    pub fresh: Duration,
    /// Served stale for so long after that, while it is refreshed (RFC 5861 §3).
    pub stale_while_revalidate: Duration,
    /// Served stale for so long after that, when the origin fails (RFC 5861 §4).
    pub stale_if_error: Duration,
    /// `no-cache`: validated before every use.
    pub always_revalidate: bool,
    /// Never served stale: `must-revalidate`, `proxy-revalidate`, or `s-maxage` without stale windows (§4.2.4).
    pub must_revalidate: bool,
    /// `immutable` (RFC 8246): while it is fresh, only `no-cache` has it validated.
    pub immutable: bool,
    /// Where the freshness comes from.
    pub source: LifetimeSource,
}

/// Where a freshness lifetime comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifetimeSource {
    /// `CDN-Cache-Control` (RFC 9213).
    CdnCacheControl,
    /// `Surrogate-Control`.
    SurrogateControl,
    /// `s-maxage`.
    SMaxage,
    /// `max-age`.
    MaxAge,
    /// `Expires`.
    Expires,
    /// The policy's `ttl_by_status`.
    PolicyStatus,
    /// The policy's `ttl`.
    PolicyTtl,
    /// The policy's `default_ttl`.
    PolicyDefault,
    /// The policy's `heuristic` (RFC 9111 §4.2.2).
    Heuristic,
    /// Nothing: `no-cache` alone, stored only to be validated.
    Nothing,
}

impl LifetimeSource {
    /// Whether the policy says it, not the response.
    pub fn is_policy(self) -> bool {
        matches!(
            self,
            Self::PolicyStatus | Self::PolicyTtl | Self::PolicyDefault | Self::Heuristic
        )
    }

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CdnCacheControl => "cdn_cache_control",
            Self::SurrogateControl => "surrogate_control",
            Self::SMaxage => "s_maxage",
            Self::MaxAge => "max_age",
            Self::Expires => "expires",
            Self::PolicyStatus => "policy_status",
            Self::PolicyTtl => "policy_ttl",
            Self::PolicyDefault => "policy_default",
            Self::Heuristic => "heuristic",
            Self::Nothing => "nothing",
        }
    }
}

impl Lifetime {
    /// The current age (RFC 9111 §4.2.3). A clock that went back makes it zero, never an overflow.
    pub fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.born).unwrap_or_default()
    }

    /// The age in whole seconds, as `Age` says it.
    pub fn age_seconds(&self, now: SystemTime) -> u64 {
        self.age(now).as_secs().min(1 << 31)
    }

    /// Seconds of freshness left; negative when stale. What `Cache-Status: …; ttl` says (RFC 9211 §2.4).
    pub fn ttl_seconds(&self, now: SystemTime) -> i64 {
        let (fresh, age) = (self.fresh.as_secs(), self.age_seconds(now));
        i64::try_from(fresh)
            .unwrap_or(i64::MAX)
            .saturating_sub_unsigned(age)
    }

    /// How much longer it is fresh; zero when stale.
    pub fn fresh_for(&self, now: SystemTime) -> Duration {
        self.fresh.saturating_sub(self.age(now))
    }

    /// Whether one fetch can answer the requests that wait for it: the response will be fresh for some time. If not,
    /// requests for its key should not queue behind one another.
    pub fn is_shareable(&self, now: SystemTime) -> bool {
        !self.always_revalidate && !self.fresh_for(now).is_zero()
    }

    /// The time after which it is not served without validation, unless a client asks for `max-stale`: what stores may drop
    /// it by.
    pub fn useless_at(&self) -> SystemTime {
        let stale = if self.must_revalidate || self.always_revalidate {
            Duration::ZERO
        } else {
            self.stale_while_revalidate.max(self.stale_if_error)
        };
        let window = self.fresh.saturating_add(stale).min(WINDOW_MAX);
        self.born.checked_add(window).unwrap_or(self.born)
    }
}
