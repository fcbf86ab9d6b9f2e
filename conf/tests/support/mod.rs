//! What the tests of policies share.

use latencify_conf::{
    api::PolicyError,
    bundle::Bundle,
    policy::{Policy, Route},
    validate::{SiteIds, render, validate},
};

/// The outcome for one file.
pub fn read(text: &str) -> Result<Policy, Vec<PolicyError>> {
    validate(&Bundle::single("policy.yaml", text), &SiteIds::standalone())
}

/// The policy of a file that must be good.
#[allow(dead_code, reason = "not every test file reads good policies")]
#[track_caller]
pub fn good(text: &str) -> Policy {
    read(text).unwrap_or_else(|errors| panic!("{text}\n{}", render(&errors)))
}

/// A policy with one route that has these keys besides `origins: [app]`.
#[allow(dead_code, reason = "not every test file needs routes")]
pub fn with_route(keys: &str) -> String {
    with_routes(&format!("{{ origins: [app], {keys} }}"))
}

/// A policy with these routes, separated by `;`.
#[allow(dead_code, reason = "not every test file needs routes")]
pub fn with_routes(routes: &str) -> String {
    let list: Vec<String> = routes
        .split(';')
        .map(|route| format!("      - {}\n", route.trim()))
        .collect();
    let list = list.concat();
    format!(
        "origins: {{ app: {{ url: \"http://127.0.0.1:9001\" }}, other: {{ url: \"http://127.0.0.1:9002\", weight: 5 }} }}\n\
         sites:\n  main:\n    hosts: [main.example]\n    routes:\n{list}"
    )
}

/// The one route of a good policy.
#[allow(dead_code, reason = "not every test file needs routes")]
#[track_caller]
pub fn route(keys: &str) -> Route {
    let policy = good(&with_route(keys));
    Route::clone(&policy.sites[0].routes[0])
}
