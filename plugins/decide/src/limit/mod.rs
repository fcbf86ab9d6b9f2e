//! Rate limits: the arithmetic of GCRA (ITU-T I.371, Annex A), what is counted apart, and how it is told.

mod fields;
mod subject;

pub use fields::{rate_limit, rate_limit_policy, retry_after};
pub use subject::{LimitKey, Subject};

use latencify_conf::policy::RateLimit;
use std::time::Duration;

/// A rate made ready: one request each `interval`, and `burst` at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Nanoseconds between two requests at the steady rate, rounded up, so that never too many are let in.
    pub interval_ns: u64,
    /// How many may come at once; at least 1.
    pub burst: u32,
}

/// What a limit says to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateState {
    /// Whether it passes.
    pub allowed: bool,
    /// How many more could pass now.
    pub remaining: u32,
    /// Until the whole burst is there again.
    pub reset: Duration,
    /// Until the next one could pass; zero when one could pass now.
    pub retry_after: Duration,
}

impl From<&RateLimit> for Rate {
    fn from(limit: &RateLimit) -> Self {
        let per = limit.per.as_nanos();
        let interval = per.div_ceil(u128::from(limit.requests.max(1)));
        Self {
            interval_ns: u64::try_from(interval).unwrap_or(u64::MAX).max(1),
            burst: limit.burst.max(1),
        }
    }
}

/// Decides one request at time `now_ns` and says the new state of the count. The state is the time at which the count
/// will be empty ("theoretical arrival time") in nanoseconds of the same clock, 0 for a new count.
///
/// In any window of time the requests that pass are at most `burst + window / interval`. A refused request changes nothing.
pub fn gcra(empty_at_ns: u64, now_ns: u64, rate: Rate) -> (RateState, u64) {
    let interval = u128::from(rate.interval_ns.max(1));
    let capacity = interval * u128::from(rate.burst.max(1));
    let now = u128::from(now_ns);
    let empty_at = u128::from(empty_at_ns).max(now);
    let after = empty_at + interval;
    let allowed = after - now <= capacity && after <= u128::from(u64::MAX);
    let level = if allowed { after - now } else { empty_at - now };
    let room = capacity.saturating_sub(level);
    let state = RateState {
        allowed,
        remaining: u32::try_from(room / interval).unwrap_or(u32::MAX),
        reset: nanoseconds(level),
        retry_after: nanoseconds((level + interval).saturating_sub(capacity)),
    };
    (state, nanoseconds_u64(now + level))
}

fn nanoseconds(count: u128) -> Duration {
    Duration::from_nanos(nanoseconds_u64(count))
}

fn nanoseconds_u64(count: u128) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
