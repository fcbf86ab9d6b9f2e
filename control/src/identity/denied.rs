//! Why a caller is not believed.

use std::time::Duration;

/// Why a caller is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No account of that name, another password, or an account that is shut: which of these, nobody is told.
    #[error("the user or the password is wrong")]
    BadCredentials,
    /// Too many attempts.
    #[error("too many attempts: try again in {} s", .0.as_secs().max(1))]
    Locked(Duration),
    /// Too many log in at a time.
    #[error("too many log in at this moment: try again")]
    Busy,
    /// It is no token of any kind.
    #[error("the token is not this control's")]
    Unknown,
    /// Its parts can't be read.
    #[error("the token can't be read")]
    Malformed,
    /// It is signed in another way than control signs, or is no access token.
    #[error("the token is not signed as access tokens are")]
    Algorithm,
    /// Nobody believes the key that it names.
    #[error("the key of the token is not believed (any more): log in again")]
    KeyUnknown,
    /// The signature is not the key's.
    #[error("the token's signature is wrong")]
    Signature,
    /// Its time is over.
    #[error("the token has expired: refresh it, or log in again")]
    Expired,
    /// Its time has not come.
    #[error("the token does not count yet: are the clocks right?")]
    Early,
    /// It is for somebody else, or of somebody else.
    #[error("the token is not for this API")]
    Audience,
    /// It was taken back.
    #[error("the token was revoked: log in again")]
    Revoked,
    /// The account that an API token was made by is gone or shut.
    #[error("the account that the token was made by is gone or shut")]
    NoAccount,
    /// A refresh token that nobody has, or of a session that is over.
    #[error("the session is over: log in again")]
    SessionOver,
    /// A refresh token that was used before.
    #[error(
        "the refresh token was used before, so somebody else may have it: the session is ended, log in again"
    )]
    Reused,
}

impl Denied {
    /// Its stable name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::BadCredentials => "bad_credentials",
            Self::Locked(_) => "locked",
            Self::Busy => "busy",
            Self::Unknown => "unknown_token",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::KeyUnknown => "key_unknown",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::Early => "early",
            Self::Audience => "audience",
            Self::Revoked => "revoked",
            Self::NoAccount => "no_account",
            Self::SessionOver => "session_over",
            Self::Reused => "refresh_reused",
        }
    }
}
