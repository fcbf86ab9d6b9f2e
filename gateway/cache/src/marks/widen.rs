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
use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

/// Paths are widened while they make up this share of the marks at least; then the tags are: 1 / this.
const PATHS_SHARE: usize = 4;

/// The wider marks that some marks become.
struct Wider {
    site: Option<Mark>,
    folders: Table,
}

impl Wider {
    /// What marks of that folder become; none: they stay.
    fn of(&mut self, folder: Option<&str>) -> Option<&mut Mark> {
        match folder {
            Some(folder) => self.folders.get_mut(folder),
            None => self.site.as_mut(),
        }
    }
}

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
            let mut wider = self.choose(goal);
            if wider.site.is_some() && self.urls.len() + self.prefixes.len() <= most {
                break;
            }
            self.retain(|kind, name, mark| {
                let folder = (kind != Kind::Tag).then(|| wider.of(folder_of(kind, name)));
                !folder.flatten().is_some_and(|folder| folder.take(mark))
            });
            for (folder, mark) in wider.folders {
                self.absorb_prefix(&folder, mark);
            }
            self.site.absorb(wider.site.unwrap_or_default());
        }
    }

    /// The folders whose marks become one each: the fullest, as many as it takes. When no folder has two marks, all go
    /// one up, and to the site when nothing lies below another folder.
    fn choose(&self, goal: usize) -> Wider {
        let mut count: HashMap<Option<&str>, usize, ahash::RandomState> = HashMap::default();
        let urls = self.urls.keys().map(|name| folder_of(Kind::Url, name));
        let prefixes = self.prefixes.keys();
        for folder in urls.chain(prefixes.map(|name| folder_of(Kind::Prefix, name))) {
            *count.entry(folder).or_default() += 1;
        }
        let mut folders: Vec<_> = count
            .into_iter()
            .filter_map(|(folder, marks)| Some((Reverse(marks), folder?)))
            .collect();
        folders.sort_unstable();
        let mut left = self.urls.len() + self.prefixes.len();
        let worth_it = folders.iter().take_while(|(Reverse(marks), _)| {
            let is_worth_it = left > goal && *marks > 1;
            left -= if is_worth_it { marks - 1 } else { 0 };
            is_worth_it
        });
        let chosen = match worth_it.count() {
            0 => folders.len(),
            some => some,
        };
        let marks = |(_, folder): &(_, &str)| (Box::from(*folder), Mark::default());
        Wider {
            site: folders.is_empty().then(Mark::default),
            folders: folders.iter().take(chosen).map(marks).collect(),
        }
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
