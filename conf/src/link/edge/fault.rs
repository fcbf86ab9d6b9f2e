//! Why an edge gives up a stream.

use crate::change::Epoch;

/// Why an edge gives up a stream. Whatever it is, nothing of the message behind it was applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Control ended the stream and said why.
    #[error("control refused: {reason}")]
    Refused {
        /// In control's words.
        reason: String,
        /// Trying again can't help until the operator acts.
        is_final: bool,
    },
    /// No `Welcome` within [`WELCOME_WITHIN`](super::WELCOME_WITHIN).
    #[error("no Welcome from control within {:?}", super::WELCOME_WITHIN)]
    NoWelcome,
    /// Heartbeats were not answered for as long as the lease.
    #[error("control has not answered heartbeats for as long as the lease")]
    Silent,
    /// A head was told, and for as long as the lease nothing came that leads there: the replica keeps deliveries back.
    #[error(
        "control's log ends at epoch {head}, and for as long as the lease it has delivered nothing after {at}"
    )]
    BehindToldHead {
        /// The last one received.
        at: Epoch,
        /// What was told.
        head: Epoch,
    },
    /// A message out of its place.
    #[error("unexpected: {0}")]
    Unexpected(&'static str),
    /// A message that is not of this protocol.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// The `Welcome` claims to continue where the edge stands, and does not.
    #[error(
        "the Welcome continues at epoch {start} with a position that is not the edge's own ({obeyed:?})"
    )]
    WrongStart {
        /// Where the welcome starts.
        start: Epoch,
        /// Where the edge stands.
        obeyed: Option<Epoch>,
    },
    /// A delivery of what was already received.
    #[error("epoch {epoch} delivered again, after {at}")]
    Repeated {
        /// Its epoch.
        epoch: Epoch,
        /// The last one received.
        at: Epoch,
    },
    /// A delivery that does not follow the last one.
    #[error(
        "a delivery follows epoch {previous}, the edge has received up to {at}: entries are missing or mixed up"
    )]
    OutOfOrder {
        /// What it says comes before it.
        previous: Epoch,
        /// The last one received.
        at: Epoch,
    },
    /// A delivery whose history before it is not the one that the edge has verified.
    #[error("the delivery after epoch {at} has another history than the one received")]
    OtherHistory {
        /// The last one received.
        at: Epoch,
    },
    /// A delivery whose entry or epoch is not what its hash says.
    #[error("the entry of epoch {epoch} is forged or altered: its hash is wrong")]
    Altered {
        /// Its epoch.
        epoch: Epoch,
    },
    /// An entry that this version can't read.
    #[error("epoch {epoch}: {reason}")]
    NotUnderstood {
        /// Its epoch.
        epoch: Epoch,
        /// What is wrong with it.
        reason: String,
    },
    /// The driver does not apply what it is handed.
    #[error("{} entries received and not applied", super::UNAPPLIED_MAX)]
    Overrun,
}

impl Fault {
    /// All names, for metrics that start at zero.
    pub const NAMES: [&'static str; 13] = [
        "refused",
        "no_welcome",
        "silent",
        "behind_told_head",
        "unexpected",
        "malformed",
        "wrong_start",
        "repeated",
        "out_of_order",
        "other_history",
        "altered",
        "not_understood",
        "overrun",
    ];

    /// Its stable name, in logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::NoWelcome => "no_welcome",
            Self::Silent => "silent",
            Self::BehindToldHead { .. } => "behind_told_head",
            Self::Unexpected(_) => "unexpected",
            Self::Malformed(_) => "malformed",
            Self::WrongStart { .. } => "wrong_start",
            Self::Repeated { .. } => "repeated",
            Self::OutOfOrder { .. } => "out_of_order",
            Self::OtherHistory { .. } => "other_history",
            Self::Altered { .. } => "altered",
            Self::NotUnderstood { .. } => "not_understood",
            Self::Overrun => "overrun",
        }
    }

    /// Whether it speaks of a replica that is mistaken or forged, rather than of a broken connection.
    pub fn is_distrust(&self) -> bool {
        !matches!(
            self,
            Self::Refused { .. } | Self::NoWelcome | Self::Silent | Self::Overrun
        )
    }
}
