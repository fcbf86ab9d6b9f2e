//! Where in which log, and the small numbers that the fold gives out.

use crate::digest::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// The position of an entry in its log: growing, not always gapless, 0 before the first entry.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// The identity of a log: a restore or a move to another kind of log makes a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct LogId(pub Uuid);

/// One run of one edge program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct ProcessId(pub Uuid);

/// One run of one control program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct ReplicaId(pub Uuid);

/// The identity of a store: made with it, and kept wherever it moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct StoreId(pub Uuid);

/// The number of a policy revision: 1, 2, 3 … in the order of the log.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Revision(pub u64);

/// A site, as stored objects and marks name it. Given out by the fold and never used again, so that a mark or an
/// object of a removed site can't meet a later site of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct SiteId(pub u64);

/// How far a reader of the log has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Which log.
    pub log: LogId,
    /// The last entry obeyed.
    pub epoch: Epoch,
    /// The hash chain up to and including it.
    pub hash: Digest,
}

macro_rules! displayed_as_inner {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}
displayed_as_inner!(
    Epoch, LogId, ProcessId, ReplicaId, Revision, SiteId, StoreId
);
