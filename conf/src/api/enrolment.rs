//! `/v1/edges/{edge}/invitations` and `/v1/edges/{edge}/revocation`.

use crate::change::Epoch;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// `POST /v1/edges/{edge}/invitations`: lets one edge of that name in, once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EdgeInvitation {
    /// How long the token may be used, like `1h`; at most 7 days. An hour if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// The answer to an [`EdgeInvitation`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EdgeInvited {
    /// Whom it lets in.
    pub edge: String,
    /// The token, with the fingerprint of the fleet's CA in it. It is nowhere else.
    pub token: String,
    /// Until when it may be used.
    #[serde(with = "time::serde::rfc3339")]
    pub expires: OffsetDateTime,
    /// SHA-256 of the certificate of the fleet's CA: `sha256:` and 64 hexadecimal digits.
    pub ca_fingerprint: String,
}

/// The answer to `POST /v1/edges/{edge}/revocation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EdgeRevoked {
    /// Whose certificates count no more.
    pub edge: String,
    /// How many there were.
    pub certificates: usize,
    /// The entry of the log that says so; none: there was no certificate, and from now on only an invitation gets one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}
