//! Replicas of the control service, and where each folds the log to.

use super::{ReplicaId, StoreId};
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

/// Whom a replica finds announced, on its own store, when it announces itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replaces {
    /// No run.
    Nobody,
    /// This run, which it replaces.
    Run(ReplicaId),
}

impl Replaces {
    /// That run, or nobody.
    pub fn of(run: Option<ReplicaId>) -> Self {
        run.map_or(Self::Nobody, Self::Run)
    }
}

impl StoreKind {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
        }
    }
}
