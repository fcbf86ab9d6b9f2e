//! Certificates of edges that are taken back.

use serde::{Deserialize, Serialize};

/// The most certificates of one entry: an edge has one or two at a time, and a few more if it was enrolled again and again.
pub const REVOKED_CERTIFICATES_MAX: usize = 1_000;

/// A certificate that counts no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedCertificate {
    /// Its serial number, in lower-case hexadecimal digits.
    pub serial: String,
    /// When it would have expired, in milliseconds since 1970: from then on nobody has to remember it.
    pub until_ms: i64,
}
