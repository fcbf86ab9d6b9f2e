//! Too many marks of a site become wider ones, step by step: URLs and prefixes to the folders that hold most of them, then
//! to the folders above, at last to the site; tags, which lie in no folder, to the site at once.
//!
//! Too much may go, never too little: whatever a mark killed, the wider one kills, and what it made stale is stale no later.
//! The choice depends on the marks alone, so that it can be retraced: the fullest folder first, of equally full ones the
//! first by name.

use super::{
    bounds::PREFIX_SEGMENTS_MAX,
    mark::Mark,
    site::{Kind, SiteMarks, Table, deepest_prefix},
};
use latencify_conf::path;
use std::collections::{HashMap, HashSet};

/// Paths are widened while they make up this share of the marks at least; then the tags are: 1 / this.
const PATHS_SHARE: usize = 4;

impl SiteMarks {
    /// Widens some of its marks: half of its URLs and prefixes are left, three quarters at most; or none of its tags.
    pub(super) fn widen(&mut self) {
        let (paths, tags) = (self.urls.len() + self.prefixes.len(), self.tags.len());
        if paths * PATHS_SHARE >= paths + tags {
            self.widen_paths(paths / 2, paths * 3 / 4);
        } else {
            self.widen_tags();
        }
        self.drop_covered();
    }

    /// All of its marks become one on the site.
    pub(super) fn widen_all(&mut self) {
        let mut site = Mark::default();
        self.retain(|_, _, mark| !site.take(mark));
        self.site.absorb(site);
    }

    fn widen_tags(&mut self) {
        let mut site = Mark::default();
        self.retain(|kind, _, mark| kind != Kind::Tag || !site.take(mark));
        self.site.absorb(site);
    }

    /// Until so many marks on URLs and prefixes are left, if folders can do it; the site takes them only when more than
    /// `most` would be left.
    fn widen_paths(&mut self, goal: usize, most: usize) {
        while self.urls.len() + self.prefixes.len() > goal {
            let folders = self.folders_to_widen(goal);
            if folders.contains(&None) && self.urls.len() + self.prefixes.len() <= most {
                break;
            }
            let mut widened: HashMap<Option<Box<str>>, Mark> = HashMap::new();
            self.retain(|kind, name, mark| {
                let folder = folder_of(kind, name);
                let goes = kind != Kind::Tag && folders.contains(&folder.map(Box::from));
                if goes {
                    widened.entry(folder.map(Box::from)).or_default().take(mark);
                }
                !goes
            });
            for (folder, mark) in widened {
                match folder {
                    Some(folder) => self.absorb_prefix(&folder, mark),
                    None => self.site.absorb(mark),
                }
            }
        }
    }

    /// The folders whose marks become one each: the fullest, as many as it takes. When no folder has two marks, all go one up, and to the
    /// site when nothing lies below another folder.
    fn folders_to_widen(&self, goal: usize) -> HashSet<Option<Box<str>>> {
        let mut count: HashMap<Option<&str>, usize> = HashMap::new();
        let urls = self.urls.keys().map(|name| folder_of(Kind::Url, name));
        let prefixes = self
            .prefixes
            .keys()
            .map(|name| folder_of(Kind::Prefix, name));
        for folder in urls.chain(prefixes) {
            *count.entry(folder).or_default() += 1;
        }
        let mut folders: Vec<_> = count.into_iter().collect();
        // The site itself comes last, however full.
        folders.sort_unstable_by_key(|&(folder, marks)| {
            (folder.is_none(), std::cmp::Reverse(marks), folder)
        });
        let mut left = self.urls.len() + self.prefixes.len();
        let mut chosen = HashSet::new();
        for (folder, marks) in &folders {
            if left <= goal || *marks < 2 || folder.is_none() {
                break;
            }
            left -= marks - 1;
            chosen.insert(folder.map(Box::from));
        }
        if chosen.is_empty() {
            let above_all = folders.iter().all(|(folder, _)| folder.is_none());
            let all = folders.into_iter().map(|(folder, _)| folder);
            chosen = all
                .filter(|folder| above_all || folder.is_some())
                .map(|folder| folder.map(Box::from))
                .collect();
        }
        chosen
    }

    /// Drops marks that say nothing that a wider one does not say.
    fn drop_covered(&mut self) {
        let is_covered = |kind: Kind, name: &str, mark: &Mark| {
            self.site.covers(mark)
                || kind != Kind::Tag
                    && path::segment_prefixes(name)
                        .take(PREFIX_SEGMENTS_MAX + 1)
                        .filter(|prefix| kind != Kind::Prefix || *prefix != name)
                        .filter_map(|prefix| self.prefixes.get(prefix))
                        .any(|wider| wider.covers(mark))
        };
        let of = |kind, table: &Table| {
            let covered = table
                .iter()
                .filter(|(name, mark)| is_covered(kind, name, mark));
            covered
                .map(|(name, _)| name.clone())
                .collect::<HashSet<_>>()
        };
        let urls = of(Kind::Url, &self.urls);
        let prefixes = of(Kind::Prefix, &self.prefixes);
        let tags = of(Kind::Tag, &self.tags);
        self.retain(|kind, name, _| match kind {
            Kind::Url => !urls.contains(name),
            Kind::Prefix => !prefixes.contains(name),
            Kind::Tag => !tags.contains(name),
        });
    }
}

/// The prefix that a mark on a URL or a prefix is widened to; none: the site.
fn folder_of(kind: Kind, name: &str) -> Option<&str> {
    let whole = deepest_prefix(name);
    let folder = if kind == Kind::Url && whole.len() < name.len() {
        // A URL with a trailing slash, or too deep for a prefix of its own: that prefix holds it.
        whole
    } else {
        name.rsplit_once('/')?.0
    };
    (!folder.is_empty()).then_some(folder)
}
