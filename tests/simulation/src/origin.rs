//! The origin: objects whose versions only grow. Every body carries the version that it is of.

use crate::random::Random;
use bytes::Bytes;
use latencify_conf::change::{SiteId, Target};
use std::time::Duration;

/// Names of the sites that every policy has.
pub const SITES: [&str; 2] = ["shop", "blog"];
/// Paths of every site, in normal form.
pub const PATHS: [&str; 6] = ["/", "/a", "/a/b", "/a/c", "/news", "/news/1"];
/// Tags.
pub const TAGS: [&str; 3] = ["red", "green", "blue"];
/// Objects of all sites.
pub const OBJECTS: usize = SITES.len() * PATHS.len();

/// One object, by number.
pub type Object = usize;

/// A version of an object.
#[derive(Debug, Clone, Copy)]
pub struct Version {
    /// Since when it is the one.
    pub since: Duration,
    /// Its tags, a bit each.
    pub tags: u8,
}

/// The origin.
#[derive(Debug)]
pub struct Origin {
    versions: Vec<Vec<Version>>,
    /// Until then it does not answer.
    pub down_until: Duration,
}

/// The number of a site's place in [`SITES`].
pub fn site_of(object: Object) -> usize {
    object / PATHS.len()
}

/// The path of an object.
pub fn path_of(object: Object) -> &'static str {
    PATHS.get(object % PATHS.len()).copied().unwrap_or("/")
}

/// What a target names: objects, a bit each, or a tag of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Objects whatever their tags.
    objects: u64,
    /// Objects if they have this tag.
    tagged: u64,
    tag: u8,
}

impl Named {
    /// What a target names, when these are the sites' ids.
    pub fn of(target: &Target, site_id: impl Fn(usize) -> Option<SiteId>) -> Self {
        let mut named = Self {
            objects: 0,
            tagged: 0,
            tag: 0,
        };
        for object in 0..OBJECTS {
            let own = site_id(site_of(object));
            let is_own = |site: &SiteId| own == Some(*site);
            let path = path_of(object);
            let hit = match target {
                Target::All => true,
                Target::Site { site } => is_own(site),
                Target::Url { site, path: named } => is_own(site) && named == path,
                Target::Prefix { site, path: named } => {
                    is_own(site) && latencify_conf::path::has_segment_prefix(path, named)
                }
                Target::Tag { site, tag } => {
                    if is_own(site) {
                        named.tagged |= 1 << object;
                        let place = TAGS.iter().position(|known| known == tag);
                        named.tag = place.map_or(0, |place| 1 << place);
                    }
                    false
                }
            };
            if hit {
                named.objects |= 1 << object;
            }
        }
        named
    }

    /// Whether it names an object that has these tags.
    pub fn covers(self, object: Object, tags: u8) -> bool {
        self.objects & (1 << object) != 0
            || (self.tagged & (1 << object) != 0 && self.tag & tags != 0)
    }
}

impl Origin {
    /// The first version of everything.
    pub fn new(random: &mut Random) -> Self {
        let first = |_| {
            vec![Version {
                since: Duration::ZERO,
                tags: random.below(1 << TAGS.len()) as u8,
            }]
        };
        Self {
            versions: (0..OBJECTS).map(first).collect(),
            down_until: Duration::ZERO,
        }
    }

    /// A new version of an object.
    pub fn publish(&mut self, object: Object, now: Duration, tags: u8) {
        if let Some(versions) = self.versions.get_mut(object) {
            versions.push(Version { since: now, tags });
        }
    }

    /// The version that it had at a time, and its number.
    pub fn at(&self, object: Object, time: Duration) -> u64 {
        let versions = self.versions.get(object).map_or(&[][..], Vec::as_slice);
        versions.partition_point(|version| version.since <= time) as u64
    }

    /// The present version.
    pub fn now(&self, object: Object) -> u64 {
        self.versions.get(object).map_or(0, Vec::len) as u64
    }

    /// The tags of a version.
    pub fn tags(&self, object: Object, version: u64) -> u8 {
        self.versions
            .get(object)
            .and_then(|versions| versions.get((version as usize).checked_sub(1)?))
            .map_or(0, |version| version.tags)
    }
}

/// The names of tags.
pub fn names(tags: u8) -> impl Iterator<Item = &'static str> {
    TAGS.into_iter()
        .enumerate()
        .filter(move |(place, _)| tags & (1 << place) != 0)
        .map(|(_, tag)| tag)
}

/// The body of a version, in 8-byte words: the object, the version, then the version again and again.
pub fn body(object: Object, version: u64, words: u64) -> Bytes {
    let mut bytes = Vec::with_capacity((words as usize + 2) * 8);
    bytes.extend_from_slice(&(object as u64).to_be_bytes());
    for _ in 0..=words {
        bytes.extend_from_slice(&version.to_be_bytes());
    }
    bytes.into()
}

/// What a body says it is; none when it is not a whole body of one version.
pub fn read(body: &[u8]) -> Option<(Object, u64)> {
    let words: Vec<u64> = body
        .chunks(8)
        .map(|word| word.try_into().map(u64::from_be_bytes))
        .collect::<Result<_, _>>()
        .ok()?;
    let (object, rest) = words.split_first()?;
    let version = *rest.first()?;
    rest.iter()
        .all(|word| *word == version)
        .then_some((*object as Object, version))
}
