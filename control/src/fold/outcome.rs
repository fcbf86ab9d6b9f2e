//! What the fold makes of an entry: how it ended, and what it changes.

use super::{Announced, Head, ReplicaLeft, Revocation, TrustedKey};
use crate::rollout::Rollout;
use latencify_conf::{
    change::{
        Epoch, LeaveReason, ProcessId, ReplicaId, Revision, Revoked, RevokedCertificate, RolloutEnd,
    },
    digest::Digest,
};
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// What the index of repeats knows of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Original {
    /// The entry that had the name first.
    pub id: Uuid,
    /// Where it stands.
    pub epoch: Epoch,
    /// The digest of the request behind it.
    pub request: Option<Digest>,
}

/// What the fold made of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It holds, and edges receive it.
    Accepted,
    /// The same was folded before; that one stands.
    Repeat(Original),
    /// Nothing changed.
    Conflict(Conflict),
}

/// Why an entry changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// It saw another head revision than there is.
    HeadMoved {
        /// The head, 0 before the first policy.
        head: Revision,
    },
    /// The rollout is not where the writer saw it.
    RolloutMoved {
        /// Which there is, after how many steps; none: none is under way.
        at: Option<(Revision, u32)>,
    },
    /// Its idempotency key was used for another request.
    KeyReused(Original),
    /// The process is in the roster already.
    AlreadyJoined,
    /// The process is not in the roster.
    NotInRoster,
    /// The run of control that vouched for it is over: what was true when it was written may be so no longer.
    WriterGone,
    /// Another run on the store is announced than the one that was to be replaced.
    OtherRun {
        /// Which; none: nobody is.
        present: Option<ReplicaId>,
    },
    /// Another replica folds into a store of its own.
    OtherStore(ReplicaId),
    /// The replica has not announced itself, or has left.
    NoSuchReplica,
    /// A key of that name is believed already, or it is no name.
    KeyKnown,
    /// As many keys of that use are believed as may be.
    TooManyKeys,
    /// No key of that name is believed.
    NoSuchKey,
    /// A newer value of the secret is in force.
    SecretMoved,
    /// There is no secret of that name.
    NoSuchSecret,
    /// The log has its identity already.
    NotFirst,
    /// The log went on behind the entry up to which it was to be moved, so it was not moved.
    NotLast,
}

impl Outcome {
    /// Its stable name, in the store and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Repeat(_) => "repeat",
            Self::Conflict(_) => "conflict",
        }
    }
}

/// A change of the state, and of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A revision is the head.
    Policy(Head),
    /// A rollout has begun, or has taken a step.
    RolloutMoved(Rollout),
    /// A rollout is over.
    RolloutEnded {
        /// Whose.
        revision: Revision,
        /// Why.
        why: RolloutEnd,
    },
    /// A purge has its receipt.
    Purge,
    /// A process is in the roster.
    Joined {
        /// Which.
        process: ProcessId,
        /// The edge's name.
        edge: String,
        /// What it said of itself.
        about: BTreeMap<String, String>,
    },
    /// A process is out of the roster.
    Left {
        /// Which.
        process: ProcessId,
        /// Why.
        why: LeaveReason,
    },
    /// A replica serves.
    ReplicaJoined {
        /// Which run.
        replica: ReplicaId,
        /// What it said of itself.
        announced: Announced,
        /// The lease that it gives edges; none: it did not say.
        lease: Option<Duration>,
    },
    /// A replica serves no more.
    ReplicaLeft {
        /// Which run.
        replica: ReplicaId,
        /// Why.
        why: ReplicaLeft,
    },
    /// Nobody answers edges but those that are announced.
    ReplicaAlone,
    /// A key is believed.
    KeyAdded {
        /// Its name.
        kid: String,
        /// The key.
        key: TrustedKey,
    },
    /// A key is believed no more.
    KeyRetired {
        /// Its name.
        kid: String,
    },
    /// Tokens are believed no more.
    Revoked {
        /// Whose.
        what: Revoked,
        /// Which.
        revocation: Revocation,
    },
    /// These revocations have nothing left to revoke.
    RevocationsForgotten(Vec<Revoked>),
    /// Certificates of edges count no more.
    CertificatesRevoked {
        /// Which.
        certificates: Vec<RevokedCertificate>,
        /// Those that expired before this are remembered no longer, in milliseconds since 1970.
        forgotten_before_ms: i64,
    },
    /// A secret has another value.
    SecretSet {
        /// Its name.
        name: String,
        /// The number of the value.
        version: u64,
    },
    /// A secret is gone.
    SecretRemoved {
        /// Its name.
        name: String,
        /// The number of the value that it had.
        version: u64,
    },
    /// A later entry of this name is a repeat of this one.
    Remember {
        /// As [`repeat_name`](super::repeat_name) gives it.
        name: String,
    },
}

/// An outcome and what it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// What became of the entry.
    pub outcome: Outcome,
    /// What changes; empty unless it was accepted.
    pub effects: Vec<Effect>,
}
