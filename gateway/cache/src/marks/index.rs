//! All marks, found by what an object is: its path, prefixes of it, its tags, its site. A look-up costs one hash per
//! URL and tag, and one per path segment that some prefix mark reaches; it does not grow with the number of marks.

use super::{
    bounds::{MarkBounds, PREFIX_SEGMENTS_MAX},
    mark::{Mark, Order},
};
use crate::{
    identity::Identity,
    liveness::{Death, Liveness},
    stamp::{Newest, Stamp},
};
use latencify_conf::{
    change::{Mode, SiteId, Target},
    path,
};
use std::{collections::HashMap, time::SystemTime};

/// What a mark costs beside its name.
const MARK_OVERHEAD_BYTES: usize = 128;

type Table<K> = HashMap<K, Mark, ahash::RandomState>;

#[derive(Debug)]
pub(super) struct Index {
    bounds: MarkBounds,
    all: Mark,
    sites: HashMap<SiteId, SiteMarks, ahash::RandomState>,
    /// Of all sites.
    bytes: usize,
    /// How often too many marks became one wider mark.
    widened: u64,
}

#[derive(Debug, Default)]
struct SiteMarks {
    site: Mark,
    /// The newest of all tag marks: on a miss, the tags of what will come are unknown.
    any_tag: Mark,
    urls: Table<Box<str>>,
    prefixes: Table<Box<str>>,
    tags: Table<Box<str>>,
    /// The most segments that a prefix with a mark has.
    prefix_depth: usize,
    /// Of the marks on URLs, prefixes and tags.
    bytes: usize,
}

impl Index {
    pub(super) fn new(bounds: MarkBounds) -> Self {
        Self {
            bounds,
            all: Mark::default(),
            sites: HashMap::default(),
            bytes: 0,
            widened: 0,
        }
    }

    /// Adds a purge of one target.
    pub(super) fn add(&mut self, target: &Target, order: Order, mode: Mode, at: SystemTime) {
        let Some(site) = site_of(target) else {
            return self.all.add(order, mode, at);
        };
        if !self.sites.contains_key(&site) && self.sites.len() >= self.bounds.sites {
            self.widen_sites();
        }
        let marks = self.sites.entry(site).or_default();
        let bytes_before = marks.bytes;
        marks.add(target, order, mode, at);
        if marks.len() > self.bounds.marks_per_site || marks.bytes > self.bounds.bytes_per_site {
            marks.widen();
            self.widened += 1;
        }
        self.bytes = self.bytes - bytes_before + marks.bytes;
        while self.bytes > self.bounds.bytes {
            self.widen_largest_site();
        }
    }

    /// Forgets all marks; right only when nothing older than now is live.
    pub(super) fn clear(&mut self) {
        self.all = Mark::default();
        self.sites.clear();
        self.bytes = 0;
    }

    /// What the marks say of an object.
    pub(super) fn check(&self, identity: &Identity, stamp: &Stamp) -> Liveness {
        let mut since: Option<SystemTime> = None;
        for (mark, death) in self.matching(identity) {
            if mark.kills(stamp) {
                return Liveness::Dead(death);
            }
            since = since.into_iter().chain(mark.stale_since(stamp)).min();
        }
        since.map_or(Liveness::Live, |since| Liveness::SoftPurged { since })
    }

    /// The newest mark that could match an object of that path, whatever tags it will have.
    pub(super) fn newest(&self, site: SiteId, path: &str) -> Newest {
        let mut newest = Newest::default();
        self.all.raise(&mut newest);
        if let Some(marks) = self.sites.get(&site) {
            marks.site.raise(&mut newest);
            marks.any_tag.raise(&mut newest);
            for (mark, _) in marks.on_path(path) {
                mark.raise(&mut newest);
            }
        }
        newest
    }

    pub(super) fn len(&self) -> usize {
        self.sites
            .values()
            .map(|marks| marks.len() + 1)
            .sum::<usize>()
            + 1
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn widened(&self) -> u64 {
        self.widened
    }

    fn matching<'a>(&'a self, identity: &'a Identity) -> impl Iterator<Item = (&'a Mark, Death)> {
        let of_site = self
            .sites
            .get(&identity.site)
            .into_iter()
            .flat_map(|marks| {
                let of_tags = identity.tags.iter().filter_map(|tag| marks.tags.get(tag));
                std::iter::once((&marks.site, Death::PurgedSite))
                    .chain(marks.on_path(&identity.path))
                    .chain(of_tags.map(|mark| (mark, Death::PurgedTag)))
            });
        std::iter::once((&self.all, Death::PurgedAll)).chain(of_site)
    }

    fn widen_sites(&mut self) {
        for (_, mut marks) in self.sites.drain() {
            marks.widen();
            self.all.absorb(marks.site);
        }
        self.bytes = 0;
        self.widened += 1;
    }

    fn widen_largest_site(&mut self) {
        let largest = self.sites.values_mut().max_by_key(|marks| marks.bytes);
        let freed = largest.map_or(self.bytes, SiteMarks::widen);
        self.bytes = self.bytes.saturating_sub(freed);
        self.widened += 1;
    }
}

impl SiteMarks {
    fn add(&mut self, target: &Target, order: Order, mode: Mode, at: SystemTime) {
        let mark = match target {
            Target::Url { path, .. } => {
                entry(&mut self.urls, &path::normalise(path), &mut self.bytes)
            }
            Target::Tag { tag, .. } => {
                self.any_tag.add(order, mode, at);
                entry(&mut self.tags, tag, &mut self.bytes)
            }
            Target::Prefix { path, .. } => {
                let normal = path::normalise(path);
                // The last prefix of a prefix is the prefix itself, without its trailing slash.
                let (depth, prefix) = path::segment_prefixes(&normal)
                    .take(PREFIX_SEGMENTS_MAX + 1)
                    .enumerate()
                    .last()
                    .unwrap_or((0, ""));
                self.prefix_depth = self.prefix_depth.max(depth);
                entry(&mut self.prefixes, prefix, &mut self.bytes)
            }
            Target::Site { .. } | Target::All => &mut self.site,
        };
        mark.add(order, mode, at);
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

    fn len(&self) -> usize {
        self.urls.len() + self.prefixes.len() + self.tags.len()
    }

    /// The one place where marks are given up for a wider one: too much may go, never too little. Returns
    /// the bytes that it freed.
    fn widen(&mut self) -> usize {
        let urls = std::mem::take(&mut self.urls);
        let prefixes = std::mem::take(&mut self.prefixes);
        let tags = std::mem::take(&mut self.tags);
        for mark in urls
            .into_values()
            .chain(prefixes.into_values())
            .chain(tags.into_values())
        {
            self.site.absorb(mark);
        }
        self.prefix_depth = 0;
        std::mem::take(&mut self.bytes)
    }
}

fn site_of(target: &Target) -> Option<SiteId> {
    match target {
        Target::Url { site, .. }
        | Target::Prefix { site, .. }
        | Target::Tag { site, .. }
        | Target::Site { site } => Some(*site),
        Target::All => None,
    }
}

fn entry<'a>(table: &'a mut Table<Box<str>>, name: &str, bytes: &mut usize) -> &'a mut Mark {
    if !table.contains_key(name) {
        *bytes += name.len() + MARK_OVERHEAD_BYTES;
        table.insert(name.into(), Mark::default());
    }
    table.entry(name.into()).or_default()
}
