//! `/v1/audit`: who did what.

use crate::digest::Digest;
use serde::{Deserialize, Serialize};

/// One record, as it is hashed: exactly these bytes of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditRecord {
    /// 1, 2, 3 …
    pub seq: u64,
    /// When (RFC 3339).
    pub at: String,
    /// Who: `user:alice`, `token:ci`, `stranger`.
    pub by: String,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What: a permission, or `login`, `refresh`, `authenticate`.
    pub action: String,
    /// On what: method and path.
    pub target: String,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// Why not, if it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What was there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<serde_json::Value>,
    /// What is there now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<serde_json::Value>,
    /// So many refusals of the same address had no record of their own before this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unrecorded: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// The caller may not do it.
    Refused,
    /// It was not done for another reason.
    Failed,
}

impl AuditOutcome {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// `GET /v1/audit`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditRecords {
    /// The newest first.
    pub records: Vec<AuditRecord>,
}

/// `GET /v1/audit/verify`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditVerified {
    /// So many records are as they were written, and all are there.
    pub records: u64,
    /// The chain over all of them: kept elsewhere, it shows later that none was cut off.
    pub head: String,
    /// The chain after the record that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The first record that is not as it was written, or is missing; absent: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_at: Option<u64>,
}

/// The chain before the first record.
pub fn audit_genesis() -> Digest {
    Digest::of_parts([&b"latencify audit 1"[..]])
}

/// The chain after a record, from the chain before it.
pub fn audit_chain(before: &Digest, record: &[u8]) -> Digest {
    Digest::of_parts([&before.0[..], record])
}
