//! `/v1/replicas`.

use crate::change::{Epoch, ReplicaId, StoreRef};
use serde::{Deserialize, Serialize};

/// `GET /v1/replicas`: who serves, as the log says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Replicas {
    /// Every replica that has announced itself and not left.
    pub replicas: Vec<ReplicaInLog>,
}

/// One run of the control service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReplicaInLog {
    /// This run of it.
    pub replica: ReplicaId,
    /// Its name, for people: the machine and the process.
    pub name: String,
    /// Where it folds the log to.
    pub store: StoreRef,
    /// Its version.
    pub version: String,
    /// When it announced itself, as an epoch.
    pub joined: Epoch,
    /// Whether it is the one that answers.
    pub answers: bool,
}
