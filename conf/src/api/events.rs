//! `/v1/events`: the HTTP binding of content events (CloudEvents 1.0).

use crate::change::Epoch;
use serde::{Deserialize, Serialize};

/// The event is in the log (202).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventAccepted {
    /// The purge that it made: its receipt is at `/v1/purges/ID`.
    pub purge: String,
    /// Its place in the log.
    pub epoch: Epoch,
    /// Whether an event with the same source and id was there before; then this is that one's answer.
    pub repeat: bool,
}
