//! The change log: what an entry says, where it stands, and what a purge names.
//!
//! An entry is stored and hashed as the exact JSON bytes that its writer produced ([`Entry::encode`]); nobody writes it
//! again. Readers refuse a kind that they do not know: a replica that skipped one would hold another truth.

mod certificate;
#[cfg(test)]
mod golden;
mod position;
mod replica;
mod rollout;
mod target;
mod trust;

pub use certificate::{REVOKED_CERTIFICATES_MAX, RevokedCertificate};
pub use position::{Epoch, LogId, Position, ProcessId, ReplicaId, Revision, SiteId, StoreId};
pub use replica::{Replaces, StoreKind, StoreRef};
pub use rollout::{
    BadPlan, FIGURE_BYTES_MAX, Gate, GateFailure, Gates, MILLION, NAMED_MAX, Plan, RolloutEnd,
    RolloutStep, STAGES_MAX, Stage, TIME_MAX as ROLLOUT_TIME_MAX,
};
pub use target::{Mode, Target};
pub use trust::{
    Issued, KEYS_MAX, KeyUse, Octets, PublicKey, REVOCATIONS_MAX, Revoked, Signature,
    TRUST_NAME_BYTES_MAX, VouchedBy, vouched,
};

use crate::digest::Digest;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};
use time::OffsetDateTime;
use uuid::Uuid;

/// The most bytes of one encoded entry: it must pass a broker with default settings.
pub const ENTRY_BYTES_MAX: usize = 512 * 1024;
/// The most targets of one purge entry.
pub const PURGE_TARGETS_MAX: usize = 1_000;
/// The most bytes of a tag: edges store no longer one, so a purge of it would find nothing.
pub const TAG_BYTES_MAX: usize = 256;
/// The most bytes of an idempotency key.
pub const KEY_BYTES_MAX: usize = 200;

/// One entry of the change log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The writer's name for it; the answer to the writer is found by it after the fold.
    pub id: Uuid,
    /// The writer's idempotency key: an entry whose key was folded within [the window](REPEAT_WINDOW_ENTRIES) is a repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Digest of the request that the key was sent with: the key with another request is an error, not a repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Digest>,
    /// Who asked, for people: `token:default`, `edge:paris`, `event:cms`.
    pub by: String,
    /// The writer's clock, for people. Nothing is decided by it.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What changes.
    pub change: Change,
}

/// How many entries back the fold looks for an entry with the same idempotency key or event identity.
pub const REPEAT_WINDOW_ENTRIES: u64 = 1_000_000;

