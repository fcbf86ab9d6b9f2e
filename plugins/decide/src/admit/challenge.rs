//! `WWW-Authenticate` for bearer tokens.

use super::{Class, Refusal};
use http::HeaderValue;

/// The challenge for a refusal (RFC 6750 §3): without an error code when no token came (§3.1).
pub(super) fn value(realm: &str, refusal: Refusal) -> Option<HeaderValue> {
    let realm: String = realm
        .chars()
        .filter(|c| (' '..='~').contains(c) && *c != '"' && *c != '\\')
        .collect();
    let error = match (refusal, refusal.class()) {
        (Refusal::TokenMissing, _) => {
            return HeaderValue::try_from(format!("Bearer realm=\"{realm}\"")).ok();
        }
        (_, Class::BadRequest) => "invalid_request",
        (_, Class::Forbidden) => "insufficient_scope",
        (_, Class::Unauthenticated) => "invalid_token",
        (_, Class::TooMany) => return None,
    };
    let detail = refusal.detail();
    HeaderValue::try_from(format!(
        "Bearer realm=\"{realm}\", error=\"{error}\", error_description=\"{detail}\""
    ))
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_follow_rfc_6750_section_3() {
        let check = |refusal, expected: Option<&str>| {
            let value = value("sh\"op", refusal);
            assert_eq!(
                value.as_ref().map(|value| value.to_str().unwrap()),
                expected
            );
        };
        check(Refusal::TokenMissing, Some(r#"Bearer realm="shop""#));
        check(
            Refusal::TokenExpired,
            Some(
                r#"Bearer realm="shop", error="invalid_token", error_description="The token has expired.""#,
            ),
        );
        check(
            Refusal::TokenWrongClaim,
            Some(
                r#"Bearer realm="shop", error="insufficient_scope", error_description="The token does not grant this.""#,
            ),
        );
        check(Refusal::RateLimited, None);
    }
}
