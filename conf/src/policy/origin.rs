//! Origins: where content comes from.

use super::SecretName;
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
    /// How requests to it are signed; none: they are not.
    pub sign: Option<Sign>,
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
    /// The certificate that the edge shows; none: it shows none.
    pub client: Option<ClientCertificate>,
}

/// A client certificate and its key, in PEM, by their secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, then its intermediates.
    pub certificate: SecretName,
    /// The private key.
    pub key: SecretName,
}

/// How requests to an origin are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    /// By AWS Signature Version 4.
    AwsV4(AwsV4),
    /// By a header that nobody else knows.
    Header(SecretHeader),
}

/// AWS Signature Version 4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsV4 {
    /// The region of the credential's scope.
    pub region: String,
    /// Its service; `s3` has a form of its own.
    pub service: String,
    /// The id of the access key.
    pub access_key: SecretName,
    /// The secret access key.
    pub secret_key: SecretName,
    /// The session token of keys that expire.
    pub session_token: Option<SecretName>,
}

/// A header that only edges and the origin know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretHeader {
    /// Its name.
    pub name: http::HeaderName,
    /// Its value.
    pub value: SecretName,
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
