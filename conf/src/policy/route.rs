//! Routes: which requests they take, and what happens to those.

use super::{Access, CacheRule, HeaderEdits, Jwt, OriginId, RateLimit, Redirect, Rewrite};
use std::{sync::Arc, time::Duration};

/// One route of a site.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// What records, metrics and explanations call it: as written, or `SITE/N` counted from 1.
    pub name: Arc<str>,
    /// Which requests it takes.
    pub matches: RouteMatch,
    /// Who is let in by address and country; checked first.
    pub access: Option<Access>,
    /// A token that the request must carry; checked after the access list.
    pub auth: Option<Arc<Jwt>>,
    /// Rate limits; all of them must let the request pass. Checked last.
    pub limits: Vec<Arc<RateLimit>>,
    /// Edits of the request's headers before it goes to an origin.
    pub request_headers: HeaderEdits,
    /// Edits of the response's headers before it goes to the client.
    pub response_headers: HeaderEdits,
    /// What happens then.
    pub action: Action,
}

/// What a route does with a request that it let in.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Answer with a redirect.
    Redirect(Redirect),
    /// Answer from the cache or an origin.
    Proxy(Box<Proxy>),
}

/// Answering from cache and origins.
#[derive(Debug, Clone, PartialEq)]
pub struct Proxy {
    /// The origins and how one is chosen.
    pub steering: Steering,
    /// Changes of the path on the way to the origin.
    pub rewrite: Option<Rewrite>,
    /// Caching; none: requests pass through.
    pub cache: Option<Arc<CacheRule>>,
    /// Time limits towards the origin.
    pub timeouts: Timeouts,
    /// Bounds on the request.
    pub limits: Limits,
}

/// The conditions of a route; all must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RouteMatch {
    /// The path matches one of them; empty: any path.
    pub paths: Vec<PathPattern>,
    /// The method is one of them; none: any method.
    pub methods: Option<MethodSet>,
    /// All of them hold.
    pub headers: Vec<HeaderMatch>,
    /// Only over this transport; none: both.
    pub https: Option<bool>,
}

/// Methods by their token, upper case as registered; compared octet by octet (RFC 9110 §9.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodSet(pub Vec<String>);

/// A pattern over the normal form of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPattern {
    /// `/a/b`: this path.
    Exact(String),
    /// `/a/**`, kept as `/a`: the path and everything below it, in whole segments.
    Below(String),
    /// `/img/*/large`, `*.css`, `/v?/x`: `*` is any run without a slash, `**` any run, `?` one octet but a slash.
    Glob(String),
}

/// A condition on one request header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderMatch {
    /// It is there.
    Present(http::HeaderName),
    /// It is not there.
    Absent(http::HeaderName),
    /// One of its field lines equals the value.
    Equals(http::HeaderName, String),
    /// One of its field lines matches the pattern, in which `*` is any run.
    Glob(http::HeaderName, String),
}

/// The origins of a route.
#[derive(Debug, Clone, PartialEq)]
pub enum Steering {
    /// Nearest first by great-circle distance from the client's place; weights among equally near ones.
    Nearest(Vec<WeightedOrigin>),
    /// By weight alone, wherever the client is.
    Weighted(Vec<WeightedOrigin>),
}

impl Steering {
    /// The origins, in the order of the file.
    pub fn origins(&self) -> &[WeightedOrigin] {
        match self {
            Self::Nearest(origins) | Self::Weighted(origins) => origins,
        }
    }
}

/// An origin and its weight on this route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightedOrigin {
    /// Which.
    pub origin: OriginId,
    /// As the route says, else as the origin says; at least 1.
    pub weight: u32,
}

/// Time limits towards an origin. None is missing: an origin that hangs never holds a client for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP and TLS together. Default 5 s.
    pub connect: Duration,
    /// From the end of the request to the head of the response. Default 30 s.
    pub first_byte: Duration,
    /// Between two reads of the body. Default 60 s.
    pub between_bytes: Duration,
    /// For one write. Default 60 s.
    pub send: Duration,
    /// An idle connection to the origin is kept so long. Default 60 s.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(30),
            between_bytes: Duration::from_mins(1),
            send: Duration::from_mins(1),
            idle: Duration::from_mins(1),
        }
    }
}

/// Bounds on what one request may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the request body, which is streamed. Default 100 MiB.
    pub request_body_bytes_max: u64,
    /// Further attempts at other origins after a failed one, for requests that may be repeated. Default 2.
    pub retries_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_body_bytes_max: 100 << 20,
            retries_max: 2,
        }
    }
}
