//! The policy as it is obeyed: names are resolved, defaults are filled in, units are Rust types. Only
//! [`validate`](crate::validate) makes one, so whoever holds a `Policy` need not check it again.

mod access;
mod auth;
mod cache;
mod door;
mod edge_limits;
mod edit;
mod limit;
mod origin;
mod route;
mod secret;
mod site;

pub use access::{Access, AccessRule, Country};
pub use auth::{Algorithm, Jwt, JwtKey, TOKEN_BYTES_MAX, TokenSource};
pub use cache::{
    CacheRule, CacheStatusRule, CdnCacheControl, DiskAdmission, Heuristic, KeyParts, Names,
    PurgeAccess, SetCookie, TtlRules,
};
pub use door::{Door, TlsVersion};
pub use edge_limits::{EdgeLimits, RateMin};
pub use edit::{HeaderEdits, Redirect, RedirectTo, Rewrite};
pub use limit::{RateKey, RateLimit};
pub use origin::{
    AwsV4, ClientCertificate, HealthCheck, Origin, OriginId, Scheme, SecretHeader, Sign, StatusSet,
    TlsToOrigin,
};
pub use route::{
    Action, HeaderMatch, Limits, MethodSet, PathPattern, Proxy, Route, RouteMatch, Steering,
    Timeouts, WeightedOrigin,
};
pub use secret::{SECRET_BYTES_MAX, SecretFlaw, SecretName, TOKEN_SECRET_BYTES_MIN};
pub use site::{Certificate, CertificateId, HostPattern, Site};

use crate::digest::Digest;
use std::{net::IpAddr, sync::Arc};

/// A whole policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The digest of the bundle that it was made from: its name in reports, records and on the link.
    pub digest: Digest,
    /// What holds for every connection and request.
    pub edge: EdgeRules,
    /// The sites, in the order of the files.
    pub sites: Vec<Arc<Site>>,
    /// The origins; [`OriginId`] is the index.
    pub origins: Vec<Arc<Origin>>,
    /// The certificates; [`CertificateId`] is the index.
    pub certificates: Vec<Certificate>,
}

impl Policy {
    /// The origin of that id.
    ///
    /// # Panics
    /// When the id is of another policy: a defect of this program, never of its input.
    pub fn origin(&self, id: OriginId) -> &Arc<Origin> {
        &self.origins[id.0]
    }

    /// The site that answers for a host name (lower case, no port, no trailing dot): an exact name first, then the
    /// longest wildcard, then `*`.
    pub fn site_for_host(&self, host: &str) -> Option<&Arc<Site>> {
        self.sites
            .iter()
            .flat_map(|site| site.hosts.iter().map(move |pattern| (pattern, site)))
            .filter(|(pattern, _)| pattern.matches(host))
            .max_by_key(|(pattern, _)| pattern.precedence())
            .map(|(_, site)| site)
    }
}

/// What holds for every connection and request of an edge, whatever the site.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EdgeRules {
    /// Peers whose `client_address_header` is believed: the client is the nearest address that is not one of them.
    pub trusted_hops: Vec<ipnet::IpNet>,
    /// The header that trusted hops append the client's address to.
    pub client_address_header: ClientAddressHeader,
    /// What clients may take of the edge.
    pub limits: EdgeLimits,
    /// How connections come in.
    pub door: Door,
}

impl EdgeRules {
    /// Whether a peer is a hop that is believed. An IPv4 address in IPv6 form counts as the IPv4 address.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_hops.iter().any(|net| net.contains(&peer))
    }
}

/// The header that says for whom a trusted hop asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAddressHeader {
    /// `X-Forwarded-For`: a list, the nearest hop last.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239): the `for` parameters, the nearest hop last.
    Forwarded,
}
