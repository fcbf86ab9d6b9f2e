//! The arithmetic of rate limits, and how they are told.

use crate::house::Asking;
use latencify_conf::policy::{RateKey, RateLimit};
use latencify_decide::limit::{
    Rate, RateState, Subject, gcra, rate_limit, rate_limit_policy, retry_after,
};
use proptest::prelude::*;
use serde_json::json;
use std::{sync::Arc, time::Duration};

const SECOND: u64 = 1_000_000_000;

fn limit(requests: u32, per: Duration, burst: u32) -> RateLimit {
    RateLimit {
        name: "per-client".into(),
        key: RateKey::Address,
        requests,
        per,
        burst,
    }
}

/// Asks at each of these times; says who passed.
fn run(rate: Rate, times: impl IntoIterator<Item = u64>) -> Vec<(u64, RateState)> {
    let mut empty_at = 0;
    times
        .into_iter()
        .map(|now| {
            let (state, next) = gcra(empty_at, now, rate);
            empty_at = next;
            (now, state)
        })
        .collect()
}

#[test]
fn a_burst_passes_then_the_steady_rate() {
    let rate = Rate::from(&limit(10, Duration::from_secs(1), 3));
    let seen = run(
        rate,
        [0, 0, 0, 0, SECOND / 10 - 1, SECOND / 10, SECOND / 10],
    );
    let allowed: Vec<_> = seen.iter().map(|(_, state)| state.allowed).collect();
    assert_eq!(allowed, [true, true, true, false, false, true, false]);
    let remaining: Vec<_> = seen.iter().map(|(_, state)| state.remaining).collect();
    assert_eq!(remaining, [2, 1, 0, 0, 0, 0, 0]);
    assert_eq!(seen[2].1.retry_after, Duration::from_millis(100));
    assert_eq!(seen[3].1.retry_after, Duration::from_millis(100));
    assert_eq!(seen[4].1.retry_after, Duration::from_nanos(1));
    assert_eq!(seen[0].1.reset, Duration::from_millis(100));
    assert_eq!(seen[0].1.retry_after, Duration::ZERO);
}

#[test]
fn extreme_rates_neither_panic_nor_let_too_many_in() {
    let slow = Rate::from(&limit(1, Duration::MAX, u32::MAX));
    let (state, next) = gcra(u64::MAX, u64::MAX, slow);
    assert!(!state.allowed);
    assert_eq!(next, u64::MAX);
    let fast = Rate::from(&limit(u32::MAX, Duration::from_nanos(1), 1));
    assert_eq!(fast.interval_ns, 1);
    assert!(gcra(0, 0, fast).0.allowed);
}

proptest! {
    /// In every window, at most burst + rate × elapsed pass.
    #[test]
    fn never_more_than_burst_and_rate(
        requests in 1u32..2_000,
        per_ms in 1u64..10_000,
        burst in 1u32..50,
        steps in proptest::collection::vec(0u64..200_000_000, 1..200),
    ) {
        let limit = limit(requests, Duration::from_millis(per_ms), burst);
        let mut now = 0u64;
        let times: Vec<u64> = steps.iter().map(|step| { now += step; now }).collect();
        let passed: Vec<u64> = run(Rate::from(&limit), times)
            .into_iter().filter(|(_, state)| state.allowed).map(|(now, _)| now).collect();
        for (from, start) in passed.iter().enumerate() {
            for (to, end) in passed.iter().enumerate().skip(from) {
                let count = (to - from + 1) as u128;
                // count ≤ burst + requests × (end − start) / per, without rounding.
                let per_ns = limit.per.as_nanos();
                let bound = u128::from(burst) * per_ns + u128::from(requests) * u128::from(end - start);
                prop_assert!(count * per_ns <= bound);
            }
        }
    }

    /// Whoever asks all the time gets nearly the whole rate.
    #[test]
    fn hardly_less_than_the_rate(requests in 1u32..2_000, burst in 1u32..50) {
        let limit = limit(requests, Duration::from_secs(1), burst);
        let rate = Rate::from(&limit);
        let mut empty_at = 0;
        let mut passed = 0u64;
        let mut now = 0;
        while now < 2 * SECOND {
            let (state, next) = gcra(empty_at, now, rate);
            empty_at = next;
            passed += u64::from(state.allowed);
            // passed ≤ burst + requests × now, without rounding, also for who asks at the very first moment.
            prop_assert!(passed * SECOND <= u64::from(burst) * SECOND + u64::from(requests) * now);
            now += state.retry_after.as_nanos().max(1) as u64;
        }
        let expected = u64::from(burst) + 2 * u64::from(requests);
        prop_assert!(passed <= expected && passed * 100 >= expected * 98 - 100, "{} of {}", passed, expected);
    }

    /// A refusal says the very moment from which a request passes.
    #[test]
    fn retry_after_is_exact(empty_at in 0u64..10 * SECOND, now in 0u64..10 * SECOND, burst in 1u32..5) {
        let rate = Rate { interval_ns: SECOND / 7, burst };
        let (state, next) = gcra(empty_at, now, rate);
        if !state.allowed {
            prop_assert_eq!(next, empty_at.max(now));
            let wait = state.retry_after.as_nanos() as u64;
            prop_assert!(gcra(next, now + wait, rate).0.allowed);
            prop_assert!(!gcra(next, now + wait - 1, rate).0.allowed);
        }
    }
}

#[test]
fn whom_a_limit_counts_apart() {
    let subject = |key: &RateKey, asking: &Asking, claims: serde_json::Value| {
        Subject::of(key, &asking.facts(), claims.as_object())
    };
    let get = || Asking::get("h", "/");
    let address = |client: &str| subject(&RateKey::Address, &get().from(client, None), json!(null));
    assert_eq!(address("192.0.2.1"), address("::ffff:192.0.2.1"));
    assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
    assert_eq!(
        address("2001:db8::1"),
        address("2001:db8::ffff:1"),
        "one /64"
    );
    assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));

    let header = RateKey::Header(http::HeaderName::from_static("x-key"));
    let of = |value: &str| subject(&header, &get().header("x-key", value), json!(null));
    assert_ne!(of("a"), of("b"));
    assert_eq!(subject(&header, &get(), json!(null)), Subject::Without);

    let claim = RateKey::Claim("sub".to_owned());
    let of = |claims| subject(&claim, &get(), claims);
    assert_ne!(
        of(json!({"sub": "1"})),
        of(json!({"sub": 1})),
        "a text is no number"
    );
    assert_eq!(of(json!({})), Subject::Without);
    assert_eq!(of(json!(null)), Subject::Without);
}

#[test]
fn limits_are_told_in_structured_fields() {
    let state = RateState {
        allowed: true,
        remaining: 7,
        reset: Duration::from_millis(1200),
        retry_after: Duration::ZERO,
    };
    let mut second = limit(5, Duration::from_millis(100), 5);
    second.name = "a \"b\"".into();
    let limits = [
        (Arc::new(limit(10, Duration::from_mins(1), 8)), state),
        (Arc::new(second), state),
    ];
    assert_eq!(
        rate_limit_policy(&limits).unwrap(),
        r#""per-client";q=10;w=60, "a \"b\"";q=5;w=1"#
    );
    assert_eq!(
        rate_limit(&limits).unwrap(),
        r#""per-client";r=7;t=2, "a \"b\"";r=7;t=2"#
    );
    assert_eq!(rate_limit(&[]), None);
    assert_eq!(retry_after(Duration::from_millis(1)), "1");
    assert_eq!(retry_after(Duration::from_millis(1001)), "2");
}
