//! The certificates of one policy.

use super::Context;
use anyhow::{Context as _, Result};
use arc_swap::ArcSwapOption;
use latencify_conf::policy::{CertificateId, HostPattern, Policy};
use std::{path::Path, sync::Arc};

/// The certificates of one policy, loaded and checked.
#[derive(Default)]
pub struct Certificates {
    loaded: Vec<Arc<Context>>,
    hosts: Vec<(HostPattern, CertificateId)>,
}

/// Where the certificates of the running policy are read from on each handshake.
pub type CertificateSource = Arc<ArcSwapOption<Certificates>>;

impl Certificates {
    /// Loads every certificate of the policy; one that can't be read or used, or does not fit its key, fails all.
    pub fn load(policy: &Policy, folder: &Path) -> Result<Self> {
        let loaded = policy
            .certificates
            .iter()
            .map(|certificate| {
                let (chain, key) = (
                    folder.join(&certificate.chain),
                    folder.join(&certificate.key),
                );
                Context::load(&chain, &key, policy.edge.door.tls_min)
                    .map(Arc::new)
                    .with_context(|| format!("certificate {}", certificate.name))
            })
            .collect::<Result<Vec<_>>>()?;
        let hosts = policy
            .sites
            .iter()
            .filter_map(|site| site.certificate.map(|id| (site, id)))
            .flat_map(|(site, id)| site.hosts.iter().map(move |host| (host.clone(), id)))
            .collect();
        Ok(Self { loaded, hosts })
    }

    /// Takes over the contexts of certificates that have not changed, so that their clients' sessions can go on.
    pub fn keep_sessions_of(mut self, former: Option<&Self>) -> Self {
        let former = former
            .map(|former| former.loaded.as_slice())
            .unwrap_or_default();
        for context in &mut self.loaded {
            if let Some(same) = former.iter().find(|former| former.is_same(context)) {
                *context = same.clone();
            }
        }
        self
    }

    /// The context for a name: an exact host first, then the longest wildcard, then `*`. A client that names nobody gets
    /// that of `*`, else the first of the policy.
    pub(super) fn choose(&self, name: Option<&str>) -> Option<&Arc<Context>> {
        let host = name.map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        let fits = |pattern: &HostPattern| match &host {
            Some(host) => pattern.matches(host),
            None => *pattern == HostPattern::Any,
        };
        let best = self
            .hosts
            .iter()
            .filter(|(pattern, _)| fits(pattern))
            .max_by_key(|(pattern, _)| pattern.precedence());
        match (best, &host) {
            (Some((_, id)), _) => self.loaded.get(id.0),
            (None, None) => self.loaded.first(),
            (None, Some(_)) => None,
        }
    }
}
