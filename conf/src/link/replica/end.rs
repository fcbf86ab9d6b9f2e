//! The end of a stream.

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The edge speaks another version of the protocol.
    ProtocolMismatch,
    /// A message that is not of this protocol, or not in this place.
    BadMessage,
    /// The edge acked what it had not received.
    AckAhead,
    /// The edge has obeyed more of this log than this replica has folded.
    ReplicaBehind,
    /// What was to be delivered does not follow what was sent.
    ChainBroken,
    /// The edge stopped cleanly.
    Left,
    /// The operator took the process out of the roster.
    Removed,
    /// The replica's log or store does not work.
    ReplicaFailed,
    /// The replica stops.
    ReplicaStops,
    /// A newer stream of the same process took over.
    Replaced,
    /// The edge said nothing for longer than its lease.
    Silent,
    /// The certificate that the stream was opened with has been revoked.
    CertificateRevoked,
    /// It has expired: the edge comes again with the one after it.
    CertificateExpired,
    /// The edge says that it is another than its certificate names.
    OtherName,
}

impl End {
    /// Its stable name, in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProtocolMismatch => "protocol_mismatch",
            Self::BadMessage => "bad_message",
            Self::AckAhead => "ack_ahead",
            Self::ReplicaBehind => "replica_behind",
            Self::ChainBroken => "chain_broken",
            Self::Left => "left",
            Self::Removed => "removed",
            Self::ReplicaFailed => "replica_failed",
            Self::ReplicaStops => "replica_stops",
            Self::Replaced => "replaced",
            Self::Silent => "silent",
            Self::CertificateRevoked => "certificate_revoked",
            Self::CertificateExpired => "certificate_expired",
            Self::OtherName => "other_name",
        }
    }
}
