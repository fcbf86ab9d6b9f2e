//! Sites and certificates.

use super::{
    part::{Fact, Part},
    route,
    words::list,
};
use crate::policy::{Certificate, HostPattern, Policy, PurgeAccess, Route, Site};
use std::{collections::HashMap, sync::Arc};

pub(super) fn describe(policy: &Policy, site: &Site) -> Part {
    // The id is the fold's, and says nothing to people.
    let Site {
        id: _,
        name,
        hosts,
        certificate,
        purge: PurgeAccess { from },
        routes,
    } = site;
    let host = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Under(suffix) => format!("*{suffix}"),
        HostPattern::Any => "*".to_owned(),
    };
    let hosts = list(hosts.iter().map(host), "none");
    let certificate = certificate
        .and_then(|id| policy.certificates.get(id.0))
        .map_or("none", |certificate| &certificate.name);
    let routes_short = match routes.len() {
        1 => "1 route".to_owned(),
        count => format!("{count} routes"),
    };
    let facts = vec![
        Fact::new("hosts", hosts.clone()),
        Fact::new("certificate", certificate),
        Fact::new("PURGE from", list(from, "nobody")),
    ];
    let mut part = Part::new(
        format!("site {name}"),
        format!("{hosts}; {routes_short}"),
        facts,
    );
    part.parts = routes_of(policy, name, routes);
    part.order = Some("order of routes");
    part
}

/// A route without a name of its own is known by what it matches; the second that matches the same by a number.
fn routes_of(policy: &Policy, site: &str, routes: &[Arc<Route>]) -> Vec<Part> {
    let mut seen = HashMap::new();
    let named = routes.iter().enumerate().map(|(place, route)| {
        let has_own_name = *route.name != *format!("{site}/{}", place + 1);
        let name = if has_own_name {
            route.name.to_string()
        } else {
            route::matches(&route.matches)
        };
        let times: &mut usize = seen.entry(name.clone()).or_default();
        *times += 1;
        let name = match *times {
            1 => format!("route {name}"),
            more => format!("route {name} ({more})"),
        };
        route::describe(policy, name, route)
    });
    named.collect()
}

pub(super) fn certificate(certificate: &Certificate) -> Part {
    let Certificate { name, chain, key } = certificate;
    // Paths on the edge, not what stands in the files.
    let facts = vec![
        Fact::new("chain", chain.display().to_string()),
        Fact::new("key file", key.display().to_string()),
    ];
    Part::new(
        format!("certificate {name}"),
        chain.display().to_string(),
        facts,
    )
}
