//! Replicas of the control service, and where each folds the log to.

use super::StoreId;
use serde::{Deserialize, Serialize};

/// Where a replica folds the log to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StoreRef {
    /// What kind of database it is.
    pub kind: StoreKind,
    /// Which one.
    pub id: StoreId,
}

/// What kind of database a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// A file that one replica alone works on: what edges said to it, no other replica knows.
    Sqlite,
}

impl StoreKind {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
        }
    }
}
