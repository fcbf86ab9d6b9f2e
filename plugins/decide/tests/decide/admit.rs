//! Access list → token → rate limits, in this order.

use crate::house::{Asking, policy, route, site};
use async_trait::async_trait;
use latencify_conf::policy::{
    Access, AccessRule, Algorithm, Jwt, JwtKey, PurgeAccess, RateKey, RateLimit, Route, Site,
    TokenSource,
};
use latencify_decide::{
    admit::{self, Admission, Class, Host, Refusal},
    limit::{LimitKey, Rate, RateState, gcra},
    route::{Routed, Router},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

/// Counts by a clock that stands still.
#[derive(Default)]
struct Frozen {
    counts: Mutex<HashMap<String, u64>>,
}

#[async_trait]
impl Host for Frozen {
    async fn take(&self, key: LimitKey<'_>, rate: Rate) -> RateState {
        let mut counts = self.counts.lock().unwrap();
        let count = counts.entry(format!("{key:?}")).or_default();
        let (state, next) = gcra(*count, 0, rate);
        *count = next;
        state
    }
}

async fn admission(route: Route, asking: &Asking, host: &Frozen) -> Admission {
    let router = Router::new(policy(vec![site(1, &["*"], vec![route])], &[None])).unwrap();
    let facts = asking.facts();
    let Routed::Route { site, route } = router.route(&facts) else {
        panic!("one route takes all")
    };
    admit::admit(route, site, &facts, host).await
}

async fn refusal(route: Route, asking: &Asking) -> Option<Refusal> {
    match admission(route, asking, &Frozen::default()).await {
        Admission::Granted(_) => None,
        Admission::Refused(refused) => Some(refused.refusal),
    }
}

fn access(rules: &[(&str, bool)], otherwise: bool) -> Access {
    let rule = |(text, lets_in): &(&str, bool)| {
        let rule = match text.parse() {
            Ok(net) => AccessRule::Address(net),
            Err(_) => AccessRule::Country(text.parse().unwrap()),
        };
        (rule, *lets_in)
    };
    Access {
        rules: rules.iter().map(rule).collect(),
        otherwise,
    }
}

fn limit(name: &str, burst: u32) -> Arc<RateLimit> {
    Arc::new(RateLimit {
        name: name.into(),
        key: RateKey::Address,
        requests: 1,
        per: Duration::from_secs(1),
        burst,
    })
}

fn token_rule() -> Arc<Jwt> {
    Arc::new(Jwt {
        algorithms: vec![Algorithm::HS256],
        key: JwtKey::Secret(vec![7; 32]),
        issuers: vec![],
        audiences: vec![],
        claims: BTreeMap::new(),
        sources: vec![TokenSource::Bearer],
        leeway: Duration::ZERO,
        strip: false,
    })
}

#[tokio::test]
async fn the_first_rule_that_matches_decides() {
    let check = async |rules: &[(&str, bool)], otherwise, client, country, expected| {
        let mut route = route("r");
        route.access = Some(access(rules, otherwise));
        let asking = Asking::get("h", "/").from(client, country);
        assert_eq!(
            refusal(route, &asking).await,
            expected,
            "{rules:?} {client} {country:?}"
        );
    };
    let rules = &[
        ("10.1.0.0/16", false),
        ("10.0.0.0/8", true),
        ("FR", true),
        ("2001:db8::/32", false),
    ];
    check(
        rules,
        false,
        "10.1.2.3",
        Some("FR"),
        Some(Refusal::AccessAddress),
    )
    .await;
    check(rules, false, "10.2.0.1", None, None).await;
    check(rules, false, "::ffff:10.2.0.1", None, None).await;
    check(rules, false, "192.0.2.1", Some("FR"), None).await;
    check(
        rules,
        false,
        "192.0.2.1",
        Some("DE"),
        Some(Refusal::AccessOtherwise),
    )
    .await;
    check(
        rules,
        false,
        "192.0.2.1",
        None,
        Some(Refusal::AccessOtherwise),
    )
    .await;
    check(
        rules,
        true,
        "2001:db8::1",
        None,
        Some(Refusal::AccessAddress),
    )
    .await;
    check(rules, true, "2001:db9::1", None, None).await;
    check(
        &[("DE", false)],
        true,
        "192.0.2.1",
        Some("DE"),
        Some(Refusal::AccessCountry),
    )
    .await;
    check(&[("DE", false)], true, "192.0.2.1", None, None).await;
}

#[tokio::test]
async fn what_refuses_first_decides_and_a_refused_client_uses_up_no_limit() {
    let mut guarded = route("r");
    guarded.access = Some(access(&[("10.0.0.0/8", true)], false));
    guarded.auth = Some(token_rule());
    guarded.limits = vec![limit("few", 1)];
    let host = Frozen::default();

    let outside = Asking::get("h", "/");
    let Admission::Refused(refused) = admission(guarded.clone(), &outside, &host).await else {
        panic!()
    };
    assert_eq!(
        (refused.refusal, refused.refusal.class()),
        (Refusal::AccessOtherwise, Class::Forbidden)
    );
    assert_eq!(refused.challenge, None);

    let inside = Asking::get("h", "/").from("10.0.0.1", None);
    let Admission::Refused(refused) = admission(guarded, &inside, &host).await else {
        panic!()
    };
    assert_eq!(
        (refused.refusal, refused.refusal.class()),
        (Refusal::TokenMissing, Class::Unauthenticated)
    );
    assert_eq!(refused.challenge.unwrap(), "Bearer realm=\"site-1\"");
    assert!(host.counts.lock().unwrap().is_empty());
}

#[tokio::test]
async fn all_limits_must_let_a_request_pass() {
    let mut limited = route("r");
    limited.limits = vec![limit("many", 5), limit("few", 2)];
    let host = Frozen::default();
    let asking = Asking::get("h", "/");
    for remaining in [1, 0] {
        let Admission::Granted(granted) = admission(limited.clone(), &asking, &host).await else {
            panic!()
        };
        assert_eq!(granted.limits[1].1.remaining, remaining);
    }
    let Admission::Refused(refused) = admission(limited.clone(), &asking, &host).await else {
        panic!()
    };
    assert_eq!(
        (refused.refusal, refused.refusal.class()),
        (Refusal::RateLimited, Class::TooMany)
    );
    assert_eq!(refused.retry_after, Some(Duration::from_secs(1)));
    assert_eq!(refused.limits.len(), 2);
    let other = Asking::get("h", "/").from("192.0.2.2", None);
    assert!(matches!(
        admission(limited, &other, &host).await,
        Admission::Granted(_)
    ));
}

#[test]
fn purging_is_for_those_whom_the_site_names() {
    let nobody = site(1, &["*"], vec![]);
    assert!(!admit::may_purge(&nobody, "127.0.0.1".parse().unwrap()));
    let some = Site {
        purge: PurgeAccess {
            from: vec!["127.0.0.0/8".parse().unwrap()],
        },
        ..(*nobody).clone()
    };
    assert!(admit::may_purge(&some, "::ffff:127.0.0.1".parse().unwrap()));
    assert!(!admit::may_purge(&some, "192.0.2.1".parse().unwrap()));
}
