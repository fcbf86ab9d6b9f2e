//! The reasons for which a request is not let in.

use serde::Serialize;

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// A rule of the access list denies the client's address.
    AccessAddress,
    /// A rule of the access list denies the client's country.
    AccessCountry,
    /// No rule of the access list lets the client in.
    AccessOtherwise,
    /// There is no token.
    TokenMissing,
    /// Several tokens: one might be checked here and another be believed by the origin.
    TokenAmbiguous,
    /// The token is longer than [`TOKEN_BYTES_MAX`](latencify_conf::policy::TOKEN_BYTES_MAX).
    TokenOversized,
    /// The token is no JWS in compact form over a JSON object, or a claim has the wrong type.
    TokenMalformed,
    /// The token's algorithm is not one that the policy accepts; `none` never is.
    TokenAlgorithm,
    /// The signature is not the key's.
    TokenBadSignature,
    /// The token does not say when it expires.
    TokenWithoutExpiry,
    /// The token has expired.
    TokenExpired,
    /// The token is for later.
    TokenNotYetValid,
    /// The token is from another issuer, or does not say from whom.
    TokenWrongIssuer,
    /// The token is for another audience, or does not say for whom.
    TokenWrongAudience,
    /// A claim that the policy demands is missing or has another value.
    TokenWrongClaim,
    /// Too many requests.
    RateLimited,
}

/// What kind of refusal it is, for whoever answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The request contradicts itself.
    BadRequest,
    /// Nobody is known to ask; a good token would help.
    Unauthenticated,
    /// Whoever asks may not.
    Forbidden,
    /// Later.
    TooMany,
}

impl Refusal {
    /// Every reason, for tables and metrics.
    pub const ALL: [Self; 16] = [
        Self::AccessAddress,
        Self::AccessCountry,
        Self::AccessOtherwise,
        Self::TokenMissing,
        Self::TokenAmbiguous,
        Self::TokenOversized,
        Self::TokenMalformed,
        Self::TokenAlgorithm,
        Self::TokenBadSignature,
        Self::TokenWithoutExpiry,
        Self::TokenExpired,
        Self::TokenNotYetValid,
        Self::TokenWrongIssuer,
        Self::TokenWrongAudience,
        Self::TokenWrongClaim,
        Self::RateLimited,
    ];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessAddress => "access_address",
            Self::AccessCountry => "access_country",
            Self::AccessOtherwise => "access_otherwise",
            Self::TokenMissing => "token_missing",
            Self::TokenAmbiguous => "token_ambiguous",
            Self::TokenOversized => "token_oversized",
            Self::TokenMalformed => "token_malformed",
            Self::TokenAlgorithm => "token_algorithm",
            Self::TokenBadSignature => "token_bad_signature",
            Self::TokenWithoutExpiry => "token_without_expiry",
            Self::TokenExpired => "token_expired",
            Self::TokenNotYetValid => "token_not_yet_valid",
            Self::TokenWrongIssuer => "token_wrong_issuer",
            Self::TokenWrongAudience => "token_wrong_audience",
            Self::TokenWrongClaim => "token_wrong_claim",
            Self::RateLimited => "rate_limited",
        }
    }

    /// What the refused client is told; says nothing that helps to guess a token.
    pub fn detail(self) -> &'static str {
        match self {
            Self::AccessAddress => "This address is not allowed here.",
            Self::AccessCountry => "This is not available in your country.",
            Self::AccessOtherwise => "Access is limited to a list that you are not on.",
            Self::TokenMissing => "A token is required.",
            Self::TokenAmbiguous => "The request carries several tokens; send one.",
            Self::TokenOversized => "The token is too long.",
            Self::TokenMalformed => "The token can't be read.",
            Self::TokenAlgorithm => "The token's algorithm is not accepted.",
            Self::TokenBadSignature => "The token's signature is not valid.",
            Self::TokenWithoutExpiry => "The token does not say when it expires.",
            Self::TokenExpired => "The token has expired.",
            Self::TokenNotYetValid => "The token is not valid yet.",
            Self::TokenWrongIssuer => "The token's issuer is not accepted.",
            Self::TokenWrongAudience => "The token is for another audience.",
            Self::TokenWrongClaim => "The token does not grant this.",
            Self::RateLimited => "Too many requests; try again later.",
        }
    }

    /// What kind of refusal it is.
    pub fn class(self) -> Class {
        match self {
            Self::AccessAddress
            | Self::AccessCountry
            | Self::AccessOtherwise
            | Self::TokenWrongClaim => Class::Forbidden,
            Self::TokenAmbiguous => Class::BadRequest,
            Self::RateLimited => Class::TooMany,
            _ => Class::Unauthenticated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_reason_has_a_name_of_its_own_and_it_is_the_serialized_one() {
        let names: HashSet<_> = Refusal::ALL
            .iter()
            .map(|refusal| refusal.as_str())
            .collect();
        assert_eq!(names.len(), Refusal::ALL.len());
        for refusal in Refusal::ALL {
            assert_eq!(serde_json::to_value(refusal).unwrap(), refusal.as_str());
        }
    }
}
