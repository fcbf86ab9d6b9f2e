//! Sites, certificates, and what holds for the whole edge.

use super::{
    EdgeLimits, EdgeTls, OneOrMany, ProxyProtocol, Route,
    text::{Block, FilePath, Host, Name},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// What holds for every connection and request, whatever the site.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Edge {
    /// Load balancers in front of the edge, whose `client_address_header` is believed. Default none: the client is the
    /// peer of the connection.
    pub trusted_hops: Vec<Block>,
    /// The header that trusted hops append the client's address to. Default `x-forwarded-for`.
    pub client_address_header: Option<ClientAddressHeader>,
    /// What clients may take of the edge: connections, time, bytes and frames.
    pub limits: Option<EdgeLimits>,
    /// Load balancers that begin each connection with a PROXY header. Default none.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// TLS towards clients.
    pub tls: Option<EdgeTls>,
}

/// The header that says for whom a trusted hop asks.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAddressHeader {
    /// A list of addresses, the nearest hop last.
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// A certificate and its key, as PEM files on the edge. Relative paths start at the edge's certificate folder.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The certificate, then its intermediates.
    pub chain: FilePath,
    /// The private key.
    pub key: FilePath,
}

/// A site: the hosts that it answers for, and its routes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The hosts that the site answers for. The longest match wins: a name, then the longest wildcard, then `*`.
    #[schemars(length(min = 1))]
    pub hosts: Vec<Host>,
    /// The name of the certificate for these hosts. Without one the site is not served over HTTPS.
    pub certificate: Option<Name>,
    /// Who may send `PURGE` to an edge for this site. Default nobody.
    pub purge: Option<Purge>,
    /// The routes, in order: the first whose `match` holds decides. A request that no route takes is answered by 404.
    #[schemars(length(min = 1))]
    pub routes: Vec<Route>,
}

/// Who may send `PURGE`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Purge {
    /// Addresses of clients.
    pub from: OneOrMany<Block>,
}
