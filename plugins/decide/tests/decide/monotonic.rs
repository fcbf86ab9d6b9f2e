//! One more restriction never lengthens what a stored response may be used for.

use crate::house::{headers, now};
use http::Method;
use latencify_conf::policy::CacheRule;
use latencify_decide::{
    facts::Response,
    freshness::{
        Exchange, Lifetime, OnError, RequestDirectives, Reuse, Storable, on_error, reuse, storable,
    },
};
use proptest::prelude::*;
use std::time::Duration;

/// Directives of a response that only ever take away.
const RESTRICTIVE: [&str; 9] = [
    "no-store",
    "private",
    "no-cache",
    "must-revalidate",
    "proxy-revalidate",
    "max-age=0",
    "max-age=5",
    "s-maxage=0",
    "stale-if-error=0",
];

/// Directives of a request that only ever take away.
const DEMANDING: [&str; 5] = [
    "no-cache",
    "max-age=0",
    "max-age=20",
    "min-fresh=20",
    "min-fresh=0",
];

fn any_directives() -> impl Strategy<Value = String> {
    let seconds = prop_oneof![Just(0u32), 1u32..100];
    let directive = prop_oneof![
        seconds.clone().prop_map(|n| format!("max-age={n}")),
        seconds
            .clone()
            .prop_map(|n| format!("stale-while-revalidate={n}")),
        seconds.clone().prop_map(|n| format!("stale-if-error={n}")),
        Just("public".to_owned()),
        Just("immutable".to_owned()),
        Just("must-revalidate".to_owned()),
        Just("no-cache".to_owned()),
        Just("max-age=x".to_owned()),
        "[a-z\"=]{1,8}",
    ];
    let lifetime = (1u32..100).prop_map(|n| format!("max-age={n}"));
    let others = proptest::collection::vec(directive, 0..5);
    (lifetime, others).prop_map(|(lifetime, others)| format!("{lifetime}, {}", others.join(", ")))
}

fn lifetime(control: &str) -> Option<Lifetime> {
    let exchange = Exchange {
        method: &Method::GET,
        authorized: false,
        asked: RequestDirectives::default(),
        sent: now(),
        received: now(),
        edge: "paris-1",
    };
    let fields = headers(&[("cache-control", control), ("etag", "\"e\"")]);
    let response = Response {
        status: 200,
        headers: &fields,
    };
    match storable(&exchange, response, &CacheRule::default()) {
        Storable::Store { lifetime, .. } => Some(lifetime),
        Storable::Not(_) => None,
    }
}

/// How freely it may be used: without the origin, beside asking it, only when it fails, not at all.
fn freedom(control: &str, request: &str, age: u64) -> (u8, bool) {
    let Some(lifetime) = lifetime(control) else {
        return (0, false);
    };
    let asked = RequestDirectives::of(&headers(&[("cache-control", request)]));
    let at = now() + Duration::from_secs(age);
    let use_of_it = match reuse(&lifetime, None, &asked, at) {
        Reuse::Fresh => 3,
        Reuse::StaleAccepted => 2,
        Reuse::StaleWhileRevalidate => 1,
        Reuse::Revalidate(_) => 0,
    };
    let saves = on_error(&lifetime, None, &asked, at) == OnError::ServeStale;
    (use_of_it, saves)
}

fn is_at_most((use_a, saves_a): (u8, bool), (use_b, saves_b): (u8, bool)) -> bool {
    // Between stale for the client's sake and stale while revalidating there is no order.
    (use_a <= use_b || use_a < 3 && use_b > 0) && (!saves_a || saves_b)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_restriction_of_the_response_never_lengthens(
        control in any_directives(),
        more in proptest::sample::select(&RESTRICTIVE[..]),
        first in any::<bool>(),
        age in 0u64..200,
    ) {
        // What is cut short by a quote that stays open swallows what follows: put it in front.
        let open = control.matches('"').count() % 2 == 1;
        let restricted = if first || open { format!("{more}, {control}") } else { format!("{control}, {more}") };
        let (less, most) = (freedom(&restricted, "", age), freedom(&control, "", age));
        prop_assert!(is_at_most(less, most), "{} {:?}; {} {:?}", restricted, less, control, most);
    }

    #[test]
    fn a_demand_of_the_request_never_lengthens(
        control in any_directives(),
        request in prop_oneof![Just(""), Just("max-stale"), Just("max-stale=10"), Just("max-age=50"), Just("stale-if-error=30")],
        more in proptest::sample::select(&DEMANDING[..]),
        age in 0u64..200,
    ) {
        let demanding = format!("{request}, {more}");
        let (less, most) = (freedom(&control, &demanding, age), freedom(&control, request, age));
        prop_assert!(is_at_most(less, most), "{} {:?}; {} {:?}", demanding, less, request, most);
    }

    #[test]
    fn age_never_makes_fresher(control in any_directives(), age in 0u64..200, more in 0u64..200) {
        let (older, younger) = (freedom(&control, "", age + more), freedom(&control, "", age));
        prop_assert!(is_at_most(older, younger), "{} {:?}; {:?}", control, older, younger);
    }

    #[test]
    fn an_older_answer_is_fresh_for_no_longer(seconds in 0u64..1_000, age in 0u64..4_000_000_000) {
        let control = format!("max-age={seconds}");
        let stored = |lines: &[(&'static str, &str)]| {
            let exchange = Exchange {
                method: &Method::GET,
                authorized: false,
                asked: RequestDirectives::default(),
                sent: now(),
                received: now(),
                edge: "",
            };
            let fields = headers(lines);
            match storable(&exchange, Response { status: 200, headers: &fields }, &CacheRule::default()) {
                Storable::Store { lifetime, .. } => lifetime.fresh_for(now()),
                Storable::Not(_) => Duration::ZERO,
            }
        };
        let base = [("cache-control", control.as_str()), ("etag", "\"e\"")];
        let aged = [base[0], base[1], ("age", &age.to_string())];
        prop_assert!(stored(&aged) <= stored(&base));
    }
}
