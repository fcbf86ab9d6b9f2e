//! Host → site → route. A [`Router`] is a policy made ready: hosts in a hash index, patterns compiled, keys parsed.

mod condition;
pub mod glob;
mod hosts;

pub use condition::Mismatch;

use crate::{
    admit::{BadKey, Verifier},
    facts::Request,
};
use condition::Condition;
use hosts::Hosts;
use latencify_conf::policy::{Policy, Route, Site};
use std::{ops::Deref, sync::Arc};

/// A policy made ready to decide requests. Cheap to ask, made once per policy.
#[derive(Debug)]
pub struct Router {
    policy: Arc<Policy>,
    sites: Vec<SiteRoutes>,
    hosts: Hosts,
}

/// A site with its routes made ready.
#[derive(Debug)]
pub struct SiteRoutes {
    /// The site as the policy says it.
    pub site: Arc<Site>,
    /// Its routes, in order.
    pub routes: Vec<Arc<ReadyRoute>>,
}

/// A route made ready: its patterns compiled, its key parsed. Reads as the [`Route`] that it was made from.
#[derive(Debug)]
pub struct ReadyRoute {
    /// The route as the policy says it.
    pub rules: Arc<Route>,
    condition: Condition,
    verifier: Option<Verifier>,
    steps: [Arc<str>; 2],
}

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub enum Routed<'r> {
    /// This route of this site takes it.
    Route {
        /// The site.
        site: &'r Arc<Site>,
        /// The first of its routes that matches.
        route: &'r Arc<ReadyRoute>,
    },
    /// No site answers for the host.
    NoSite,
    /// None of the site's routes matches.
    NoRoute {
        /// The site.
        site: &'r Arc<Site>,
    },
}

impl Routed<'_> {
    /// The stable name of the outcome.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Route { .. } => "route",
            Self::NoSite => "no_site",
            Self::NoRoute { .. } => "no_route",
        }
    }
}

/// A valid policy that can't be made ready.
#[derive(Debug, thiserror::Error)]
#[error("site {site}, route {route}: {reason}")]
pub struct NotReady {
    /// The site.
    pub site: Arc<str>,
    /// The route.
    pub route: Arc<str>,
    /// What is wrong, and what to do.
    #[source]
    pub reason: Reason,
}

/// Why a route can't be made ready.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// A pattern is too long.
    #[error(transparent)]
    Pattern(#[from] glob::TooLong),
    /// A token key can't be read.
    #[error(transparent)]
    Key(#[from] BadKey),
}

impl Router {
    /// Makes a policy ready. All or nothing: a route that can't be made ready refuses the policy.
    pub fn new(policy: Arc<Policy>) -> Result<Self, NotReady> {
        let sites = policy
            .sites
            .iter()
            .map(SiteRoutes::new)
            .collect::<Result<Vec<_>, _>>()?;
        let hosts = Hosts::new(&policy.sites);
        Ok(Self {
            policy,
            sites,
            hosts,
        })
    }

    /// The policy that it was made from.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The sites, in the order of the policy.
    pub fn sites(&self) -> &[SiteRoutes] {
        &self.sites
    }

    /// The site that answers for a host (lower case, no port, no trailing dot): the exact name, else the longest
    /// wildcard, else `*`. The time does not depend on the number of sites.
    pub fn site(&self, host: &str) -> Option<&SiteRoutes> {
        self.sites.get(self.hosts.find(host)?)
    }

    /// Where a request goes.
    pub fn route(&self, request: &Request<'_>) -> Routed<'_> {
        let Some(SiteRoutes { site, routes }) = self.site(request.host) else {
            return Routed::NoSite;
        };
        match routes.iter().find(|route| route.matches(request)) {
            Some(route) => Routed::Route { site, route },
            None => Routed::NoRoute { site },
        }
    }
}

impl SiteRoutes {
    fn new(site: &Arc<Site>) -> Result<Self, NotReady> {
        let ready = |route: &Arc<Route>| {
            ReadyRoute::new(site, Arc::clone(route))
                .map(Arc::new)
                .map_err(|reason| NotReady {
                    site: Arc::clone(&site.name),
                    route: Arc::clone(&route.name),
                    reason,
                })
        };
        Ok(Self {
            site: Arc::clone(site),
            routes: site.routes.iter().map(ready).collect::<Result<_, _>>()?,
        })
    }
}

impl ReadyRoute {
    fn new(site: &Site, rules: Arc<Route>) -> Result<Self, Reason> {
        let condition = Condition::new(&rules.matches)?;
        let verifier = rules.auth.as_ref().map(Verifier::new).transpose()?;
        let steps = [
            format!("site:{}", site.name).into(),
            format!("route:{}", rules.name).into(),
        ];
        Ok(Self {
            rules,
            condition,
            verifier,
            steps,
        })
    }

    /// Whether the request is this route's.
    pub fn matches(&self, request: &Request<'_>) -> bool {
        self.condition.mismatch(request).is_none()
    }

    /// The first condition that the request does not meet; none: the route takes it.
    pub fn mismatch(&self, request: &Request<'_>) -> Option<Mismatch> {
        self.condition.mismatch(request)
    }

    /// The steps of a decision that ends at this route, as records tell them: `site:shop`, `route:static`.
    pub fn steps(&self) -> &[Arc<str>; 2] {
        &self.steps
    }

    /// What verifies the tokens that the route demands.
    pub fn verifier(&self) -> Option<&Verifier> {
        self.verifier.as_ref()
    }
}

impl Deref for ReadyRoute {
    type Target = Route;

    fn deref(&self) -> &Route {
        &self.rules
    }
}
