//! `/v1/login`, `/v1/users`, `/v1/roles`, `/v1/tokens`, `/v1/keys`: who asks, and what they may do.
//!
//! What holds a secret has no `Debug`: it can't slip into a log.

use crate::change::PublicKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// `iss` of access tokens.
pub const ISSUER: &str = "latencify";
/// `aud` of tokens that control's API takes.
pub const AUDIENCE_CONTROL: &str = "latencify-control";
/// `aud` of tokens that edges take.
pub const AUDIENCE_EDGE: &str = "latencify-edge";
/// `typ` of access tokens (RFC 9068 §2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";
/// What API tokens begin with.
pub const API_TOKEN_PREFIX: &str = "lat_pat_";

/// What an access token says (RFC 9068 §2.2), signed with Ed25519 (`EdDSA`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// [`ISSUER`].
    pub iss: String,
    /// [`AUDIENCE_CONTROL`] and [`AUDIENCE_EDGE`].
    pub aud: Vec<String>,
    /// The account.
    pub sub: String,
    /// The session that it logged in to.
    pub sid: Uuid,
    /// This token.
    pub jti: Uuid,
    /// Names of roles.
    pub roles: BTreeSet<String>,
    /// Limited to these sites; absent: to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<BTreeSet<String>>,
    /// Seconds since 1970.
    pub iat: i64,
    /// When it was issued to the millisecond: revocations are told apart from what is issued after them.
    pub iat_ms: i64,
    /// Not before, in seconds since 1970.
    pub nbf: i64,
    /// Seconds since 1970.
    pub exp: i64,
}

/// `POST /v1/login`
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Login {
    /// The account.
    pub user: String,
    /// Its password.
    pub password: String,
}

/// `POST /v1/login/refresh`
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Refresh {
    /// The newest refresh token of the session. It counts once.
    pub refresh_token: String,
}

/// What a login or a refresh gives (RFC 6749 §5.1).
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoggedIn {
    /// For `Authorization: Bearer …`.
    pub access_token: String,
    /// `Bearer`.
    pub token_type: String,
    /// How long the access token counts, in seconds.
    pub expires_in: u64,
    /// For the next refresh.
    pub refresh_token: String,
    /// How long the session counts, in seconds. Nothing prolongs it.
    pub refresh_expires_in: u64,
    /// The session.
    pub session: Uuid,
}

/// `GET /v1/whoami`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WhoAmI {
    /// As the log and the audit log name it.
    pub name: String,
    /// The account; absent: a token without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The session; absent: an API token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Uuid>,
    /// Names of roles.
    pub roles: BTreeSet<String>,
    /// What they come to.
    pub permissions: BTreeSet<String>,
    /// Limited to these sites; absent: to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<BTreeSet<String>>,
}

/// `PUT /v1/password`
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasswordChange {
    /// The one until now.
    pub old: String,
    /// The one from now on. Every session of the account ends.
    pub new: String,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    /// Its name.
    pub name: String,
    /// Names of roles.
    pub roles: BTreeSet<String>,
    /// Limited to these sites; absent: to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<BTreeSet<String>>,
    /// Whether it is shut.
    pub disabled: bool,
    /// When it was made (RFC 3339).
    pub created: String,
}

/// `GET /v1/users`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Users {
    /// By name.
    pub users: Vec<User>,
}

/// `POST /v1/users`
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewUser {
    /// Small letters, digits and `.-_@`.
    pub name: String,
    /// At least 12 characters.
    pub password: String,
    /// Names of roles.
    pub roles: BTreeSet<String>,
    /// Limited to these sites; absent: to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<BTreeSet<String>>,
}

/// `PATCH /v1/users/{name}`: what is absent stays. Every session of the account ends.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserChange {
    /// A new password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// These roles instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<BTreeSet<String>>,
    /// Limited to these sites instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<BTreeSet<String>>,
    /// Limited to no sites any more.
    #[serde(default)]
    pub all_sites: bool,
    /// Shut or opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Role {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it may do.
    pub permissions: BTreeSet<String>,
    /// Whether it can't be changed.
    pub built_in: bool,
}

/// `GET /v1/roles`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Roles {
    /// The built-in ones, then custom ones by name.
    pub roles: Vec<Role>,
    /// Every permission that there is.
    pub permissions: Vec<String>,
}

/// `PUT /v1/roles/{name}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoleDefinition {
    /// For people.
    #[serde(default)]
    pub description: String,
    /// What it may do.
    pub permissions: BTreeSet<String>,
}

/// An API token, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApiToken {
    /// Its id.
    pub id: Uuid,
    /// For people.
    pub name: String,
    /// Whose it is; absent: of the token that control was started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Names of roles.
    pub roles: BTreeSet<String>,
    /// Limited to these sites; absent: to nothing but what its user is limited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<BTreeSet<String>>,
    /// When it was made (RFC 3339).
    pub created: String,
    /// When it expires (RFC 3339).
    pub expires: String,
    /// Whether it counts.
    pub state: ApiTokenState,
}

/// Whether an API token counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ApiTokenState {
    /// It does.
    Live,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

/// `GET /v1/tokens`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApiTokens {
    /// The newest first.
    pub tokens: Vec<ApiToken>,
}

/// `POST /v1/tokens`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewApiToken {
    /// Letters, digits and `.-_@/`.
    pub name: String,
    /// Names of roles: nothing that its maker may not do.
    pub roles: BTreeSet<String>,
    /// Limited to these sites; absent: to what its maker is limited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<BTreeSet<String>>,
    /// It counts for so long, at most a year.
    pub expires_in_seconds: u64,
}

/// An API token that was made now.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApiTokenMade {
    /// For `Authorization: Bearer …`. It is shown this once.
    pub token: String,
    /// What is kept of it.
    pub about: ApiToken,
}

/// `POST /v1/keys/rotate`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyRotation {
    /// Earlier keys are believed no more at once: they may be known to others. Access tokens end with them; sessions go on.
    #[serde(default)]
    pub retire_earlier: bool,
}

/// A key that was made now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyRotated {
    /// The `kid` of tokens from now on.
    pub kid: String,
    /// The keys that are believed no more.
    pub retired: Vec<String>,
}

/// `GET /.well-known/jwks.json` (RFC 7517 §5)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Jwks {
    /// Those that access tokens may be signed with.
    pub keys: Vec<Jwk>,
}

/// A public key (RFC 8037 §2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Jwk {
    /// `OKP`.
    pub kty: String,
    /// `Ed25519`.
    pub crv: String,
    /// `EdDSA`.
    pub alg: String,
    /// `sig`.
    #[serde(rename = "use")]
    pub usage: String,
    /// Its name.
    pub kid: String,
    /// The key, in base64url.
    pub x: String,
}

impl Jwk {
    /// The key of that name.
    pub fn ed25519(kid: &str, key: &PublicKey) -> Self {
        Self {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            alg: "EdDSA".to_owned(),
            usage: "sig".to_owned(),
            kid: kid.to_owned(),
            x: key.to_string(),
        }
    }
}
