//! Bounded marks against marks without a bound: too much may go, never too little, and nothing is stale too late.

use super::*;
use crate::rules::Kept;
use proptest::prelude::*;
use std::time::{Duration, SystemTime};

const SITES: [SiteId; 4] = [SiteId(1), SiteId(2), SiteId(3), SiteId(4)];
const NAMES: [&str; 3] = ["red", "blue", "green"];

/// Room for eight marks of a site, and for three sites.
pub(super) const EIGHT: MarkBounds = MarkBounds {
    marks_per_site: 8,
    bytes_per_site: 4_096,
    bytes: 8_192,
    sites: 3,
};

fn bounded() -> Arc<Marks> {
    Marks::open(SteadyClock::start(), EIGHT)
}

fn is_dead(marks: &Marks, path: &str, tags: &[&str], stamp: &Stamp) -> bool {
    marks.check(&identity(path, tags), stamp).is_dead()
}

#[test]
fn with_a_bound_of_eight_the_ninth_url_widens_the_fullest_folder_and_leaves_the_others_alone() {
    let marks = bounded();
    let before = marks.stamp();
    let purge = |path: &str| {
        marks.local_purge(&url(path), Mode::Hard);
    };
    for n in 0..6 {
        purge(&format!("/shop/{n}"));
    }
    purge("/news/1");
    purge("/about");
    assert_eq!(marks.count().widened, 0, "eight fit");
    assert!(!is_dead(&marks, "/shop/other", &[], &before));
    purge("/news/2");
    assert_eq!(marks.count().widened, 1);
    assert!(
        is_dead(&marks, "/shop/other", &[], &before),
        "too much may go"
    );
    for path in ["/shop/0", "/shop/5", "/news/1", "/news/2", "/about"] {
        assert!(is_dead(&marks, path, &[], &before), "{path}");
    }
    for path in ["/shopping", "/news/3", "/contact"] {
        assert!(!is_dead(&marks, path, &[], &before), "{path}");
    }
    let after = marks.stamp();
    assert!(
        !is_dead(&marks, "/shop/0", &[], &after),
        "and nothing newer"
    );
}

#[test]
fn with_a_bound_of_eight_marks_widen_from_urls_to_prefixes_to_the_site_to_everything() {
    let marks = bounded();
    let before = marks.stamp();
    let mut widths = Vec::new();
    let mut number = 0;
    // Ever new URLs, no two in one folder.
    while widths.last() != Some(&"site") {
        number += 1;
        assert!(number < 1_000, "{widths:?}");
        marks.local_purge(&url(&format!("/{}/{number}/x", number % 5)), Mode::Hard);
        assert!(marks.count().marks <= 8 + 2, "{:?}", marks.count());
        let width = if is_dead(&marks, "/elsewhere", &[], &before) {
            "site"
        } else if is_dead(&marks, "/0/y", &[], &before) {
            "folder"
        } else {
            "url"
        };
        if widths.last() != Some(&width) {
            widths.push(width);
        }
        if number == 200 {
            // Top-level folders fit; only what lies in none of them needs the site.
            for n in 0..9 {
                marks.local_purge(&url(&format!("/top{n}")), Mode::Hard);
            }
        }
    }
    assert_eq!(widths, ["url", "folder", "site"]);

    let elsewhere = Identity::untagged(SiteId(9), "/");
    for site in 2..=3 {
        marks.local_purge(&Target::Site { site: SiteId(site) }, Mode::Hard);
    }
    assert_eq!(marks.check(&elsewhere, &before), Liveness::Live);
    marks.local_purge(&Target::Site { site: SiteId(4) }, Mode::Hard);
    assert!(marks.check(&elsewhere, &before).is_dead(), "everything");
}

#[test]
fn with_a_bound_of_eight_tags_widen_to_the_site_and_spare_other_sites() {
    let marks = bounded();
    let before = marks.stamp();
    for n in 0..8 {
        marks.local_purge(&tag(&n.to_string()), Mode::Hard);
    }
    assert!(!is_dead(&marks, "/a", &["other"], &before));
    marks.local_purge(&tag("8"), Mode::Hard);
    assert!(is_dead(&marks, "/a", &["other"], &before));
    assert_eq!(
        marks.count().marks,
        2,
        "what the site's mark says is not said twice"
    );
    let elsewhere = Identity::untagged(SiteId(2), "/a");
    assert_eq!(marks.check(&elsewhere, &before), Liveness::Live);
}

