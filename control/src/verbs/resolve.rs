//! From what users name (URLs, site names) to what the log names (site ids and normal paths). Pure.
//!
//! A name is looked up in every policy that some edge may be running: the same host may belong to another site there,
//! and its objects must go too. A URL's path is taken as written *and* as browsers would send it, where the two differ:
//! too much may go, never too little.

use super::purges::NAMED_BYTES_MAX;
use latencify_conf::{
    api::PurgeTarget,
    change::{PURGE_TARGETS_MAX, SiteId, TAG_BYTES_MAX, Target},
    path,
    policy::{HostPattern, Policy, Site},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use url::Url;

/// A target that can't be resolved; the index counts from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("targets[{index}]: {why}")]
pub struct Unresolved {
    /// Which target.
    pub index: usize,
    /// What is wrong with it.
    pub why: Why,
}

/// Why a target can't be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Not an absolute URL.
    #[error("{0:?} is not a URL like https://shop.example/a")]
    NotAUrl(String),
    /// No site answers for the host.
    #[error("no site answers for the host {host:?}{}", hint(.nearest.as_deref()))]
    UnknownHost {
        /// As written.
        host: String,
        /// The nearest host that a site answers for.
        nearest: Option<String>,
    },
    /// No site has the name.
    #[error("there is no site {site:?}{}", hint(.nearest.as_deref()))]
    UnknownSite {
        /// As written.
        site: String,
        /// The nearest name.
        nearest: Option<String>,
    },
    /// There is no site at all.
    #[error("there is no policy yet, so there is nothing to purge")]
    NoPolicy,
    /// A URL that is too long.
    #[error("it must be 1 to {NAMED_BYTES_MAX} bytes long")]
    Length,
    /// A tag that no object can carry.
    #[error("a tag is 1 to {TAG_BYTES_MAX} bytes long: edges store no other")]
    TagLength,
    /// `{"all": false}`.
    #[error("all must be true: leave the target out to purge less")]
    NotAll,
    /// More than one entry holds.
    #[error(
        "the names before and up to it stand for more than {PURGE_TARGETS_MAX} targets: name a site, or purge all"
    )]
    TooMany,
}

impl Why {
    /// Its stable name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotAUrl(_) => "not_a_url",
            Self::UnknownHost { .. } => "unknown_host",
            Self::UnknownSite { .. } => "unknown_site",
            Self::NoPolicy => "no_policy",
            Self::Length | Self::TagLength => "bad_length",
            Self::NotAll => "not_all",
            Self::TooMany => "too_many",
        }
    }
}

/// The targets by site id, sorted, each once.
pub fn resolve(targets: &[PurgeTarget], names: &InUse) -> Result<Vec<Target>, Unresolved> {
    let mut resolved = BTreeSet::new();
    for (index, target) in targets.iter().enumerate() {
        let failed = |why| Unresolved { index, why };
        resolved.extend(names.resolve(target).map_err(failed)?);
        if resolved.len() > PURGE_TARGETS_MAX {
            return Err(failed(Why::TooMany));
        }
    }
    Ok(resolved.into_iter().collect())
}

/// The name that is most like one that is not known, if any is like it.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

/// The names of every policy in use.
#[derive(Debug, Clone, Default)]
pub struct InUse {
    /// The newest first.
    pub policies: Vec<Arc<Policy>>,
    /// The sites of older revisions that can't be read. What hosts they have is not known, so every URL is theirs.
    pub unread: Vec<BTreeMap<String, SiteId>>,
}

impl InUse {
    fn resolve(&self, target: &PurgeTarget) -> Result<Vec<Target>, Why> {
        match target {
            PurgeTarget::Url(url) => self.located(url, |site, path| Target::Url { site, path }),
            PurgeTarget::Prefix(url) => {
                self.located(url, |site, path| Target::Prefix { site, path })
            }
            PurgeTarget::Tag { tag, .. } if tag.is_empty() || tag.len() > TAG_BYTES_MAX => {
                Err(Why::TagLength)
            }
            PurgeTarget::Tag { tag, site: None } => {
                let known = self.sites().map(|site| site.id);
                let sites: BTreeSet<_> = known.chain(self.unread_ids()).collect();
                let tags = sites.into_iter().map(|site| Target::Tag {
                    site,
                    tag: tag.clone(),
                });
                Some(tags.collect())
                    .filter(|tags: &Vec<_>| !tags.is_empty())
                    .ok_or(Why::NoPolicy)
            }
            PurgeTarget::Tag {
                tag,
                site: Some(name),
            } => Ok(self
                .named(name)?
                .into_iter()
                .map(|site| Target::Tag {
                    site,
                    tag: tag.clone(),
                })
                .collect()),
            PurgeTarget::Site(name) => Ok(self
                .named(name)?
                .into_iter()
                .map(|site| Target::Site { site })
                .collect()),
            PurgeTarget::All(true) => Ok(vec![Target::All]),
            PurgeTarget::All(false) => Err(Why::NotAll),
        }
    }

