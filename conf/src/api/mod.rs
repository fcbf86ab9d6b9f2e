//! The bodies of the control API under `/v1`: what the CLI sends and what control answers. All JSON.

mod edges;
mod events;
mod log;
mod policies;
mod problem;
mod purges;
mod replicas;

pub use edges::{Edge, EdgeState, Edges, PolicyOnEdge, WhenIsolated};
pub use events::EventAccepted;
pub use log::{LogEntries, LogEntry, LogOutcome};
pub use policies::{
    Policies, PolicyAccepted, PolicyDetail, PolicyStatus, PolicySubmission, PolicySummary,
};
pub use problem::{PolicyError, Problem};
pub use purges::{
    EdgeReceipt, PurgeAccepted, PurgeReceipt, PurgeRequest, PurgeTarget, ReceiptState, ReceiptWhy,
};
pub use replicas::{ReplicaInLog, Replicas};

/// The header that makes a write safe to repeat; at most [`KEY_BYTES_MAX`](crate::change::KEY_BYTES_MAX) bytes.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header of an answer that says at which epoch it was true, and of a request that wants at least that epoch.
pub const EPOCH: &str = "latencify-epoch";
