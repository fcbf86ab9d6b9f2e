//! The index from host names to sites.

use ahash::RandomState;
use latencify_conf::policy::{HostPattern, Site};
use std::{collections::HashMap, sync::Arc};

/// The most dots of a host that are tried against wildcards; a DNS name has at most 127 labels (RFC 1035 §3.1).
const LABELS_MAX: usize = 127;

/// Exact names and wildcard suffixes, each to the index of its site.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    exact: HashMap<String, usize, RandomState>,
    /// `.shop.example` for `*.shop.example`.
    under: HashMap<String, usize, RandomState>,
    any: Option<usize>,
}

impl Hosts {
    pub(super) fn new(sites: &[Arc<Site>]) -> Self {
        let mut hosts = Self::default();
        for (index, site) in sites.iter().enumerate() {
            for pattern in &site.hosts {
                match pattern {
                    HostPattern::Exact(name) => {
                        hosts.exact.entry(name.clone()).or_insert(index);
                    }
                    HostPattern::Under(suffix) => {
                        hosts.under.entry(suffix.clone()).or_insert(index);
                    }
                    HostPattern::Any => {
                        hosts.any.get_or_insert(index);
                    }
                }
            }
        }
        hosts
    }

    pub(super) fn find(&self, host: &str) -> Option<usize> {
        self.exact
            .get(host)
            .or_else(|| self.find_under(host))
            .copied()
            .or(self.any)
    }

    /// From the first dot on, suffixes become shorter: the first that is known is the longest wildcard. At least one
    /// octet must stand before the dot.
    fn find_under(&self, host: &str) -> Option<&usize> {
        if self.under.is_empty() {
            return None;
        }
        host.match_indices('.')
            .filter(|(at, _)| *at > 0)
            .take(LABELS_MAX)
            .find_map(|(at, _)| self.under.get(host.get(at..)?))
    }
}