    fn sites(&self) -> impl Iterator<Item = &Site> {
        self.policies
            .iter()
            .flat_map(|policy| policy.sites.iter().map(AsRef::as_ref))
    }

    /// The name of a site, as a policy in use has it.
    pub fn name_of(&self, id: SiteId) -> Option<&str> {
        let of_policy = self.sites().find(|site| site.id == id);
        let of_policy = of_policy.map(|site| &*site.name);
        of_policy.or_else(|| {
            self.unread
                .iter()
                .flatten()
                .find(|(_, known)| **known == id)
                .map(|(name, _)| name.as_str())
        })
    }

    fn unread_ids(&self) -> impl Iterator<Item = SiteId> {
        self.unread.iter().flat_map(|sites| sites.values().copied())
    }

    fn named(&self, name: &str) -> Result<BTreeSet<SiteId>, Why> {
        let known = self
            .sites()
            .filter(|site| *site.name == *name)
            .map(|site| site.id);
        let unread = self
            .unread
            .iter()
            .filter_map(|sites| sites.get(name).copied());
        let ids: BTreeSet<_> = known.chain(unread).collect();
        if !ids.is_empty() {
            return Ok(ids);
        }
        let nearest = nearest(name, self.sites().map(|site| &*site.name));
        Err(if self.policies.is_empty() {
            Why::NoPolicy
        } else {
            Why::UnknownSite {
                site: name.to_owned(),
                nearest,
            }
        })
    }

    fn located(
        &self,
        url: &str,
        target: impl Fn(SiteId, String) -> Target,
    ) -> Result<Vec<Target>, Why> {
        if url.len() > NAMED_BYTES_MAX {
            return Err(Why::Length);
        }
        let (host, paths) = read_url(url).ok_or_else(|| Why::NotAUrl(url.to_owned()))?;
        let sites = self.answering(&host)?;
        Ok(sites
            .iter()
            .flat_map(|site| paths.iter().map(|path| target(*site, path.clone())))
            .collect())
    }

    /// The sites that a host may mean.
    pub fn of_host(&self, host: &str) -> BTreeSet<SiteId> {
        self.policies
            .iter()
            .filter_map(|policy| policy.site_for_host(host))
            .map(|site| site.id)
            .chain(self.unread_ids())
            .collect()
    }

    fn answering(&self, host: &str) -> Result<BTreeSet<SiteId>, Why> {
        let ids = self.of_host(host);
        if !ids.is_empty() {
            return Ok(ids);
        }
        if self.policies.is_empty() {
            return Err(Why::NoPolicy);
        }
        let known: BTreeSet<String> = self
            .sites()
            .flat_map(|site| &site.hosts)
            .filter_map(|pattern| match pattern {
                HostPattern::Exact(name) => Some(name.clone()),
                HostPattern::Under(suffix) => Some(format!("*{suffix}")),
                HostPattern::Any => None,
            })
            .collect();
        Err(Why::UnknownHost {
            host: host.to_owned(),
            nearest: nearest(host, known.iter().map(String::as_str)),
        })
    }
}

/// The host as policies write it, and the normal forms of the path as written and as browsers would send it.
fn read_url(text: &str) -> Option<(String, BTreeSet<String>)> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))?;
    // An IPv6 address stays in its brackets: policies and edges write it so.
    let host = url.host_str()?.trim_end_matches('.').to_owned();
    let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    let written = after_scheme
        .find(['/', '?', '#'])
        .and_then(|at| after_scheme.get(at..))
        .unwrap_or("/");
    let written = written.split(['?', '#']).next().unwrap_or("/");
    let forms = [written, url.path()].map(|path| path::normalise(path).into_owned());
    Some((host, forms.into_iter().collect()))
}

#[cfg(test)]
mod tests;