/// What an entry changes. An unknown kind is an error on reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// The first entry of every log: its identity.
    LogCreated {
        /// The new identity.
        log: LogId,
        /// The log that it goes on from, if it was moved: its next entries are that one's, as they were written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Moved>,
    },
    /// A policy revision becomes the target of all edges. Its bundle lies in the store under its digest.
    Policy {
        /// Digest of the bundle.
        digest: Digest,
        /// Names of all its sites; the fold gives an id to each that is new.
        sites: Vec<String>,
        /// The head revision that the writer saw, if it wants compare-and-set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<Revision>,
        /// Why, in the author's words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        message: String,
    },
    /// Stored objects stop being servable (hard) or become stale (soft).
    Purge {
        /// Hard or soft.
        mode: Mode,
        /// What is purged: at most [`PURGE_TARGETS_MAX`].
        targets: Vec<Target>,
        /// The content event behind it, if one is; the fold drops repeats of (source, id).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event: Option<EventId>,
        /// The head revision that the names in it were resolved by: under another one they may stand for other sites.
        /// None names nothing that a policy could change: [`Target::All`] alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen: Option<Revision>,
    },
    /// An edge process joins the roster.
    EdgeJoined {
        /// This run of the edge.
        process: ProcessId,
        /// The operator's name for the edge; several processes may carry it during an upgrade.
        edge: String,
        /// What else the edge says of itself, for people: version, addresses, place.
        #[serde(default)]
        about: BTreeMap<String, String>,
        /// The run of control that the process has said hello to. An entry that comes to the log after that run counts no
        /// more: the process may have left meanwhile. None: an older version wrote it, or a run that is not announced.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replica: Option<ReplicaId>,
    },
    /// An edge process leaves the roster.
    EdgeLeft {
        /// Which.
        process: ProcessId,
        /// A clean stop, or taken out by the operator.
        why: LeaveReason,
        /// The run of control that promises the process nothing until this is folded. Nobody does so after that run: an
        /// entry of it that comes to the log later counts no more. None: the process itself has left, so nothing has to
        /// be kept; or an older version wrote it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replica: Option<ReplicaId>,
    },
    /// A replica of the control service serves from now on. Edges have nothing to do with it.
    ReplicaJoined {
        /// This run of it.
        replica: ReplicaId,
        /// Its name, for people.
        name: String,
        /// Where it folds the log to. A run on the same store replaces earlier ones.
        store: StoreRef,
        /// Its version.
        version: String,
        /// Who it replaces: an entry that comes to the log when somebody else is there counts no more. None: an older
        /// version wrote it, which replaces whoever is there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<Replaces>,
        /// For so long after it has read the log to its end it may answer edges, in milliseconds. None: nobody else can
        /// follow the log; or an older version wrote it, which goes on for as long as it lives, so that no wait covers it:
        /// neither one that is replaced, nor one that was gone from a store before that was brought up to this version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unread_max_ms: Option<u64>,
        /// The lease that it gives edges, in milliseconds: a later run on an older copy of its store knows from here how long an
        /// edge may hold one. None: an older version wrote it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease_ms: Option<u64>,
    },
    /// No run but those that are announced answers edges any more: this one has waited for as long as any other could that
    /// has said how long.
    ReplicaAlone {
        /// Which run says so.
        replica: ReplicaId,
    },
    /// A replica serves no more.
    ReplicaLeft {
        /// Which run.
        replica: ReplicaId,
        /// A clean stop, or taken out by the operator.
        why: LeaveReason,
    },
    /// A key is believed from now on.
    KeyAdded {
        /// Its name, in what it signs.
        kid: String,
        /// What it signs.
        #[serde(rename = "use")]
        purpose: KeyUse,
        /// Its public half.
        public_key: PublicKey,
        /// The earlier key that vouches for it. None: the first of its use, or of a use that nobody checks so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vouched_by: Option<VouchedBy>,
    },
    /// A key is believed no more.
    KeyRetired {
        /// Which.
        kid: String,
    },
    /// Tokens are believed no more.
    Revoked {
        /// Whose.
        what: Revoked,
        /// Those that were issued up to this instant, in milliseconds since 1970.
        before_ms: i64,
        /// By then all of them have expired, and nothing has to be remembered, in milliseconds since 1970.
        until_ms: i64,
    },
    /// A policy revision becomes the target of some edges, and of more of them stage by stage.
    RolloutStarted {
        /// Digest of the bundle.
        digest: Digest,
        /// Names of all its sites; the fold gives an id to each that is new.
        sites: Vec<String>,
        /// The head revision that the writer saw, if it wants compare-and-set; while another rollout is under way, its candidate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<Revision>,
        /// Why, in the author's words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        message: String,
        /// Who runs it when.
        plan: Plan,
    },
    /// A rollout moves on, is paused or resumed.
    RolloutStepped {
        /// Whose.
        revision: Revision,
        /// How many steps it had taken when the writer looked: with more by now, this changes nothing.
        step: u32,
        /// What changes.
        to: RolloutStep,
    },
    /// A rollout is over: every edge runs its revision, or the one before it again.
    RolloutEnded {
        /// Whose.
        revision: Revision,
        /// As in a step.
        step: u32,
        /// Why.
        why: RolloutEnd,
    },
    /// A secret has another value from now on, which lies sealed in the store of control: edges whose policy names it fetch it.
    SecretChanged {
        /// Its name.
        name: String,
        /// The number of its value: greater than that of the one before.
        version: u64,
    },
    /// A secret is gone.
    SecretRemoved {
        /// Its name.
        name: String,
        /// The head revision that did not name it; 0: there was none.
        seen: Revision,
    },
    /// The last entry of a log that goes on elsewhere: neither it nor anything behind it is folded. It holds only right
    /// behind the entry up to which the log was moved; anywhere else, and in any other log, it says nothing.
    LogMoved {
        /// The log that ends here.
        log: LogId,
        /// The newest entry that was moved.
        after: Epoch,
        /// Where it goes on.
        to: MovedTo,
    },
    /// Certificates of an edge count no more: whoever shows one of them gets nothing, and a stream that was opened with one ends.
    CertificateRevoked {
        /// The edge's name.
        edge: String,
        /// At most [`REVOKED_CERTIFICATES_MAX`].
        certificates: Vec<RevokedCertificate>,
    },
}

/// Where a log goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MovedTo {
    /// The identity that it has there.
    pub log: LogId,
    /// The place, for people.
    pub place: String,
    /// The flags of control that follow it there.
    pub flags: String,
}

impl fmt::Display for MovedTo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log, place, flags } = self;
        write!(
            formatter,
            "was moved to {place} and goes on there as log {log}: start control with {flags}"
        )
    }
}

/// Where the first entries of a log come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// The identity of the log before.
    pub log: LogId,
    /// How many of its entries follow; with fewer, the move is not finished.
    pub entries: u64,
}

/// Why an edge process or a replica left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaveReason {
    /// It drained and said so.
    Stopped,
    /// `latencify edge remove`, `latencify-control --remove-replica`.
    Removed,
}

/// The identity of a content event (CloudEvents 1.0 §3.1: source and id are unique together).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EventId {
    /// The event's `source`.
    pub source: String,
    /// The event's `id`.
    pub id: String,
}

/// An entry that can't be encoded or read.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// Larger than [`ENTRY_BYTES_MAX`].
    #[error("an entry of {0} bytes is larger than {ENTRY_BYTES_MAX}: split it")]
    TooLarge(usize),
    /// Not an entry that this version knows.
    #[error("entry not understood: {0}; a newer version may have written it: upgrade this replica")]
    NotUnderstood(#[source] serde_json::Error),
}

impl Entry {
    /// The bytes that are stored, hashed and delivered.
    pub fn encode(&self) -> Result<Vec<u8>, EntryError> {
        let bytes = serde_json::to_vec(self).map_err(EntryError::NotUnderstood)?;
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(EntryError::TooLarge(bytes.len()));
        }
        Ok(bytes)
    }

    /// Reads what [`Entry::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(EntryError::TooLarge(bytes.len()));
        }
        serde_json::from_slice(bytes).map_err(EntryError::NotUnderstood)
    }
}
