//! Under no policy that is accepted does one key hold the answers to requests that would be answered differently.

use crate::house::Asking;
use http::{HeaderName, HeaderValue, Method};
use latencify_conf::{
    bundle::Bundle,
    policy::Action,
    validate::{SiteIds, validate},
};
use latencify_decide::{
    forward, key, methods,
    route::{Routed, Router},
};
use proptest::prelude::*;
use std::{collections::HashMap, sync::Arc};

const PATHS: [&str; 5] = ["/a", "/a/b", "/a/b.css", "/b", "/b.css"];
const VALUES: [Option<&str>; 4] = [None, Some("1"), Some("12"), Some("2")];

fn one_of(choices: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(choices)
}

fn route() -> impl Strategy<Value = String> {
    let condition = || {
        one_of(&[
            "",
            "",
            "NAME: present",
            "NAME: absent",
            "NAME: \"1\"",
            "NAME: \"1*\"",
        ])
    };
    (
        one_of(&["app", "other"]),
        one_of(&[
            "", "", "path: /a/**,", "path: /a/b,", "path: \"*.css\",", "path: [/b, \"/a/*\"],",
        ]),
        (condition(), condition()),
        one_of(&["", "", "https: true,", "https: false,"]),
        one_of(&["", "", "", "methods: GET,", "methods: HEAD,", "methods: [GET, HEAD],"]),
        one_of(&[
            "true", "true", "{ key: { headers: [x] } }", "{ key: { headers: [x, y] } }", "false",
            "{ key: { device: true } }", "{ forward_headers: [y] }",
        ]),
    )
        .prop_map(|(origin, path, (x, y), https, methods, cache)| {
            let headers: Vec<_> = [x.replace("NAME", "x"), y.replace("NAME", "y")]
                .into_iter()
                .filter(|condition| !condition.is_empty())
                .collect();
            format!(
                "      - {{ origins: [{origin}], match: {{ {path} {https} {methods} headers: {{ {} }} }}, cache: {cache} }}\n",
                headers.join(", ")
            )
        })
}

/// Every request of a small world.
fn requests() -> impl Iterator<Item = Asking> {
    let each = PATHS.iter().flat_map(|path| {
        VALUES.iter().flat_map(move |x| {
            VALUES.iter().flat_map(move |y| {
                [Method::GET, Method::HEAD]
                    .into_iter()
                    .flat_map(move |method| {
                        [true, false].map(|https| (*path, *x, *y, method.clone(), https))
                    })
            })
        })
    });
    each.map(|(path, x, y, method, https)| {
        let mut asking = Asking {
            method,
            https,
            ..Asking::get("shop.example", path)
        };
        for (name, value) in [("x", x), ("y", y)] {
            if let Some(value) = value {
                asking.headers.insert(
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                );
            }
        }
        asking
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn one_key_has_one_answer(routes in proptest::collection::vec(route(), 1..4)) {
        let text = format!(
            "origins: {{ app: {{ url: \"http://a\" }}, other: {{ url: \"http://b\" }} }}\n\
             sites:\n  shop:\n    hosts: [shop.example]\n    routes:\n{}",
            routes.concat()
        );
        let Ok(policy) = validate(&Bundle::single("policy.yaml", text.clone()), &SiteIds::standalone()) else {
            return Ok(());
        };
        let router = Router::new(Arc::new(policy)).unwrap();
        let mut answers = HashMap::new();
        for asking in requests() {
            let facts = asking.facts();
            let Routed::Route { site, route } = router.route(&facts) else { continue };
            let Action::Proxy(proxy) = &route.action else { continue };
            let Some(rule) = proxy.cache.as_ref().filter(|_| methods::is_answered(facts.method)) else { continue };
            // What the origin gets to see of what the policy names itself is its author's word.
            let named = rule.forward_headers.clone();
            let key = key::cache_key(site.id, &rule.key, &facts);
            let answer = (proxy.steering.clone(), named);
            let first = answers.entry(key).or_insert_with(|| (answer.clone(), facts.path.to_owned()));
            prop_assert_eq!(&first.0, &answer, "{}\n{:?} {}", text, facts.headers, facts.path);
            for name in forward::dropped(facts.headers, rule) {
                prop_assert!(!rule.key.headers.contains(&name));
            }
        }
    }
}
