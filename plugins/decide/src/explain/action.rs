//! What would be done with a request that is let in.

use super::Outcome;
use crate::{
    edit,
    facts::Request,
    forward,
    key::{self, PartKind},
    methods, redirect, steer,
};
use latencify_conf::policy::{Action, CacheRule, OriginId, Policy, Proxy, Route, Site, Steering};
use serde::Serialize;
use std::borrow::Cow;

/// What is done with a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionSeen {
    /// A redirect.
    Redirect {
        /// Its status.
        status: u16,
        /// Where to.
        location: String,
    },
    /// An answer from the cache or an origin.
    Proxy(ProxySeen),
}

/// An answer from the cache or an origin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProxySeen {
    /// Path and query that the origin is asked for.
    pub target: String,
    /// The cache; none: the request passes through.
    pub cache: Option<CacheSeen>,
    /// How the origins are ordered.
    pub steering: SteeringSeen,
    /// The origins in the order in which they would be tried.
    pub origins: Vec<OriginSeen>,
}

/// How origins are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SteeringSeen {
    /// The nearest first.
    Nearest,
    /// The nearest first, but the client's place is not known: by weight.
    NearestWithoutPlace,
    /// By weight.
    Weighted,
}

/// An origin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OriginSeen {
    /// Its name.
    pub name: String,
    /// Where it is spoken to.
    pub address: String,
    /// Kilometres from the client, rounded; none when either place is unknown.
    pub distance_km: Option<f64>,
    /// Its weight on this route.
    pub weight: u32,
}

/// How the cache is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CacheSeen {
    /// Whether the method may be answered from the cache.
    pub answers_method: bool,
    /// The parts of the key, in their order.
    pub key: Vec<KeyPartSeen>,
    /// The request's fields that don't reach the origin, because they are no part of the key and not named.
    pub dropped: Vec<String>,
}

/// A part of a cache key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyPartSeen {
    /// What it is.
    pub part: PartKind,
    /// Its values; of a header or cookie, the name first.
    pub values: Vec<String>,
}

impl ActionSeen {
    pub(super) fn of(policy: &Policy, site: &Site, route: &Route, request: &Request<'_>) -> Self {
        match &route.action {
            Action::Redirect(rule) => {
                let location = redirect::location(rule, request);
                let location = location
                    .as_ref()
                    .and_then(|value| value.to_str().ok())
                    .unwrap_or_default();
                Self::Redirect {
                    status: rule.status,
                    location: location.to_owned(),
                }
            }
            Action::Proxy(proxy) => Self::Proxy(ProxySeen::of(policy, site, proxy, request)),
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Redirect { .. } => Outcome::Redirected,
            Self::Proxy(_) => Outcome::Proxied,
        }
    }
}

impl ProxySeen {
    fn of(policy: &Policy, site: &Site, proxy: &Proxy, request: &Request<'_>) -> Self {
        let client = request.place.and_then(|place| place.point);
        let steering = match (&proxy.steering, client) {
            (Steering::Nearest(_), Some(_)) => SteeringSeen::Nearest,
            (Steering::Nearest(_), None) => SteeringSeen::NearestWithoutPlace,
            (Steering::Weighted(_), _) => SteeringSeen::Weighted,
        };
        let order = steer::order(
            &proxy.steering,
            policy,
            client,
            &|_| steer::Health::Healthy,
            0,
        );
        let seen = |id: OriginId| {
            let origin = policy.origins.get(id.0)?;
            let weight = proxy
                .steering
                .origins()
                .iter()
                .find(|candidate| candidate.origin == id)?
                .weight;
            Some(OriginSeen {
                name: origin.name.to_string(),
                address: format!("{}:{}", origin.host, origin.port),
                distance_km: steer::distance(policy, id, client).map(f64::round),
                weight,
            })
        };
        // What a cache answers is asked for with the parameters of its key.
        let asked = proxy
            .cache
            .as_ref()
            .filter(|_| methods::is_answered(request.method));
        let query = match asked {
            Some(rule) => forward::query(rule, request.query),
            None => request.query.map(Cow::Borrowed),
        };
        Self {
            target: edit::origin_target(proxy.rewrite.as_ref(), request.path, query.as_deref()),
            cache: proxy
                .cache
                .as_ref()
                .map(|rule| CacheSeen::of(site, rule, request)),
            steering,
            origins: order.into_iter().filter_map(seen).collect(),
        }
    }
}

impl CacheSeen {
    fn of(site: &Site, rule: &CacheRule, request: &Request<'_>) -> Self {
        let mut parts = Vec::new();
        key::each_part(site.id, &rule.key, request, |part, values| {
            let values = match part {
                PartKind::Site => vec![site.id.to_string()],
                _ => values
                    .iter()
                    .map(|value| String::from_utf8_lossy(value).into_owned())
                    .collect(),
            };
            parts.push(KeyPartSeen { part, values });
        });
        let answers_method = methods::is_answered(request.method);
        let dropped = if answers_method {
            forward::dropped(request.headers, rule)
        } else {
            Vec::new()
        };
        Self {
            answers_method,
            key: parts,
            dropped: dropped.iter().map(ToString::to_string).collect(),
        }
    }
}
