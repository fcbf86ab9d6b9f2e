//! Which id a site has.

use crate::change::SiteId;
use crate::digest::Digest;
use std::collections::BTreeMap;

/// The ids of sites by name: what the fold of the change log gave out, or, for a policy that stands alone, ids made
/// from the names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteIds(Source);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    FromNames,
    Given(BTreeMap<String, SiteId>),
}

impl SiteIds {
    /// For a policy without a change log: the first 8 bytes of SHA-256 of the name, so that a restart finds the same ids.
    pub fn standalone() -> Self {
        Self(Source::FromNames)
    }

    /// The ids that the fold gave out. A policy with a site that has none is refused.
    pub fn from_map(ids: BTreeMap<String, SiteId>) -> Self {
        Self(Source::Given(ids))
    }

    /// The id of the site of that name.
    pub fn get(&self, name: &str) -> Option<SiteId> {
        match &self.0 {
            Source::FromNames => {
                let start = Digest::of_text(name).0.into_iter().take(8);
                Some(SiteId(start.fold(0, |id, byte| id << 8 | u64::from(byte))))
            }
            Source::Given(ids) => ids.get(name).copied(),
        }
    }
}
