//! The bodies of the control API under `/v1`: what the CLI sends and what control answers. All JSON.

mod audit;
mod edges;
mod enrolment;
mod events;
mod identity;
mod log;
mod policies;
mod problem;
mod purges;
mod replicas;
mod rollouts;
mod secrets;

pub use audit::{
    AuditOutcome, AuditRecord, AuditRecords, AuditVerified, audit_chain, audit_genesis,
};
pub use edges::{Edge, EdgeState, Edges, PolicyOnEdge, WhenIsolated};
pub use enrolment::{EdgeInvitation, EdgeInvited, EdgeRevoked};
pub use events::EventAccepted;
pub use identity::{
    ACCESS_TOKEN_TYPE, API_TOKEN_PREFIX, AUDIENCE_CONTROL, AUDIENCE_EDGE, ApiToken, ApiTokenMade,
    ApiTokenState, ApiTokens, Claims, ISSUER, Jwk, Jwks, KeyRotated, KeyRotation, LoggedIn, Login,
    NewApiToken, NewUser, PasswordChange, Refresh, Role, RoleDefinition, Roles, User, UserChange,
    Users, WhoAmI,
};
pub use log::{LogEntries, LogEntry, LogOutcome};
pub use policies::{
    Policies, PoliciesCompared, PolicyAccepted, PolicyDetail, PolicyRevert, PolicyStatus,
    PolicySubmission, PolicySummary,
};
pub use problem::{PolicyError, Problem};
pub use purges::{
    EdgeReceipt, PurgeAccepted, PurgeReceipt, PurgeRequest, PurgeTarget, ReceiptState, ReceiptWhy,
};
pub use replicas::{ReplicaInLog, Replicas};
pub use rollouts::{RolloutAction, RolloutCommand, RolloutEdge, RolloutStatus};
pub use secrets::{SecretAccepted, SecretGone, SecretSubmission, SecretSummary, Secrets};

/// The header that makes a write safe to repeat; at most [`KEY_BYTES_MAX`](crate::change::KEY_BYTES_MAX) bytes.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header of an answer that says at which epoch it was true, and of a request that wants at least that epoch.
pub const EPOCH: &str = "latencify-epoch";
