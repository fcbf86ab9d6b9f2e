//! `/v1/policies`.

use crate::{
    bundle::File,
    change::{Epoch, Plan, Revision},
    diff::PolicyDiff,
};
use serde::{Deserialize, Serialize};

/// `POST /v1/policies`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PolicySubmission {
    /// All files of the policy.
    pub files: Vec<File>,
    /// Why.
    #[serde(default)]
    pub message: String,
    /// The head revision that the author saw: if another one is the head by then, nothing changes (409). 0: no policy yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Revision>,
    /// Only check.
    #[serde(default)]
    pub dry_run: bool,
    /// How it reaches the fleet; none: all edges at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Plan>,
}

/// The policy is the target of the fleet (201), or would be accepted (200, dry run, revision and epoch 0).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyAccepted {
    /// Its number.
    pub revision: Revision,
    /// Its entry in the log.
    pub epoch: Epoch,
    /// Its digest, `sha256:…`.
    pub digest: String,
    /// What it changes of the head; of a dry run only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<PolicyDiff>,
}

/// `GET /v1/policies/{a}/diff/{b}` (each a number or `head`): what differs as obeyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PoliciesCompared {
    /// From this revision …
    pub from: Revision,
    /// … to this.
    pub to: Revision,
    /// What differs. Secrets are never shown.
    #[serde(flatten)]
    pub diff: PolicyDiff,
}

/// `POST /v1/policies/{revision}/revert`: the files of an earlier revision as a new one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PolicyRevert {
    /// Why; what is said behind "revert to revision N".
    #[serde(default)]
    pub message: String,
    /// The head revision that the author saw: if another one is the head by then, nothing changes (409).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Revision>,
}

/// `GET /v1/policies`: newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Policies {
    /// Newest first.
    pub policies: Vec<PolicySummary>,
}

/// One revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicySummary {
    /// Its number.
    pub revision: Revision,
    /// Its entry in the log.
    pub epoch: Epoch,
    /// Its digest.
    pub digest: String,
    /// Who.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
    /// Why.
    pub message: String,
    /// Names of its sites.
    pub sites: Vec<String>,
    /// Whether it is the fleet's target.
    pub head: bool,
}

/// `GET /v1/policies/{revision}` (a number or `head`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyDetail {
    /// As in the list.
    #[serde(flatten)]
    pub summary: PolicySummary,
    /// All files.
    pub files: Vec<File>,
}

/// `GET /v1/policies/{revision}/status`: who runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyStatus {
    /// Its number.
    pub revision: Revision,
    /// Its digest.
    pub digest: String,
    /// Every edge of the roster.
    pub edges: Vec<super::Edge>,
    /// Edges that run it.
    pub running: usize,
    /// Edges that can't build it.
    pub failed: usize,
    /// Edges that have not said so yet.
    pub pending: usize,
}
