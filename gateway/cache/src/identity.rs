//! What marks name of a stored object, beside and independent of its cache key.

use latencify_conf::change::SiteId;
use std::sync::Arc;

/// The most tags of one object.
pub const TAGS_MAX: usize = 128;

/// Site, path and tags: what a purge can name of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The site.
    pub site: SiteId,
    /// The [normal form](latencify_conf::path::normalise) of the client's path, before any rewrite, without a query.
    pub path: Arc<str>,
    /// Surrogate keys, as the origin spelt them.
    pub tags: Arc<[Box<str>]>,
}

impl Identity {
    /// An object without tags.
    pub fn untagged(site: SiteId, path: impl Into<Arc<str>>) -> Self {
        Self {
            site,
            path: path.into(),
            tags: Arc::default(),
        }
    }

    /// Bytes that it holds on the heap.
    pub fn bytes(&self) -> u64 {
        let tags: usize = self
            .tags
            .iter()
            .map(|tag| tag.len() + size_of::<Box<str>>())
            .sum();
        (self.path.len() + tags) as u64
    }
}

/// What purges can name of something, however it is kept.
pub trait Identified {
    /// The site.
    fn site(&self) -> SiteId;
    /// The normal path.
    fn path(&self) -> &str;
    /// Surrogate keys.
    fn tags(&self) -> impl Iterator<Item = &str>;
}

impl Identified for Identity {
    fn site(&self) -> SiteId {
        self.site
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().map(AsRef::as_ref)
    }
}
