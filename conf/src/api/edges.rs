//! `/v1/edges`.

use crate::{
    change::{Epoch, ProcessId, Revision},
    link::message,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /v1/edges`: the roster, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Edges {
    /// Every edge process that has joined and not left.
    pub edges: Vec<Edge>,
    /// The newest accepted entry.
    pub head: Epoch,
}

/// One edge process of the roster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Edge {
    /// The operator's name for it.
    pub edge: String,
    /// This run of it.
    pub process: ProcessId,
    /// Connected or not.
    pub state: EdgeState,
    /// What it does with stored objects while it is cut off; none: it has not said so to this replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_isolated: Option<WhenIsolated>,
    /// Cut off for longer than its lease, or not caught up since: it serves nothing stored from before.
    #[serde(default)]
    pub fenced: bool,
    /// How long ago a heartbeat of it was answered, in milliseconds; unknown: not since this replica started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unheard_ms: Option<u64>,
    /// It obeys more of the log than this replica has: this epoch. It is turned away until the replica has passed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<Epoch>,
    /// The newest epoch that all its workers obey.
    pub acked: Epoch,
    /// When it joined, as an epoch.
    pub joined: Epoch,
    /// What it said of itself.
    pub about: BTreeMap<String, String>,
    /// Its version; empty before it has spoken to this replica.
    pub version: String,
    /// What policy it runs.
    pub policy: PolicyOnEdge,
}

/// What an edge does with stored objects while it is cut off from control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WhenIsolated {
    /// It asks the origin whether they are still good before it serves them.
    Revalidate,
    /// It serves them, whatever was purged meanwhile: no receipt is complete without its ack.
    Serve,
    /// It answers 503 instead.
    Refuse,
}

impl From<message::WhenIsolated> for WhenIsolated {
    fn from(said: message::WhenIsolated) -> Self {
        match said {
            message::WhenIsolated::Revalidate => Self::Revalidate,
            message::WhenIsolated::Serve => Self::Serve,
            message::WhenIsolated::Refuse => Self::Refuse,
        }
    }
}

/// Whether an edge is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EdgeState {
    /// Its stream to a replica is open.
    Connected,
    /// It has joined and not left, but no stream is open.
    Disconnected,
}

/// The policy that an edge runs, and why it does not run its target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyOnEdge {
    /// Revision of what runs.
    pub revision: Option<Revision>,
    /// Digest of what runs, as the edge computed it.
    pub digest: Option<String>,
    /// Revision that it can't build.
    pub failed: Option<Revision>,
    /// Why.
    pub reason: Option<String>,
    /// Revision of what it is to run; in a rollout not every edge is to run the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Revision>,
    /// It runs something else than its target, by the digest that it reports, and has not said why.
    #[serde(default)]
    pub drifted: bool,
}
