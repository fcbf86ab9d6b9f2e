//! Sites: which hosts they answer for, under which certificate, by which routes.

use super::{PurgeAccess, Route};
use crate::change::SiteId;
use std::{path::PathBuf, sync::Arc};

/// The index of a certificate in [`Policy::certificates`](super::Policy::certificates).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CertificateId(pub usize);

/// A certificate chain and its key, as files on the edge. Relative paths start at the edge's certificate folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The policy's name for it.
    pub name: String,
    /// PEM file: the certificate, then its intermediates.
    pub chain: PathBuf,
    /// PEM file: the private key.
    pub key: PathBuf,
}

/// One site.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// What stored objects and marks call it.
    pub id: SiteId,
    /// What people call it.
    pub name: Arc<str>,
    /// The hosts that it answers for.
    pub hosts: Vec<HostPattern>,
    /// The certificate for its hosts; none: the site is not served over TLS.
    pub certificate: Option<CertificateId>,
    /// Who may send `PURGE` to an edge for this site.
    pub purge: PurgeAccess,
    /// The routes; the first that matches decides.
    pub routes: Vec<Arc<Route>>,
}

/// A host that a site answers for; lower case, no port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `shop.example`.
    Exact(String),
    /// `*.shop.example`, kept as `.shop.example`: one or more labels in front.
    Under(String),
    /// `*`: any host that no other pattern matches.
    Any,
}

impl HostPattern {
    /// Whether it covers the host.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Under(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
            Self::Any => true,
        }
    }

    /// Of two patterns that match, the one with the greater precedence decides.
    pub fn precedence(&self) -> (u8, usize) {
        match self {
            Self::Exact(name) => (2, name.len()),
            Self::Under(suffix) => (1, suffix.len()),
            Self::Any => (0, 0),
        }
    }
}
