//! How connections come in: through load balancers that tell the client's address, and over which TLS.

use super::text::Block;
use schemars::JsonSchema;
use serde::Deserialize;

/// Load balancers in front of the edge that begin each connection with a PROXY header (version 1 or 2).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyProtocol {
    /// Their addresses. A connection from one of them must begin with the header, and its client is whom the header
    /// names; on a connection from anywhere else no header is read.
    #[schemars(length(min = 1))]
    pub from: Vec<Block>,
}

/// TLS towards clients.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EdgeTls {
    /// The oldest version that is spoken. Default `"1.2"`.
    pub min_version: Option<TlsVersion>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// RFC 5246.
    #[serde(rename = "1.2")]
    Tls12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    Tls13,
}
