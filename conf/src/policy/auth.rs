//! Tokens that a route demands.

use super::SecretName;
use schemars::JsonSchema;
use serde::Deserialize;
use std::{collections::BTreeMap, fmt, time::Duration};

/// The most bytes of a token; a longer one is refused unread.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// A JSON Web Token signed with a static key (RFC 7519).
#[derive(Debug, Clone, PartialEq)]
pub struct Jwt {
    /// The algorithms that are accepted. All are of the key's kind, so that a public key can't be used as an HMAC secret.
    pub algorithms: Vec<Algorithm>,
    /// The key.
    pub key: JwtKey,
    /// `iss` must be one of them; empty: not asked for.
    pub issuers: Vec<String>,
    /// `aud` must hold one of them; empty: a token with an `aud` is still accepted.
    pub audiences: Vec<String>,
    /// Claims that must be there with this value.
    pub claims: BTreeMap<String, serde_json::Value>,
    /// Where the token stands; the first place that holds one counts. Two different tokens are refused.
    pub sources: Vec<TokenSource>,
    /// Tolerance for `exp` and `nbf`. Default 30 s.
    pub leeway: Duration,
    /// Whether the token is taken out of what goes to the origin. Default no.
    pub strip: bool,
}

/// A signature algorithm.
// Written as it is obeyed, so both have this type. `none` does not exist here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// RSA PKCS #1 v1.5 with SHA-256.
    RS256,
    /// RSA PKCS #1 v1.5 with SHA-384.
    RS384,
    /// RSA PKCS #1 v1.5 with SHA-512.
    RS512,
    /// RSA PSS with SHA-256.
    PS256,
    /// RSA PSS with SHA-384.
    PS384,
    /// RSA PSS with SHA-512.
    PS512,
    /// ECDSA on P-256.
    ES256,
    /// ECDSA on P-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

/// A verification key.
#[derive(Clone, PartialEq, Eq)]
pub enum JwtKey {
    /// A shared secret of at least 32 bytes, for the HS algorithms.
    Secret(Vec<u8>),
    /// The same, by its name. With it no token is good: it stands until the value is [known](super::Policy::with_token_secrets).
    SecretRef(SecretName),
    /// A public key in PEM, for the others.
    PublicPem(String),
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(_) => f.write_str("Secret(…)"),
            Self::SecretRef(name) => write!(f, "SecretRef({name})"),
            Self::PublicPem(_) => f.write_str("PublicPem(…)"),
        }
    }
}

/// Where a token stands in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// `Authorization: Bearer …`.
    Bearer,
    /// The whole value of a header.
    Header(http::HeaderName),
    /// A cookie.
    Cookie(String),
    /// A query parameter.
    Query(String),
}
