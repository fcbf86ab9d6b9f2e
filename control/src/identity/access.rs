//! Access tokens: JWTs (RFC 9068) signed with Ed25519. Pure: keys, revocations and the time are given.

use super::Denied;
use crate::fold::Trust;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
    errors::ErrorKind,
};
use latencify_conf::{
    api::{ACCESS_TOKEN_TYPE, AUDIENCE_CONTROL, AUDIENCE_EDGE, Claims, ISSUER},
    change::{Issued, KeyUse},
};
use std::{collections::BTreeSet, time::Duration};
use uuid::Uuid;

/// How long an access token counts.
pub const ACCESS_FOR: Duration = Duration::from_mins(10);
/// How far clocks may be apart.
pub const SKEW_MAX: Duration = Duration::from_secs(30);
/// The most bytes of a token that are looked at.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Whom a token is issued to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The account.
    pub user: String,
    /// The session.
    pub session: Uuid,
    /// Names of roles.
    pub roles: BTreeSet<String>,
    /// Limited to these sites.
    pub sites: Option<BTreeSet<String>>,
}

/// What the subject's token says that is issued at this time.
pub fn claims(subject: Subject, now_ms: i64) -> Claims {
    let now = now_ms.div_euclid(1000);
    Claims {
        iss: ISSUER.to_owned(),
        aud: vec![AUDIENCE_CONTROL.to_owned(), AUDIENCE_EDGE.to_owned()],
        sub: subject.user,
        sid: subject.session,
        jti: Uuid::new_v4(),
        roles: subject.roles,
        sites: subject.sites,
        iat: now,
        iat_ms: now_ms,
        nbf: now,
        exp: now + ACCESS_FOR.as_secs() as i64,
    }
}

/// Signs.
pub fn sign(claims: &Claims, kid: &str, key: &EncodingKey) -> Result<String, Denied> {
    let header = Header {
        typ: Some(ACCESS_TOKEN_TYPE.to_owned()),
        kid: Some(kid.to_owned()),
        ..Header::new(Algorithm::EdDSA)
    };
    encode(&header, claims, key).map_err(|_| Denied::Malformed)
}

/// What a token says, if it is believed: signed as ours are, by a key that the log says is believed, for this API, in its time,
/// and not revoked.
pub fn verify(token: &str, trust: &Trust) -> Result<Claims, Denied> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Denied::Malformed);
    }
    let header = decode_header(token).map_err(|error| match error.kind() {
        // `none` is no algorithm that the library knows.
        ErrorKind::Json(_) | ErrorKind::InvalidAlgorithmName => Denied::Algorithm,
        _ => Denied::Malformed,
    })?;
    // Before any key is looked at: an HMAC "verified" with a public key is the classic confusion.
    let is_ours =
        header.alg == Algorithm::EdDSA && header.typ.as_deref() == Some(ACCESS_TOKEN_TYPE);
    if !is_ours {
        return Err(Denied::Algorithm);
    }
    let key = header
        .kid
        .and_then(|kid| trust.keys.get(&kid))
        .filter(|key| key.purpose == KeyUse::Tokens)
        .ok_or(Denied::KeyUnknown)?;
    let key = DecodingKey::from_ed_components(&key.public_key.to_string())
        .map_err(|_| Denied::KeyUnknown)?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.leeway = SKEW_MAX.as_secs();
    validation.validate_nbf = true;
    validation.set_audience(&[AUDIENCE_CONTROL]);
    validation.set_issuer(&[ISSUER]);
    validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    let claims = decode::<Claims>(token, &key, &validation)
        .map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => Denied::Expired,
            ErrorKind::ImmatureSignature => Denied::Early,
            ErrorKind::InvalidAudience | ErrorKind::InvalidIssuer => Denied::Audience,
            ErrorKind::InvalidSignature => Denied::Signature,
            ErrorKind::InvalidAlgorithm => Denied::Algorithm,
            _ => Denied::Malformed,
        })?
        .claims;
    let issued = Issued {
        token: claims.jti,
        family: claims.sid,
        subject: &claims.sub,
    };
    match trust.revoked(&issued, claims.iat_ms) {
        Some(_) => Err(Denied::Revoked),
        None => Ok(claims),
    }
}

#[cfg(test)]
mod tests;
