//! How connections come in.

use ipnet::IpNet;
use std::net::IpAddr;

/// What holds for a connection before its first request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Door {
    /// Peers whose connections begin with a PROXY header; nobody else's do.
    pub proxy_protocol_from: Vec<IpNet>,
    /// The oldest version of TLS that is spoken.
    pub tls_min: TlsVersion,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl Door {
    /// Whether a peer's connections begin with a PROXY header. An IPv4 address in IPv6 form counts as the IPv4 address.
    pub fn expects_proxy_header(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.proxy_protocol_from
            .iter()
            .any(|net| net.contains(&peer))
    }
}
