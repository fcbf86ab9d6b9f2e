//! Origins: where content comes from.

use crate::Point;
use std::{ops::RangeInclusive, path::PathBuf, sync::Arc, time::Duration};

/// The index of an origin in [`Policy::origins`](super::Policy::origins).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OriginId(pub usize);

/// How an origin is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http://`: HTTP/1.1 in the clear.
    Http,
    /// `https://`: TLS; HTTP/2 if both sides speak it.
    Https,
    /// `h2c://`: HTTP/2 in the clear with prior knowledge, for gRPC.
    H2c,
}

/// One origin. Its identity for connections, health and metrics is its `name` together with the address parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The policy's name for it.
    pub name: Arc<str>,
    /// How it is spoken to.
    pub scheme: Scheme,
    /// A DNS name or an address literal (IPv6 without brackets).
    pub host: String,
    /// The port.
    pub port: u16,
    /// Where it stands; without a place it comes after all that have one.
    pub place: Option<Point>,
    /// The share among origins that are equally near; at least 1.
    pub weight: u32,
    /// The `Host` sent; none: the client's.
    pub host_header: Option<String>,
    /// TLS to the origin, when the scheme is `https`.
    pub tls: TlsToOrigin,
    /// Active health checks; none: only passive ejection.
    pub health: Option<HealthCheck>,
}

/// How an origin's certificate is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsToOrigin {
    /// The name asked for by SNI and verified; none: the origin's host.
    pub sni: Option<String>,
    /// PEM file of the CAs that are trusted instead of the system's, a path on the edge.
    pub ca: Option<PathBuf>,
    /// Whether certificate and name are verified. On unless the policy says `insecure: true`.
    pub verify: bool,
}

/// An active health check: an HTTP GET on a timer.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthCheck {
    /// Path and query asked for.
    pub path: String,
    /// From the end of one check to the start of the next.
    pub interval: Duration,
    /// A check that takes longer has failed.
    pub timeout: Duration,
    /// So many good checks in a row make an unhealthy origin healthy.
    pub healthy_after: u32,
    /// So many failed checks in a row make a healthy origin unhealthy.
    pub unhealthy_after: u32,
    /// The status codes that are good.
    pub expect: StatusSet,
}

/// A set of status codes, written `[200, 204, 301-399]` or `2xx`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSet(pub Vec<RangeInclusive<u16>>);

impl StatusSet {
    /// Whether the status is in it.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}
