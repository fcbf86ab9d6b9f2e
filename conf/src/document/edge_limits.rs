//! What clients may take of an edge before any request is decided.

use super::text::{Duration, Size, Timeout};
use schemars::JsonSchema;
use serde::Deserialize;

/// What one client, and all together, may take of an edge: connections, time, bytes and frames. New connections and
/// new requests obey a change at once; HTTP/2 connections under way keep the `streams`, `header_bytes` and `resets` that
/// their client or the library was told at the start, and so do bodies under way their `body_rate`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EdgeLimits {
    /// Connections at a time. Further ones are closed at once. Default 65536.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub connections: Option<u32>,
    /// Connections at a time of one client address; IPv6 by its /64. Default 1024, or `connections` if that is less.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub connections_per_address: Option<u32>,
    /// A TLS handshake that takes longer is cut off. Default 10s.
    pub handshake_time: Option<Timeout>,
    /// TLS handshakes a second, of all clients: what all cores can do, and may spare. Further connections are closed when they
    /// ask for one. Default 2000, about what one core does.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub handshakes: Option<u32>,
    /// The same of one client address, which may have those of 10 seconds at once; IPv6 by its /64, so that whoever has a /48
    /// meets only `handshakes`. Default 100, or `handshakes` if that is less.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub handshakes_per_address: Option<u32>,
    /// From the first byte of a request's head to its last; of a connection's first request, from the connection's
    /// start. Default 10s.
    pub header_time: Option<Timeout>,
    /// Header fields of a request. Default 100.
    #[schemars(range(min = 8, max = 256))]
    pub headers: Option<u32>,
    /// Bytes of a request's head: the request line and all fields. From 1KiB to 1MiB. Default 64KiB.
    pub header_bytes: Option<Size>,
    /// Bytes of a request's target. From 256B to `header_bytes`. Default 16KiB, or `header_bytes` if that is less.
    pub uri_bytes: Option<Size>,
    /// Bytes a second that a request's body must bring on average while it is waited for. 0B: any. Default 1KiB.
    pub body_rate: Option<Size>,
    /// The time that a body may fall behind `body_rate`. Default 20s.
    pub body_grace: Option<Timeout>,
    /// Bytes a second that a client must take on average of what is ready for it. 0B: any. Default 1KiB.
    pub send_rate: Option<Size>,
    /// The time that a client may fall behind `send_rate`. Default 60s.
    pub send_grace: Option<Timeout>,
    /// Memory of responses whose clients do not take them for the moment: the most that each can hold is counted, 32KiB
    /// and, of a body that comes from an origin, up to 640KiB. Over it, responses are ended from the longest wait of all
    /// on, whatever their client's address holds. From 1MiB to 1TiB. Default 1GiB.
    pub unsent_bytes: Option<Size>,
    /// The same of one client address; IPv6 by its /64. From 1MiB to `unsent_bytes`. Default 128MiB, or `unsent_bytes` if
    /// that is less.
    pub unsent_bytes_per_address: Option<Size>,
    /// A connection without a request is closed after this time; 0s: at once. Default 60s.
    pub idle: Option<Duration>,
    /// Requests of one connection. Default 10000.
    #[schemars(range(min = 1, max = 4_294_967_295_u64))]
    pub requests: Option<u32>,
    /// HTTP/2: requests of one connection at a time. Default 128.
    #[schemars(range(min = 1, max = 10_000))]
    pub streams: Option<u32>,
    /// HTTP/2: requests of one connection that are reset before their response has begun, by the client or because of
    /// it, in 10 seconds. Default 500.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub resets: Option<u32>,
    /// HTTP/2: frames of one connection that carry nothing of a request (PING, SETTINGS, PRIORITY, WINDOW_UPDATE beyond
    /// what was sent, empty frames) in 10 seconds. Default 1000.
    #[schemars(range(min = 16, max = 1_000_000))]
    pub control_frames: Option<u32>,
    /// Requests that an origin is asked for at a time, until its response has come whole; background refreshes count, who
    /// waits for another's fetch does not. Further ones are answered by 503, or by what is stale where the policy lets it
    /// stand in. Default 16384, as each may need one of the about 28000 ports that a machine has towards one address.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub fetches: Option<u32>,
    /// The same of one client, as `trusted_hops` name it; IPv6 by its /64. Default 1024, or `fetches` if that is less.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub fetches_per_address: Option<u32>,
}
