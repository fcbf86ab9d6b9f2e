//! Connections: how many there are, which are turned away, and which limit ends the others.

use super::Maker;
use crate::listen::proxy_protocol::Outcome as ProxyHeader;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry};

/// Why a connection is closed before anything is done for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// `connections` are there already.
    InAll,
    /// `connections_per_address` are there already.
    OfAddress,
    /// The rest of the file descriptors is kept for origins and files.
    Descriptors,
    /// The system has no file descriptor left for it.
    OutOfDescriptors,
    /// More TLS handshakes are asked for than `handshakes`.
    Handshakes,
    /// The same of `handshakes_per_address`.
    HandshakesOfAddress,
}

/// Which limit ended a connection, or one request of an HTTP/2 connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The TLS handshake took longer than `handshake_time`.
    HandshakeTime,
    /// The TLS handshake failed.
    Handshake,
    /// A head took longer than `header_time`.
    HeaderTime,
    /// Nothing was asked for `idle`.
    Idle,
    /// `requests` have been answered.
    Requests,
    /// A body came slower than `body_rate`.
    BodyRate,
    /// The client took what was ready slower than `send_rate`.
    SendRate,
    /// Responses waited that hold `unsent_bytes_per_address`, and this one's client had been waited for the longest.
    UnsentOfAddress,
    /// The same of `unsent_bytes`, whatever its address held.
    UnsentInAll,
    /// HTTP/2: more requests were opened at once than `streams` allows, and refused, over and over.
    Streams,
    /// HTTP/2: requests went on to be opened after the client was told to go away.
    GoawayIgnored,
    /// HTTP/2: more than `resets` in the window.
    Resets,
    /// HTTP/2: more PING frames than `control_frames` allows.
    Ping,
    /// HTTP/2: the same of SETTINGS frames.
    Settings,
    /// HTTP/2: the same of PRIORITY and PRIORITY_UPDATE frames.
    Priority,
    /// HTTP/2: the same of WINDOW_UPDATE frames that answer nothing that was sent.
    WindowUpdate,
    /// HTTP/2: the same of frames that carry nothing: DATA, HEADERS or CONTINUATION without octets.
    EmptyFrames,
    /// HTTP/2: the same of frames of an unknown type.
    UnknownFrames,
    /// HTTP/2: more CONTINUATION frames than a head of `header_bytes` needs.
    Continuation,
    /// HTTP/2: DATA frames with so little in them that their framing is the load.
    SmallFrames,
    /// HTTP/2: a head far larger than `header_bytes`.
    HeaderBytes,
    /// The time of a drain was over.
    DrainTime,
}

impl Refused {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::InAll,
        Self::OfAddress,
        Self::Descriptors,
        Self::OutOfDescriptors,
        Self::Handshakes,
        Self::HandshakesOfAddress,
    ];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::InAll => "connections",
            Self::OfAddress => "connections_per_address",
            Self::Descriptors => "descriptors_reserved",
            Self::OutOfDescriptors => "out_of_descriptors",
            Self::Handshakes => "handshakes",
            Self::HandshakesOfAddress => "handshakes_per_address",
        }
    }
}

impl Ended {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::HandshakeTime,
        Self::Handshake,
        Self::HeaderTime,
        Self::Idle,
        Self::Requests,
        Self::BodyRate,
        Self::SendRate,
        Self::UnsentOfAddress,
        Self::UnsentInAll,
        Self::Streams,
        Self::GoawayIgnored,
        Self::Resets,
        Self::Ping,
        Self::Settings,
        Self::Priority,
        Self::WindowUpdate,
        Self::EmptyFrames,
        Self::UnknownFrames,
        Self::Continuation,
        Self::SmallFrames,
        Self::HeaderBytes,
        Self::DrainTime,
    ];

    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::HandshakeTime => "handshake_time",
            Self::Handshake => "handshake",
            Self::HeaderTime => "header_time",
            Self::Idle => "idle",
            Self::Requests => "requests",
            Self::BodyRate => "body_rate",
            Self::SendRate => "send_rate",
            Self::UnsentOfAddress => "unsent_bytes_per_address",
            Self::UnsentInAll => "unsent_bytes",
            Self::Streams => "streams",
            Self::GoawayIgnored => "goaway_ignored",
            Self::Resets => "resets",
            Self::Ping => "ping",
            Self::Settings => "settings",
            Self::Priority => "priority",
            Self::WindowUpdate => "window_update",
            Self::EmptyFrames => "empty_frames",
            Self::UnknownFrames => "unknown_frames",
            Self::Continuation => "continuation",
            Self::SmallFrames => "small_frames",
            Self::HeaderBytes => "header_bytes",
            Self::DrainTime => "drain_time",
        }
    }
}

