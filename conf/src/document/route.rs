//! Routes.

use super::{
    Access, Auth, Cache, HeaderEdits, Map, OneOrMany, RateLimit, Redirect, Rewrite,
    text::{HeaderName, HeaderValue, Method, Name, PathText, Size, Timeout},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// A route: which requests it takes, who is let in, and where the answer comes from. Either `origins` or `redirect`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// What records and metrics call it. Default `SITE/N`, counted from 1.
    pub name: Option<Name>,
    /// Which requests it takes. Default all.
    #[serde(rename = "match")]
    pub matches: Option<Match>,
    /// Who is let in by address and country. Default everybody.
    pub access: Option<Access>,
    /// What a request must carry to be let in.
    pub auth: Option<Auth>,
    /// How many requests are let in. All limits must let a request pass.
    #[schemars(length(min = 1, max = 16))]
    pub rate_limits: Option<Vec<RateLimit>>,
    /// Edits of the request's headers on the way to the origin.
    pub request_headers: Option<HeaderEdits>,
    /// Edits of the response's headers on the way to the client.
    pub response_headers: Option<HeaderEdits>,
    /// A change of the path on the way to the origin.
    pub rewrite: Option<Rewrite>,
    /// Answers with a redirect instead of asking an origin.
    pub redirect: Option<Redirect>,
    /// The origins that answer.
    pub origins: Option<Origins>,
    /// Whether and how answers are cached. Default no.
    pub cache: Option<Cache>,
    /// Time limits towards the origin.
    pub timeouts: Option<Timeouts>,
    /// Bounds on the request.
    pub limits: Option<Limits>,
}

/// The conditions of a route; all must hold.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// One of these patterns matches the path.
    pub path: Option<OneOrMany<PathText>>,
    /// The method is one of these.
    pub methods: Option<OneOrMany<Method>>,
    /// All these headers are as said.
    pub headers: Map<HeaderName, HeaderCondition>,
    /// `true`: only over HTTPS; `false`: only over HTTP.
    pub https: Option<bool>,
}

/// A condition on a header: `present`, `absent`, a value, or a pattern with `*`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HeaderCondition {
    /// `present`, `absent`, a value, or a pattern in which `*` is any run.
    Text(HeaderValue),
    /// A value that is not read as one of the words above.
    Exactly(Exactly),
}

/// A value as it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exactly {
    /// One of the header's lines is this.
    pub equals: HeaderValue,
}

/// The origins of a route.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Origins {
    /// The nearest healthy one.
    List(#[schemars(length(min = 1))] Vec<Name>),
    /// A named way to choose.
    Steered(Steering),
}

/// A way to choose among origins.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Steering {
    /// The nearest healthy one; weights among equally near ones.
    Nearest(#[schemars(length(min = 1))] Vec<Name>),
    /// By weight alone, wherever the client is.
    Weighted(#[schemars(extend("minProperties" = 1))] Map<Name, Weight>),
}

/// A share, from 1.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Weight(#[schemars(range(min = 1, max = 65_535))] pub u32);

/// Time limits towards the origin.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// TCP and TLS together. Default 5s.
    pub connect: Option<Timeout>,
    /// From the end of the request to the head of the response. Default 30s. Over HTTP/2 origins, the longer of this and
    /// `between_bytes` holds for both.
    pub first_byte: Option<Timeout>,
    /// Between two reads of the body. Default 60s. Over HTTP/2 origins, the longer of this and `first_byte` holds for both.
    /// It also ends a WebSocket (or whatever a connection was upgraded to) on which the origin says nothing for so long:
    /// raise it, or let one side send pings more often.
    pub between_bytes: Option<Timeout>,
    /// For one write. Default 60s.
    pub send: Option<Timeout>,
    /// An idle connection to the origin is kept so long. Default 60s.
    pub idle: Option<Timeout>,
}

/// Bounds on the request.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// A larger body is refused by 413: at once where its length is told, else when it has become larger. Default 100MiB; a
    /// route that takes uploads says how large they may be. Bodies are streamed, whatever the limit. What follows a change
    /// of protocol (WebSocket) is no body.
    pub request_body: Option<Size>,
    /// Further attempts at other origins after a failed one, for requests that may be repeated. Default 2.
    #[schemars(range(max = 10))]
    pub retries: Option<u32>,
}
