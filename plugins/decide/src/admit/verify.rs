//! Verifying JSON Web Tokens (RFC 7519) in the compact form of JWS (RFC 7515 §7.1), by the rules of RFC 8725.

use super::{Refusal, token};
use crate::facts::Request;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use latencify_conf::policy::{self, Jwt, JwtKey};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// The rule of a route with its key parsed.
#[derive(Debug)]
pub struct Verifier {
    rule: Arc<Jwt>,
    algorithms: Vec<(policy::Algorithm, Algorithm)>,
    /// None: only its name is known, so no token is good.
    key: Option<DecodingKey>,
}

/// A verified token.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// What it says.
    pub claims: Map<String, Value>,
    /// The index in the rule's `sources` of the place where it stood.
    pub source: usize,
}

/// A key that can't verify what the policy asks of it.
#[derive(Debug, thiserror::Error)]
pub enum BadKey {
    /// The key can't be read.
    #[error(
        "the public key can't be read: {0}; give a PEM public key (BEGIN PUBLIC KEY) of the algorithms' kind"
    )]
    Unreadable(#[source] jsonwebtoken::errors::Error),
    /// An algorithm is of another kind than the key.
    #[error(
        "the key is of another kind than the algorithm {0:?}; list algorithms of one kind only"
    )]
    OtherKind(policy::Algorithm),
    /// No algorithm is listed.
    #[error("no algorithm is listed; list those that tokens are signed with")]
    NoAlgorithm,
}

/// The header of a token, as far as it matters (RFC 7515 §4.1). A key named in it is never believed.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: std::borrow::Cow<'a, str>,
    /// Extensions that must be understood (§4.1.11): none is.
    crit: Option<serde::de::IgnoredAny>,
}

impl Verifier {
    /// Parses the key of a rule.
    pub fn new(rule: &Arc<Jwt>) -> Result<Self, BadKey> {
        let algorithms: Vec<_> = rule
            .algorithms
            .iter()
            .map(|&ours| (ours, theirs(ours)))
            .collect();
        let (_, first) = *algorithms.first().ok_or(BadKey::NoAlgorithm)?;
        let key = decoding_key(&rule.key, first).map_err(BadKey::Unreadable)?;
        let by_name = jsonwebtoken::AlgorithmFamily::Hmac;
        let family = key.as_ref().map_or(by_name, DecodingKey::family);
        if let Some((ours, _)) = algorithms
            .iter()
            .find(|(_, theirs)| theirs.family() != family)
        {
            return Err(BadKey::OtherKind(*ours));
        }
        Ok(Self {
            rule: Arc::clone(rule),
            algorithms,
            key,
        })
    }

    /// The rule that it was made from.
    pub fn rule(&self) -> &Arc<Jwt> {
        &self.rule
    }

    /// Finds and verifies the token of a request, as of the request's time.
    pub fn verify(&self, request: &Request<'_>) -> Result<Token, Refusal> {
        let found = token::find(&self.rule.sources, request)?;
        let claims = self.verified_claims(&found.token)?;
        self.check_time(&claims, request.now)?;
        self.check_claims(&claims)?;
        Ok(Token {
            claims,
            source: found.source,
        })
    }

    /// The signature is verified before anything of the payload is read.
    fn verified_claims(&self, token: &str) -> Result<Map<String, Value>, Refusal> {
        let (message, signature) = token.rsplit_once('.').ok_or(Refusal::TokenMalformed)?;
        let (header, payload) = message.split_once('.').ok_or(Refusal::TokenMalformed)?;
        if payload.contains('.') {
            return Err(Refusal::TokenMalformed);
        }
        let header = decoded(header)?;
        let header: Header<'_> =
            serde_json::from_slice(&header).map_err(|_| Refusal::TokenMalformed)?;
        if header.crit.is_some() {
            return Err(Refusal::TokenMalformed);
        }
        let algorithm = self.algorithm(&header.alg).ok_or(Refusal::TokenAlgorithm)?;
        let Some(key) = &self.key else {
            return Err(Refusal::TokenBadSignature);
        };
        match crypto::verify(signature, message.as_bytes(), key, algorithm) {
            Ok(true) => {}
            Ok(false) | Err(_) => return Err(Refusal::TokenBadSignature),
        }
        serde_json::from_slice(&decoded(payload)?).map_err(|_| Refusal::TokenMalformed)
    }

    /// The accepted algorithm of that name; the name decides among those that the policy lists, never beyond them.
    fn algorithm(&self, name: &str) -> Option<Algorithm> {
        self.algorithms
            .iter()
            .find(|(ours, _)| name_of(*ours) == name)
            .map(|(_, theirs)| *theirs)
    }