/// The numbers of one set of listeners.
#[derive(Debug, Clone)]
pub struct ConnectionMetrics {
    open: IntGauge,
    accepted: IntCounter,
    refused: IntCounterVec,
    ended: IntCounterVec,
    streams_ended: IntCounterVec,
    proxy_headers: IntCounterVec,
    unsent: IntGauge,
}

impl ConnectionMetrics {
    /// Numbers that nobody scrapes, for the admin address.
    pub fn unseen() -> prometheus::Result<Self> {
        Self::register(&Registry::new())
    }

    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let make = Maker { registry };
        let metrics = Self {
            open: make.gauge("connections_open", "Connections of clients.")?,
            accepted: make.counter("connections_accepted_total", "Connections of clients taken.")?,
            refused: make.counters(
                "connections_refused_total",
                "Connections of clients closed before anything was done for them, by the limit.",
                &["reason"],
            )?,
            ended: make.counters(
                "connections_ended_total",
                "Connections of clients that a limit ended, by the limit.",
                &["reason"],
            )?,
            streams_ended: make.counters(
                "streams_ended_total",
                "Requests over HTTP/2 that a limit ended while their connection went on, by the limit.",
                &["reason"],
            )?,
            proxy_headers: make.counters(
                "proxy_headers_total",
                "PROXY headers of trusted load balancers: read, or why the connection was closed instead.",
                &["outcome"],
            )?,
            unsent: make.gauge(
                "unsent_bytes",
                "The most that responses hold in memory whose clients are waited for.",
            )?,
        };
        // A counter that is there at 0 can be told from one that is misspelt in an alert.
        for reason in Refused::ALL {
            metrics.refused.with_label_values(&[reason.name()]);
        }
        for reason in Ended::ALL {
            metrics.ended.with_label_values(&[reason.name()]);
        }
        for outcome in ProxyHeader::NAMES {
            metrics.proxy_headers.with_label_values(&[outcome]);
        }
        Ok(metrics)
    }

    /// A connection that must begin with a PROXY header has done so, or has been closed.
    pub fn proxy_header(&self, outcome: ProxyHeader) {
        self.proxy_headers
            .with_label_values(&[outcome.name()])
            .inc();
    }

    /// A connection is there. [`ConnectionMetrics::closed`] follows.
    pub fn opened(&self) {
        self.open.inc();
    }

    /// It is let in.
    pub fn accepted(&self) {
        self.accepted.inc();
    }

    /// A connection is there no more.
    pub fn closed(&self) {
        self.open.dec();
    }

    /// A connection is turned away.
    pub fn refused(&self, reason: Refused) {
        self.refused.with_label_values(&[reason.name()]).inc();
    }

    /// Responses whose clients are waited for hold so much more, or less.
    pub fn unsent(&self, bytes: i64) {
        self.unsent.add(bytes);
    }

    /// A limit ends a connection.
    pub fn ended(&self, reason: Ended) {
        self.ended.with_label_values(&[reason.name()]).inc();
    }

    /// A limit ends one request of an HTTP/2 connection.
    pub fn stream_ended(&self, reason: Ended) {
        self.streams_ended.with_label_values(&[reason.name()]).inc();
    }
}
