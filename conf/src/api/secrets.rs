//! `/v1/secrets`.

use crate::change::Epoch;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A secret to be set.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SecretSubmission {
    /// Its name: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Its value: text of at most 64 KiB.
    pub value: String,
}

impl fmt::Debug for SecretSubmission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretSubmission")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A secret that was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SecretAccepted {
    /// Its name.
    pub name: String,
    /// The number of its value.
    pub version: u64,
    /// The entry that edges hear of it by.
    pub epoch: Epoch,
}

/// A secret without its value, which nobody can read here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SecretSummary {
    /// Its name.
    pub name: String,
    /// The number of its value.
    pub version: u64,
    /// The entry that set it.
    pub epoch: Epoch,
    /// Who set it.
    pub by: String,
    /// When, in RFC 3339.
    pub at: String,
    /// Where the policy that edges run names it.
    pub used_by: Vec<String>,
    /// Whether the value is in this control's store. It is not after the store was lost: set it again.
    pub stored: bool,
}

/// Every secret, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Secrets {
    /// They.
    pub secrets: Vec<SecretSummary>,
}

/// A secret that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SecretGone {
    /// Its name.
    pub name: String,
    /// The entry by which it went.
    pub epoch: Epoch,
}