    /// `exp` (RFC 7519 §4.1.4) must be there; `nbf` (§4.1.5) may.
    fn check_time(&self, claims: &Map<String, Value>, now: SystemTime) -> Result<(), Refusal> {
        let now = now
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs_f64();
        let leeway = self.rule.leeway.as_secs_f64();
        let expires = numeric_date(claims, "exp")?.ok_or(Refusal::TokenWithoutExpiry)?;
        if now >= expires + leeway {
            return Err(Refusal::TokenExpired);
        }
        match numeric_date(claims, "nbf")? {
            Some(begins) if now + leeway < begins => Err(Refusal::TokenNotYetValid),
            _ => Ok(()),
        }
    }

    fn check_claims(&self, claims: &Map<String, Value>) -> Result<(), Refusal> {
        let rule = &self.rule;
        if !rule.issuers.is_empty() {
            let issuer = claims
                .get("iss")
                .and_then(Value::as_str)
                .ok_or(Refusal::TokenWrongIssuer)?;
            if !rule.issuers.iter().any(|accepted| accepted == issuer) {
                return Err(Refusal::TokenWrongIssuer);
            }
        }
        if !rule.audiences.is_empty() && !names_one_of(claims.get("aud"), &rule.audiences) {
            return Err(Refusal::TokenWrongAudience);
        }
        if rule
            .claims
            .iter()
            .any(|(name, value)| claims.get(name) != Some(value))
        {
            return Err(Refusal::TokenWrongClaim);
        }
        Ok(())
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Refusal::TokenMalformed)
}

/// Seconds since 1970, also with a fraction (RFC 7519 §2, NumericDate). Anything but a number is malformed.
fn numeric_date(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, Refusal> {
    claims
        .get(name)
        .map(|value| value.as_f64().ok_or(Refusal::TokenMalformed))
        .transpose()
}

/// `aud` is a string or a list of strings (RFC 7519 §4.1.3).
fn names_one_of(claim: Option<&Value>, accepted: &[String]) -> bool {
    let is_accepted = |value: &Value| {
        value
            .as_str()
            .is_some_and(|name| accepted.iter().any(|one| one == name))
    };
    match claim {
        Some(Value::Array(list)) => list.iter().any(is_accepted),
        Some(single) => is_accepted(single),
        None => false,
    }
}

fn decoding_key(
    key: &JwtKey,
    algorithm: Algorithm,
) -> jsonwebtoken::errors::Result<Option<DecodingKey>> {
    use jsonwebtoken::AlgorithmFamily;
    let key = match (key, algorithm.family()) {
        (JwtKey::SecretRef(_), _) => return Ok(None),
        (JwtKey::Secret(secret), _) => Ok(DecodingKey::from_secret(secret)),
        (JwtKey::PublicPem(pem), AlgorithmFamily::Rsa) => DecodingKey::from_rsa_pem(pem.as_bytes()),
        (JwtKey::PublicPem(pem), AlgorithmFamily::Ec) => DecodingKey::from_ec_pem(pem.as_bytes()),
        (JwtKey::PublicPem(pem), AlgorithmFamily::Ed) => DecodingKey::from_ed_pem(pem.as_bytes()),
        (JwtKey::PublicPem(_), AlgorithmFamily::Hmac) => Err(jsonwebtoken::errors::new_error(
            jsonwebtoken::errors::ErrorKind::InvalidKeyFormat,
        )),
    };
    key.map(Some)
}

/// The name in a token's header (RFC 7518 §3.1, RFC 8037 §3.1).
fn name_of(algorithm: policy::Algorithm) -> &'static str {
    use policy::Algorithm as A;
    match algorithm {
        A::HS256 => "HS256",
        A::HS384 => "HS384",
        A::HS512 => "HS512",
        A::RS256 => "RS256",
        A::RS384 => "RS384",
        A::RS512 => "RS512",
        A::PS256 => "PS256",
        A::PS384 => "PS384",
        A::PS512 => "PS512",
        A::ES256 => "ES256",
        A::ES384 => "ES384",
        A::EdDSA => "EdDSA",
    }
}

fn theirs(algorithm: policy::Algorithm) -> Algorithm {
    use policy::Algorithm as A;
    match algorithm {
        A::HS256 => Algorithm::HS256,
        A::HS384 => Algorithm::HS384,
        A::HS512 => Algorithm::HS512,
        A::RS256 => Algorithm::RS256,
        A::RS384 => Algorithm::RS384,
        A::RS512 => Algorithm::RS512,
        A::PS256 => Algorithm::PS256,
        A::PS384 => Algorithm::PS384,
        A::PS512 => Algorithm::PS512,
        A::ES256 => Algorithm::ES256,
        A::ES384 => Algorithm::ES384,
        A::EdDSA => Algorithm::EdDSA,
    }
}