#[test]
fn a_soft_purge_that_is_widened_makes_stale_at_its_own_time_and_kills_nothing() {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
    let clock = Arc::new(ManualClock::at(start));
    let marks = Marks::<Kept>::open(Arc::clone(&clock), EIGHT);
    let before = marks.stamp();
    for n in 0..9 {
        marks.local_purge(&url(&format!("/shop/{n}")), Mode::Soft);
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(marks.count().widened, 1);
    for (path, latest) in [("/shop/0", 0), ("/shop/8", 8)] {
        match marks.check(&identity(path, &[]), &before) {
            Liveness::SoftPurged { since } => {
                assert!(since <= start + Duration::from_secs(latest), "{path}");
            }
            other => panic!("{path}: {other:?}"),
        }
    }
}

/// One purge, and when it was made.
#[derive(Debug, Clone)]
pub(super) struct Made {
    target: Target,
    mode: Mode,
    local: bool,
    obeyed: bool,
}

impl Made {
    /// Makes it the entry of that epoch, or a local one.
    pub(super) fn make(&self, marks: &Marks, epoch: u64) {
        if self.local {
            marks.local_purge(&self.target, self.mode);
        } else {
            marks.apply(&self.target, self.mode, Epoch(epoch));
        }
        if self.obeyed {
            marks.obey(&position(log(1), epoch));
        }
    }
}

fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => prop::collection::vec("[ab]{0,1}", 1..5).prop_map(|parts| format!("/{}", parts.join("/"))),
        1 => Just(format!("{}/y", "/x".repeat(35))),
    ]
}

fn site() -> impl Strategy<Value = SiteId> {
    prop_oneof![6 => Just(SITES[0]), 1 => prop::sample::select(&SITES[1..])]
}

pub(super) fn made() -> impl Strategy<Value = Made> {
    let tag = || prop::sample::select(&NAMES[..]).prop_map(str::to_owned);
    let target = prop_oneof![
        8 => (site(), path()).prop_map(|(site, path)| Target::Url { site, path }),
        3 => (site(), path()).prop_map(|(site, path)| Target::Prefix { site, path }),
        2 => (site(), tag()).prop_map(|(site, tag)| Target::Tag { site, tag }),
        1 => (site(), "[a-z]{600}").prop_map(|(site, tag)| Target::Tag { site, tag }),
        1 => site().prop_map(|site| Target::Site { site }),
    ];
    let mode = prop_oneof![Just(Mode::Hard), Just(Mode::Soft)];
    (target, mode, any::<bool>(), any::<bool>()).prop_map(|(target, mode, local, obeyed)| Made {
        target,
        mode,
        local,
        obeyed,
    })
}

pub(super) fn objects() -> Vec<Identity> {
    let mut objects = Vec::new();
    let deep = "/x".repeat(36);
    for site in SITES {
        for path in [
            "/", "/a", "/a/", "/a/b", "/a//b", "/b/a", "/a/a/a", "//", "/b/b/b/b", &deep,
        ] {
            for tags in [&[][..], &["red"], &["blue", "green"]] {
                let tags = tags.iter().map(|&tag| tag.into()).collect();
                objects.push(Identity {
                    site,
                    path: path.into(),
                    tags,
                });
            }
        }
    }
    objects
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_purge_kills_without_a_bound_it_kills_within_one_and_stale_is_no_later(
        purges in prop::collection::vec(made(), 1..60),
    ) {
        let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000)));
        let plenty = MarkBounds { marks_per_site: usize::MAX, bytes_per_site: usize::MAX, bytes: usize::MAX, sites: usize::MAX };
        let both = [Marks::<Kept>::open(Arc::clone(&clock), EIGHT), Marks::open(Arc::clone(&clock), plenty)];
        let mut stamps = vec![both[0].stamp()];
        for (purge, epoch) in purges.iter().zip(1..) {
            clock.advance(Duration::from_secs(1));
            for marks in &both {
                purge.make(marks, epoch);
            }
            let count = both[0].count();
            // One for each of three sites and one for everything stand beside the eight of each site.
            prop_assert!(count.marks <= 3 * 9 + 1, "{count:?}");
            prop_assert!(count.bytes <= EIGHT.bytes as u64, "{count:?}");
            prop_assert_eq!(both[0].stamp(), both[1].stamp());
            stamps.push(both[0].stamp());
        }
        prop_assert_eq!(both[1].count().widened, 0);
        for object in objects() {
            for stamp in &stamps {
                let [within, without] = both.each_ref().map(|marks| marks.check(&object, stamp));
                let is_enough = match (without, within) {
                    (_, Liveness::Dead(_)) | (Liveness::Live, _) => true,
                    (Liveness::SoftPurged { since: first }, Liveness::SoftPurged { since }) => since <= first,
                    (_, _) => false,
                };
                prop_assert!(is_enough, "{object:?} of {stamp:?}: {without:?} became {within:?}");
            }
            let [within, without] = both.each_ref().map(|marks| marks.newest(object.site, &object.path));
            prop_assert!(without.is_covered_by(&within), "a reader would wait for a fetch of before: {object:?}");
        }
    }
}
