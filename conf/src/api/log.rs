//! `/v1/log`: the change log, for people and tests.

use crate::change::Epoch;
use serde::{Deserialize, Serialize};

/// `GET /v1/log?after=EPOCH&limit=N`: entries in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogEntries {
    /// The log's identity.
    pub log: String,
    /// In order.
    pub entries: Vec<LogEntry>,
    /// The newest folded entry.
    pub applied: Epoch,
}

/// One entry and what the fold made of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogEntry {
    /// Its position.
    pub epoch: Epoch,
    /// What the fold made of it.
    pub outcome: LogOutcome,
    /// The hash chain up to it; none for an entry that was not accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The entry as written.
    pub entry: serde_json::Value,
}

/// What the fold made of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogOutcome {
    /// It holds, and edges receive it.
    Accepted,
    /// The same was folded before; the earlier one stands.
    Repeat,
    /// It saw an older revision than the head; nothing changed.
    Conflict,
}
