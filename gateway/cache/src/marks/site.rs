//! The marks of one site, found by what an object is: its path, prefixes of it, its tags.

use super::{
    bounds::PREFIX_SEGMENTS_MAX,
    mark::{Mark, Order},
};
use crate::{
    identity::Identified,
    liveness::Death,
    stamp::{Floor, Newest},
};
use latencify_conf::{
    change::{Mode, SiteId, Target},
    path,
};
use std::{collections::HashMap, time::SystemTime};

/// What a mark costs beside its name.
pub(super) const MARK_OVERHEAD_BYTES: usize = 128;

pub(super) type Table = HashMap<Box<str>, Mark, ahash::RandomState>;

/// What a mark of a site names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Url,
    Prefix,
    Tag,
}

#[derive(Debug, Clone, Default)]
pub(super) struct SiteMarks {
    pub(super) site: Mark,
    /// The newest of all tag marks: on a miss, the tags of what will come are unknown.
    any_tag: Newest,
    pub(super) urls: Table,
    pub(super) prefixes: Table,
    pub(super) tags: Table,
    /// The most segments that a prefix with a mark has.
    prefix_depth: usize,
    /// Of the marks on URLs, prefixes and tags.
    pub(super) bytes: usize,
}

impl SiteMarks {
    pub(super) fn add(&mut self, target: &Target, order: Order, mode: Mode, at: SystemTime) {
        let mut mark = Mark::default();
        mark.add(order, mode, at);
        match target {
            Target::Url { path, .. } => self.absorb_url(&path::normalise(path), mark),
            Target::Tag { tag, .. } => self.absorb_tag(tag, mark),
            Target::Prefix { path, .. } => {
                self.absorb_prefix(deepest_prefix(&path::normalise(path)), mark);
            }
            Target::Site { .. } | Target::All => self.site.absorb(mark),
        }
    }

    pub(super) fn absorb_url(&mut self, path: &str, mark: Mark) {
        entry(&mut self.urls, path, &mut self.bytes).absorb(mark);
    }

    pub(super) fn absorb_tag(&mut self, tag: &str, mark: Mark) {
        mark.raise(&mut self.any_tag);
        entry(&mut self.tags, tag, &mut self.bytes).absorb(mark);
    }

    pub(super) fn absorb_prefix(&mut self, prefix: &str, mark: Mark) {
        self.prefix_depth = self.prefix_depth.max(depth_of(prefix));
        entry(&mut self.prefixes, prefix, &mut self.bytes).absorb(mark);
    }

    /// All marks that match an object of this site, and what it would die of.
    pub(super) fn matching<'a>(
        &'a self,
        identity: &'a impl Identified,
    ) -> impl Iterator<Item = (&'a Mark, Death)> {
        let of_tags = identity.tags().filter_map(|tag| self.tags.get(tag));
        std::iter::once((&self.site, Death::PurgedSite))
            .chain(self.on_path(identity.path()))
            .chain(of_tags.map(|mark| (mark, Death::PurgedTag)))
    }

    /// Raises `newest` to the newest mark that could match an object of that path.
    pub(super) fn raise(&self, path: &str, newest: &mut Newest) {
        self.site.raise(newest);
        newest.epoch = newest.epoch.max(self.any_tag.epoch);
        newest.local = newest.local.max(self.any_tag.local);
        for (mark, _) in self.on_path(path) {
            mark.raise(newest);
        }
    }

    /// Marks on URLs, prefixes and tags.
    pub(super) fn len(&self) -> usize {
        self.urls.len() + self.prefixes.len() + self.tags.len()
    }

    /// Whether it says nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0 && self.site == Mark::default()
    }

    /// Forgets what says nothing of stamps at or above a floor. Returns how many marks went.
    pub(super) fn forget(&mut self, floor: Floor) -> usize {
        self.site.forget(floor);
        self.retain(|_, _, mark| !mark.forget(floor))
    }

    /// Keeps the marks on URLs, prefixes and tags of which that is true. Returns how many went.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(Kind, &str, &mut Mark) -> bool) -> usize {
        let before = self.len();
        let Self {
            urls,
            prefixes,
            tags,
            bytes,
            ..
        } = self;
        for (kind, table) in [
            (Kind::Url, urls),
            (Kind::Prefix, prefixes),
            (Kind::Tag, tags),
        ] {
            table.retain(|name, mark| {
                let stays = stays(kind, name, mark);
                *bytes -= if stays { 0 } else { cost(name) };
                stays
            });
            if table.len() < table.capacity() / 4 {
                table.shrink_to_fit();
            }
        }
        self.measure_prefixes();
        before - self.len()
    }

    /// After prefixes went: how deep the deepest is.
    fn measure_prefixes(&mut self) {
        self.prefix_depth = self
            .prefixes
            .keys()
            .map(|prefix| depth_of(prefix))
            .max()
            .unwrap_or(0);
    }

    /// All of its marks, by what they name.
    pub(super) fn entries(&self, site: SiteId) -> impl Iterator<Item = (Target, Mark)> {
        let text = |name: &str| name.to_owned();
        let of_site = std::iter::once((Target::Site { site }, self.site.clone()));
        let urls = self.urls.iter().map(move |(name, mark)| {
            (
                Target::Url {
                    site,
                    path: text(name),
                },
                mark.clone(),
            )
        });
        let prefixes = self.prefixes.iter().map(move |(name, mark)| {
            (
                Target::Prefix {
                    site,
                    path: text(name),
                },
                mark.clone(),
            )
        });
        let tags = self.tags.iter().map(move |(name, mark)| {
            (
                Target::Tag {
                    site,
                    tag: text(name),
                },
                mark.clone(),
            )
        });
        of_site.chain(urls).chain(prefixes).chain(tags)
    }

    fn on_path<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (&'a Mark, Death)> {
        let of_url = self.urls.get(path).map(|mark| (mark, Death::PurgedUrl));
        let depth = if self.prefixes.is_empty() {
            0
        } else {
            self.prefix_depth + 1
        };
        let of_prefixes = path::segment_prefixes(path)
            .take(depth)
            .filter_map(|prefix| self.prefixes.get(prefix));
        of_url
            .into_iter()
            .chain(of_prefixes.map(|mark| (mark, Death::PurgedPrefix)))
    }
}

/// What a mark of that name counts.
pub(super) fn cost(name: &str) -> usize {
    name.len() + MARK_OVERHEAD_BYTES
}

/// The deepest prefix that may have a mark, of a normal path: the path itself without its trailing slash, unless it is too
/// deep.
pub(super) fn deepest_prefix(path: &str) -> &str {
    path::segment_prefixes(path)
        .take(PREFIX_SEGMENTS_MAX + 1)
        .last()
        .unwrap_or("")
}

/// In segments: that of `/a` is 1.
fn depth_of(prefix: &str) -> usize {
    prefix.matches('/').count()
}

fn entry<'a>(table: &'a mut Table, name: &str, bytes: &mut usize) -> &'a mut Mark {
    if !table.contains_key(name) {
        *bytes += cost(name);
        table.insert(name.into(), Mark::default());
    }
    table.entry(name.into()).or_default()
}
