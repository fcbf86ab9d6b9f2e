//! Authentication.

use super::{
    Map, OneOrMany, Secret,
    text::{Duration, HeaderName, Words},
};
use crate::policy::Algorithm;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;

/// What a request must carry to be let in.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// A JSON Web Token.
    pub jwt: Jwt,
}

/// A JSON Web Token that is verified with a static key: either `public_key` or `secret`.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// The algorithms that are accepted, all of the key's kind: HS… with `secret`, the others with `public_key`.
    #[schemars(length(min = 1))]
    pub algorithms: Vec<Algorithm>,
    /// A public key in PEM (`-----BEGIN PUBLIC KEY-----`): RSA, P-256, P-384 or Ed25519.
    pub public_key: Option<String>,
    /// Not supported: policies carry the key itself.
    #[schemars(extend("deprecated" = true))]
    pub public_key_file: Option<String>,
    /// A shared secret of at least 32 bytes: `{ref: NAME}`, so that it is not in the policy, or the secret itself.
    pub secret: Option<Secret>,
    /// `iss` must be one of these. Default not asked for.
    pub issuer: Option<OneOrMany<Words>>,
    /// `aud` must hold one of these. Default not asked for.
    pub audience: Option<OneOrMany<Words>>,
    /// Claims that must be there with this value.
    #[serde(default)]
    pub claims: Map<Words, Value>,
    /// Where the token stands; the first place that holds one counts. Default `[bearer]`.
    #[schemars(length(min = 1))]
    pub from: Option<Vec<TokenSource>>,
    /// Tolerance for `exp` and `nbf`. Default 30s.
    pub leeway: Option<Duration>,
    /// Whether the token is taken out of what goes to the origin. Default no. On a route that caches, a token in a header of
    /// its own or in a cookie goes on only as `cache.forward_headers` lets it.
    #[serde(default)]
    pub strip: bool,
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

/// Where a token stands in a request.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenSource {
    /// `Authorization: Bearer …`.
    Bearer,
    /// The whole value of a header.
    Header(HeaderName),
    /// A cookie.
    Cookie(Words),
    /// A query parameter.
    Query(Words),
}
