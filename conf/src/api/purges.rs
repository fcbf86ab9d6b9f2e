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

/// `GET /v1/purges/{id}[?wait=5s]`: with `wait`, answers when every edge has acked or the time is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PurgeReceipt {
    /// Its id.
    pub id: String,
    /// Its place in the log.
    pub epoch: Epoch,
    /// Hard or soft.
    pub mode: Mode,
    /// Whether every edge process of the roster at that epoch has acked it or left since.
    pub complete: bool,
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
    /// Acked, missing, or left since.
    pub state: ReceiptState,
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
    /// Cut off longer than its lease, and it serves nothing stored meanwhile.
    Fenced,
    /// Not known to obey it.
    Missing,
    /// It left the roster after the purge.
    Left,
}
