//! What would happen to a request, and why, without traffic: the decisions of this crate in the order of a request's
//! life, written down. Limits are listed, not consumed; origins count as healthy.

mod action;
mod admission;

pub use action::{ActionSeen, CacheSeen, KeyPartSeen, OriginSeen, ProxySeen, SteeringSeen};
pub use admission::{AccessSeen, AdmissionSeen, LimitSeen, TokenSeen};

use crate::{
    facts::Request,
    route::{Mismatch, Routed, Router},
};
use serde::Serialize;

/// What would happen to a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The digest of the policy that was asked.
    pub policy: String,
    /// The request as the decisions saw it.
    pub request: RequestSeen,
    /// How it ends.
    pub outcome: Outcome,
    /// The site that answers for the host.
    pub site: Option<SiteSeen>,
    /// The site's routes that were tried, in order; the last one took the request unless it says why not.
    pub routes: Vec<RouteSeen>,
    /// Whether the request is let in, once a route took it.
    pub admission: Option<AdmissionSeen>,
    /// What is done with it, once it is let in.
    pub action: Option<ActionSeen>,
}

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// No site answers for the host.
    NoSite,
    /// None of the site's routes takes it.
    NoRoute,
    /// It is not let in.
    Refused,
    /// It is answered with a redirect.
    Redirected,
    /// It is answered from the cache or an origin.
    Proxied,
}

/// A request as the decisions saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestSeen {
    /// The method.
    pub method: String,
    /// Whether it came over TLS.
    pub https: bool,
    /// The host.
    pub host: String,
    /// The normal path.
    pub path: String,
    /// The query without its `?`.
    pub query: Option<String>,
    /// The client's address.
    pub client: std::net::IpAddr,
    /// The client's country by GeoIP.
    pub country: Option<String>,
    /// The client's city by GeoIP.
    pub city: Option<String>,
}

/// A site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SiteSeen {
    /// Its id in keys and marks.
    pub id: u64,
    /// Its name.
    pub name: String,
}

/// A route that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteSeen {
    /// Its name.
    pub name: String,
    /// Why it did not take the request; none: it did.
    pub mismatch: Option<Mismatch>,
}

/// What would happen to a request.
pub fn explain(router: &Router, request: &Request<'_>) -> Explanation {
    let mut explanation = Explanation {
        policy: router.policy().digest.to_string(),
        request: RequestSeen::of(request),
        outcome: Outcome::NoSite,
        site: None,
        routes: Vec::new(),
        admission: None,
        action: None,
    };
    if let Some(site) = router.site(request.host) {
        explanation.site = Some(SiteSeen {
            id: site.site.id.0,
            name: site.site.name.to_string(),
        });
        for route in &site.routes {
            let mismatch = route.mismatch(request);
            explanation.routes.push(RouteSeen {
                name: route.name.to_string(),
                mismatch,
            });
            if mismatch.is_none() {
                break;
            }
        }
    }
    let (site, route) = match router.route(request) {
        Routed::NoSite => return explanation,
        Routed::NoRoute { .. } => {
            explanation.outcome = Outcome::NoRoute;
            return explanation;
        }
        Routed::Route { site, route } => (site, route),
    };
    let admission = AdmissionSeen::of(route, site, request);
    if admission.refusal.is_some() {
        explanation.outcome = Outcome::Refused;
    } else {
        let action = ActionSeen::of(router.policy(), site, route, request);
        explanation.outcome = action.outcome();
        explanation.action = Some(action);
    }
    explanation.admission = Some(admission);
    explanation
}

impl RequestSeen {
    fn of(request: &Request<'_>) -> Self {
        Self {
            method: request.method.to_string(),
            https: request.https,
            host: request.host.to_owned(),
            path: request.path.to_owned(),
            query: request.query.map(str::to_owned),
            client: request.client,
            country: request
                .place
                .and_then(|place| place.country)
                .map(|country| country.to_string()),
            city: request.place.and_then(|place| place.city.clone()),
        }
    }
}
