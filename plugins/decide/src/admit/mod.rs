//! Who is let in: access list → token → rate limits. What refuses first decides, and nothing after it is asked, so that
//! a refused client uses up nobody's limit.

mod access;
mod challenge;
mod refusal;
mod strip;
mod token;
mod verify;

pub use access::{AccessDenied, allowed, may_purge};
pub use refusal::{Class, Refusal};
pub use strip::{strip_parameters, strip_token};
pub use token::Found;
pub use verify::{BadKey, Token, Verifier};

use crate::{
    facts::Request,
    limit::{LimitKey, Rate, RateState, Subject},
    route::ReadyRoute,
};
use async_trait::async_trait;
use http::HeaderValue;
use latencify_conf::policy::{RateLimit, Site};
use std::{sync::Arc, time::Duration};

/// What admission asks of the outside.
#[async_trait]
pub trait Host: Send + Sync {
    /// Takes one request from a limit, by [`gcra`](crate::limit::gcra) over the count that the key names, and by a clock of
    /// the host's own that never goes back.
    async fn take(&self, key: LimitKey<'_>, rate: Rate) -> RateState;
}

/// Whether a request is let in.
#[derive(Debug, Clone)]
pub enum Admission {
    /// It is.
    Granted(Granted),
    /// It is not.
    Refused(Refused),
}

/// What is known of a request that was let in.
#[derive(Debug, Clone, Default)]
pub struct Granted {
    /// The verified token, if the route demands one.
    pub token: Option<Token>,
    /// The limits that were asked, in order.
    pub limits: Vec<(Arc<RateLimit>, RateState)>,
}

/// What the answer to a refused request needs.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// `WWW-Authenticate` (RFC 6750 §3), when a token would have helped.
    pub challenge: Option<HeaderValue>,
    /// When it is worth asking again.
    pub retry_after: Option<Duration>,
    /// The limits that were asked, in order; the last is the one that refused.
    pub limits: Vec<(Arc<RateLimit>, RateState)>,
}

/// Whether a request may pass its route.
pub async fn admit(
    route: &ReadyRoute,
    site: &Site,
    request: &Request<'_>,
    host: &dyn Host,
) -> Admission {
    if let Some(Err(denied)) = route.access.as_ref().map(|access| allowed(access, request)) {
        return refused(denied.into(), None);
    }
    let token = match route
        .verifier()
        .map(|verifier| verifier.verify(request))
        .transpose()
    {
        Ok(token) => token,
        Err(refusal) => return refused(refusal, challenge::value(&site.name, refusal)),
    };
    let mut limits = Vec::with_capacity(route.limits.len());
    for limit in &route.limits {
        let key = limit_key(limit, site, request, token.as_ref());
        let state = host.take(key, Rate::from(limit.as_ref())).await;
        limits.push((Arc::clone(limit), state));
        if !state.allowed {
            return Admission::Refused(Refused {
                refusal: Refusal::RateLimited,
                challenge: None,
                retry_after: Some(state.retry_after),
                limits,
            });
        }
    }
    Admission::Granted(Granted { token, limits })
}

/// The count that a request is taken from.
pub fn limit_key<'a>(
    limit: &'a RateLimit,
    site: &Site,
    request: &Request<'_>,
    token: Option<&Token>,
) -> LimitKey<'a> {
    LimitKey {
        site: site.id,
        name: &limit.name,
        subject: Subject::of(&limit.key, request, token.map(|token| &token.claims)),
    }
}

fn refused(refusal: Refusal, challenge: Option<HeaderValue>) -> Admission {
    Admission::Refused(Refused {
        refusal,
        challenge,
        retry_after: None,
        limits: Vec::new(),
    })
}
