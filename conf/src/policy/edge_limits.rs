//! What clients may take of an edge before any request is decided.

use std::time::Duration;

/// What one client, and all together, may take of an edge. The defaults hold where a policy says nothing, and before
/// any policy runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeLimits {
    /// Connections at a time.
    pub connections: u32,
    /// Connections at a time of one client address; IPv6 by its /64.
    pub connections_per_address: u32,
    /// From the start of a TLS handshake to its end.
    pub handshake_time: Duration,
    /// TLS handshakes a second, of all clients.
    pub handshakes: u32,
    /// The same of one client address, which may have those of [`EdgeLimits::WINDOW`] at once; IPv6 by its /64. At most
    /// `handshakes`.
    pub handshakes_per_address: u32,
    /// From the first byte of a request's head to its last; of a connection's first request, from the connection's
    /// start.
    pub header_time: Duration,
    /// Header fields of a request.
    pub headers: usize,
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// Bytes of a request's target; at most `header_bytes`.
    pub uri_bytes: usize,
    /// What a request's body must bring while it is waited for.
    pub body: RateMin,
    /// What a client must take of what is ready for it.
    pub send: RateMin,
    /// Bytes of memory that responses hold whose clients are waited for.
    pub unsent_bytes: u64,
    /// The same of one client address; IPv6 by its /64. At most `unsent_bytes`.
    pub unsent_bytes_per_address: u64,
    /// A connection without a request is closed after this time.
    pub idle: Duration,
    /// Requests of one connection; at least 1.
    pub requests: u32,
    /// HTTP/2: requests of one connection at a time.
    pub streams: u32,
    /// HTTP/2: requests of one connection reset before their response has begun, in [`EdgeLimits::WINDOW`].
    pub resets: u32,
    /// HTTP/2: frames of one connection that carry nothing of a request in [`EdgeLimits::WINDOW`].
    pub control_frames: u32,
    /// Requests that are at an origin at a time, background refreshes included.
    pub fetches: u32,
    /// The same of one client; IPv6 by its /64. At most `fetches`.
    pub fetches_per_address: u32,
}

/// The least that must pass while one side waits for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateMin {
    /// Bytes a second; 0: any rate is good.
    pub bytes_per_second: u64,
    /// The time that it may fall behind.
    pub grace: Duration,
}

impl EdgeLimits {
    /// The time over which resets, control frames and TLS handshakes are counted.
    pub const WINDOW: Duration = Duration::from_secs(10);
}

impl Default for EdgeLimits {
    fn default() -> Self {
        let rate = |seconds| RateMin {
            bytes_per_second: 1 << 10,
            grace: Duration::from_secs(seconds),
        };
        Self {
            connections: 65_536,
            connections_per_address: 1_024,
            handshake_time: Duration::from_secs(10),
            // About what one core does.
            handshakes: 2_000,
            // A thousand connections at once, as many as an address may have.
            handshakes_per_address: 100,
            header_time: Duration::from_secs(10),
            headers: 100,
            header_bytes: 64 << 10,
            uri_bytes: 16 << 10,
            // As long as Apache's; a phone in a tunnel comes back within it.
            body: rate(20),
            // Players that stop reading while their buffer is full come back within a minute.
            send: rate(60),
            unsent_bytes: 1 << 30,
            // Two hundred large responses straight from origins, or four thousand stored ones.
            unsent_bytes_per_address: 128 << 20,
            idle: Duration::from_mins(1),
            requests: 10_000,
            streams: 128,
            // Whoever scrolls over a map gives up dozens of requests a second.
            resets: 500,
            control_frames: 1_000,
            // Well below the 28,000 ports that Linux has towards one address.
            fetches: 16_384,
            // One for each connection that an address may have: of HTTP/1 clients, none ever meets it.
            fetches_per_address: 1_024,
        }
    }
}
