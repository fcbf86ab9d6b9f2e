//! Whether a request would be let in.

use crate::{
    admit::{self, Refusal, Token},
    facts::Request,
    limit::Subject,
    route::ReadyRoute,
};
use latencify_conf::policy::{RateKey, RateLimit, Site, TokenSource};
use serde::Serialize;
use serde_json::{Map, Value};

/// The steps of admission, in order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdmissionSeen {
    /// Why the request is not let in; none: it is, as far as rate limits allow.
    pub refusal: Option<Refusal>,
    /// The access list.
    pub access: AccessSeen,
    /// The token, if the route demands one and the access list let the client that far.
    pub token: Option<TokenSeen>,
    /// The rate limits that would be asked; none of them was.
    pub limits: Vec<LimitSeen>,
}

/// What the access list says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessSeen {
    /// The route has none.
    None,
    /// The client is let in.
    Allowed,
    /// The client is not.
    Denied,
}

/// What became of a token.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenSeen {
    /// It is good.
    Verified {
        /// Where it stood.
        source: String,
        /// What it says.
        claims: Map<String, Value>,
    },
    /// It is not.
    Refused(Refusal),
}

/// A rate limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LimitSeen {
    /// Its name.
    pub name: String,
    /// So many requests …
    pub requests: u32,
    /// … in so many seconds.
    pub per_seconds: f64,
    /// At once.
    pub burst: u32,
    /// What is counted apart.
    pub key: String,
    /// Whether the request lacks that and would share one count with all such requests.
    pub shared: bool,
}

impl AdmissionSeen {
    pub(super) fn of(route: &ReadyRoute, site: &Site, request: &Request<'_>) -> Self {
        let mut seen = Self {
            refusal: None,
            access: AccessSeen::None,
            token: None,
            limits: Vec::new(),
        };
        if let Some(access) = &route.access {
            if let Err(denied) = admit::allowed(access, request) {
                seen.access = AccessSeen::Denied;
                seen.refusal = Some(denied.into());
                return seen;
            }
            seen.access = AccessSeen::Allowed;
        }
        let mut verified: Option<Token> = None;
        if let Some(verifier) = route.verifier() {
            match verifier.verify(request) {
                Ok(token) => {
                    let source = verifier
                        .rule()
                        .sources
                        .get(token.source)
                        .map_or_else(String::new, source_name);
                    seen.token = Some(TokenSeen::Verified {
                        source,
                        claims: token.claims.clone(),
                    });
                    verified = Some(token);
                }
                Err(refusal) => {
                    seen.token = Some(TokenSeen::Refused(refusal));
                    seen.refusal = Some(refusal);
                    return seen;
                }
            }
        }
        seen.limits = route
            .limits
            .iter()
            .map(|limit| {
                let subject = admit::limit_key(limit, site, request, verified.as_ref()).subject;
                LimitSeen::of(limit, subject == Subject::Without)
            })
            .collect();
        seen
    }
}

impl LimitSeen {
    fn of(limit: &RateLimit, shared: bool) -> Self {
        let key = match &limit.key {
            RateKey::Address => "address".to_owned(),
            RateKey::Header(name) => format!("header {name}"),
            RateKey::Claim(name) => format!("claim {name}"),
        };
        Self {
            name: limit.name.to_string(),
            requests: limit.requests,
            per_seconds: limit.per.as_secs_f64(),
            burst: limit.burst,
            key,
            shared,
        }
    }
}

fn source_name(source: &TokenSource) -> String {
    match source {
        TokenSource::Bearer => "bearer".to_owned(),
        TokenSource::Header(name) => format!("header {name}"),
        TokenSource::Cookie(name) => format!("cookie {name}"),
        TokenSource::Query(name) => format!("query {name}"),
    }
}
