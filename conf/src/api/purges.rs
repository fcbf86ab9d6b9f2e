//! `/v1/purges`.

mod reading;
#[cfg(feature = "openapi")]
mod schema;

use crate::change::{Epoch, Mode, ProcessId};
use serde::{Deserialize, Serialize};

/// `POST /v1/purges`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(
    deny_unknown_fields,
    expecting = r#"an object like {"targets": [{"url": "https://shop.example/a"}]}"#
)]
pub struct PurgeRequest {
    /// What is purged, together: 1 to [`PURGE_TARGETS_MAX`](crate::change::PURGE_TARGETS_MAX).
    #[serde(deserialize_with = "reading::targets")]
    pub targets: Vec<PurgeTarget>,
    /// Hard (default) or soft.
    #[serde(default = "hard", deserialize_with = "reading::mode")]
    pub mode: Mode,
}

fn hard() -> Mode {
    Mode::Hard
}

/// What is purged, as users say it. A tag of every site may be written `{"tag": "x"}`, and everything `"all"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PurgeTarget {
    /// `https://shop.example/a`: this path, over all queries and variants, on the site that answers for the host.
    Url(String),
    /// `https://shop.example/a/`: the path and everything below it.
    Prefix(String),
    /// A surrogate key; of one site, or of every site.
    Tag {
        /// The tag.
        tag: String,
        /// The site's name; none: every site.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        site: Option<String>,
    },
    /// A whole site by its name.
    Site(String),
    /// Everything: `{"all": true}`.
    All(bool),
}

/// The purge is in the log (202).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PurgeAccepted {
    /// Its id.
    pub id: String,
    /// Its place in the log.
    pub epoch: Epoch,
    /// Where its receipt is: `/v1/purges/ID`.
    pub status_url: String,
    /// Whether this is the answer to an earlier request with the same idempotency key.
    pub repeat: bool,
}

/// `GET /v1/purges/{id}[?wait=5s]`: with `wait`, answers when no edge is missing or the time is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PurgeReceipt {
    /// Its id.
    pub id: String,
    /// Its place in the log.
    pub epoch: Epoch,
    /// Hard or soft.
    pub mode: Mode,
    /// Whether no edge process of the roster at that epoch is missing: each has acked it, is fenced, or has left since. And
    /// nothing holds the receipt.
    pub complete: bool,
    /// For how much longer it can't be complete, in milliseconds: control was started a moment ago on data that may be an older
    /// copy, and edges that it does not know may hold a lease until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_ms: Option<u64>,
    /// Every edge process of the roster at that epoch.
    pub edges: Vec<EdgeReceipt>,
}

/// How one edge process stands to a purge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EdgeReceipt {
    /// The operator's name for the edge.
    pub edge: String,
    /// Which run of it.
    pub process: ProcessId,
    /// Acked, fenced, missing, or left since.
    pub state: ReceiptState,
    /// Why it is fenced or missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<ReceiptWhy>,
    /// Since when its lease has run out, by the replica's clock (RFC 3339), if it is fenced because of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// From acceptance to its ack, on the accepting replica's clock, in microseconds; unknown after that replica's restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u64>,
}

/// The state of one edge in a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// Every worker of it obeys the purge.
    Acked,
    /// Cut off longer than its lease: it serves nothing stored from before until it obeys the purge.
    Fenced,
    /// Not known to obey it.
    Missing,
    /// It left the roster after the purge.
    Left,
}

/// Why an edge is fenced or missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReceiptWhy {
    /// Fenced: nothing was answered to it for longer than its lease.
    LeaseOver,
    /// Fenced: its lease had run out, it is back, and stays isolated until it has caught up.
    CatchingUp,
    /// Missing: it is connected, and its ack has not come yet.
    UnderWay,
    /// Missing: it is not connected; when its lease has run out, it is fenced.
    LeaseRuns,
    /// Missing: it is cut off, and serves what it has stored all the same (`--when-isolated serve`).
    Serves,
    /// Missing: this replica has never heard it say what it does when cut off.
    NeverHeard,
    /// Missing: the replica that was asked has not folded the purge yet.
    NotFolded,
}

impl ReceiptWhy {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LeaseOver => "lease_over",
            Self::CatchingUp => "catching_up",
            Self::UnderWay => "under_way",
            Self::LeaseRuns => "lease_runs",
            Self::Serves => "serves",
            Self::NeverHeard => "never_heard",
            Self::NotFolded => "not_folded",
        }
    }
}
