//! `/v1/policies/{revision}/rollout`.

use crate::change::{Plan, ProcessId, Revision, RolloutEnd};
use serde::{Deserialize, Serialize};

/// `GET /v1/policies/{revision}/rollout` (a number, or `newest`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RolloutStatus {
    /// The revision that is rolled out.
    pub revision: Revision,
    /// What the other edges run, and all again if it is returned; none: there was no policy before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<Revision>,
    /// How.
    pub plan: Plan,
    /// The stage, from 0.
    pub stage: u32,
    /// How many steps it has taken: what a command names, so that it changes only what was seen.
    pub step: u32,
    /// It moves on only when it is resumed.
    pub paused: bool,
    /// Who took the last step.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
    /// Why it is over; none: it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<RolloutEnd>,
    /// What it waits for, in words, as the replica sees it that was asked; empty when it is over.
    #[serde(default)]
    pub waits_for: String,
    /// How much of the stage's soak is over, in milliseconds, on the clock of the replica that was asked; it judges by its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soaked_ms: Option<u64>,
    /// The edges that run the candidate, or are to.
    pub edges: Vec<RolloutEdge>,
}

/// An edge process of the stages so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RolloutEdge {
    /// The operator's name for it.
    pub edge: String,
    /// This run of it.
    pub process: ProcessId,
    /// Whether its stream is open.
    pub connected: bool,
    /// Revision of what runs.
    pub running: Option<Revision>,
    /// Why it can't build the candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Requests that it has answered by the candidate since the stage began.
    pub requests: u64,
    /// Those with 5xx.
    pub errors_5xx: u64,
    /// Those that asked the cache.
    pub lookups: u64,
    /// Those that it answered.
    pub hits: u64,
    /// Within this came 99 of 100 first bytes, in milliseconds; none: there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<u32>,
}

/// `POST /v1/policies/{revision}/rollout`: an operator's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RolloutCommand {
    /// What to do.
    pub action: RolloutAction,
    /// The step that was seen: with more by now, nothing changes (409). None: whichever there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
}

/// What an operator says to a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RolloutAction {
    /// Nothing moves on; gates still send it back.
    Pause,
    /// It goes on, with the stage's soak from the beginning.
    Resume,
    /// Every edge goes back to the revision before it.
    Abort,
    /// Every edge runs it, at once, without a soak.
    Promote,
}
