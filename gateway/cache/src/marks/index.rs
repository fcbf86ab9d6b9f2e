//! All marks, found by what an object is: its path, prefixes of it, its tags, its site. A look-up costs one hash per
//! URL and tag, and one per path segment that some prefix mark reaches; it does not grow with the number of marks.

use super::{
    bounds::MarkBounds,
    mark::{Mark, Order},
    site::SiteMarks,
};
use crate::{
    identity::Identified,
    liveness::{Death, Liveness},
    stamp::{Floor, Newest, Stamp},
};
use latencify_conf::change::{Mode, SiteId, Target};
use std::{collections::HashMap, time::SystemTime};

#[derive(Debug)]
pub(super) struct Index {
    bounds: MarkBounds,
    all: Mark,
    sites: HashMap<SiteId, SiteMarks, ahash::RandomState>,
    /// Of all sites.
    bytes: usize,
    /// How often too many marks became fewer and wider ones.
    widened: u64,
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
        match site_of(target) {
            Some(site) => self.on_site(site, |marks| marks.add(target, order, mode, at)),
            None => self.all.add(order, mode, at),
        }
    }

    /// Puts back a mark that [`entries`](Self::entries) gave. What it names is taken literally.
    pub(super) fn restore(&mut self, target: &Target, mark: Mark) {
        let Some(site) = site_of(target) else {
            return self.all.absorb(mark);
        };
        self.on_site(site, |marks| match target {
            Target::Url { path, .. } => marks.absorb_url(path, mark),
            Target::Prefix { path, .. } => marks.absorb_prefix(path, mark),
            Target::Tag { tag, .. } => marks.absorb_tag(tag, mark),
            Target::Site { .. } | Target::All => marks.site.absorb(mark),
        });
    }

    /// All marks, by what they name.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Target, Mark)> {
        let of_sites = self
            .sites
            .iter()
            .flat_map(|(site, marks)| marks.entries(*site));
        std::iter::once((Target::All, self.all.clone()))
            .chain(of_sites)
            .filter(|(_, mark)| *mark != Mark::default())
    }

    /// Forgets all marks; right only when nothing older than now is live.
    pub(super) fn clear(&mut self) {
        self.all = Mark::default();
        self.sites.clear();
        self.bytes = 0;
    }

    /// Sites that have marks.
    pub(super) fn sites(&self) -> Vec<SiteId> {
        self.sites.keys().copied().collect()
    }

    /// Forgets what marks of everything say of stamps below a floor, which nothing asks any more.
    pub(super) fn forget_all(&mut self, floor: Floor) {
        self.all.forget(floor);
    }

    /// Forgets what marks of a site say of stamps below a floor, which nothing asks any more. Returns how many marks
    /// were looked at and how many went.
    pub(super) fn forget_site(&mut self, site: SiteId, floor: Floor) -> (usize, usize) {
        let Some(marks) = self.sites.get_mut(&site) else {
            return (1, 0);
        };
        let (looked_at, bytes) = (marks.len() + 1, marks.bytes);
        let mut forgotten = marks.forget(floor);
        self.bytes -= bytes - marks.bytes;
        if marks.is_empty() {
            self.sites.remove(&site);
            forgotten += 1;
        }
        (looked_at, forgotten)
    }

    /// Whether there is no mark at all.
    pub(super) fn is_empty(&self) -> bool {
        self.sites.is_empty() && self.all == Mark::default()
    }

    /// What the marks say of an object.
    pub(super) fn check(&self, identity: &impl Identified, stamp: &Stamp) -> Liveness {
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
            marks.raise(path, &mut newest);
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

    fn matching<'a>(
        &'a self,
        identity: &'a impl Identified,
    ) -> impl Iterator<Item = (&'a Mark, Death)> {
        let marks = self.sites.get(&identity.site());
        let of_site = marks.into_iter().flat_map(|marks| marks.matching(identity));
        std::iter::once((&self.all, Death::PurgedAll)).chain(of_site)
    }

    /// Changes the marks of a site, and widens until all bounds hold again.
    fn on_site(&mut self, site: SiteId, change: impl FnOnce(&mut SiteMarks)) {
        if !self.sites.contains_key(&site) && self.sites.len() >= self.bounds.sites {
            self.widen_to_all();
        }
        let marks = self.sites.entry(site).or_default();
        let bytes = marks.bytes;
        change(marks);
        while marks.len() > self.bounds.marks_per_site || marks.bytes > self.bounds.bytes_per_site {
            marks.widen();
            self.widened += 1;
        }
        self.bytes = self.bytes - bytes + marks.bytes;
        while self.bytes > self.bounds.bytes {
            self.widen_largest();
        }
    }

    fn widen_to_all(&mut self) {
        for (_, mut marks) in self.sites.drain() {
            marks.widen_all();
            self.all.absorb(marks.site);
        }
        self.bytes = 0;
        self.widened += 1;
    }

    fn widen_largest(&mut self) {
        let largest = self
            .sites
            .iter_mut()
            .max_by_key(|(site, marks)| (marks.bytes, **site));
        if let Some((_, marks)) = largest {
            let bytes = marks.bytes;
            marks.widen();
            self.bytes -= bytes - marks.bytes;
        }
        self.widened += 1;
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
