//! What marks may take, and what becomes of them beyond that: too much goes, never too little.

use super::*;

fn bounds() -> MarkBounds {
    MarkBounds::default()
}

const MIB: usize = 1 << 20;

#[test]
fn too_many_marks_become_wider_ones_and_nothing_is_lost() {
    let marks = Marks::new();
    let stamp = marks.stamp();
    let targets: Vec<Target> = (0..bounds().marks_per_site + 10)
        .map(|n| url(&format!("/{n}")))
        .collect();
    marks.apply_all(&targets, Mode::Hard, Epoch(1));
    assert_eq!(marks.count().widened, 1);
    assert!(marks.count().marks < 100, "{:?}", marks.count());
    assert!(marks.check(&identity("/0", &[]), &stamp).is_dead());
    assert!(
        marks.check(&identity("/untouched", &[]), &stamp).is_dead(),
        "too much may go"
    );

    let sites: Vec<Target> = (0..=bounds().sites as u64)
        .map(|n| Target::Site { site: SiteId(n) })
        .collect();
    marks.apply_all(&sites, Mode::Hard, Epoch(2));
    assert!(marks.count().marks <= bounds().sites as u64);
    let elsewhere = Identity::untagged(SiteId(0), "/");
    assert!(
        marks
            .check(
                &elsewhere,
                &Stamp {
                    epoch: Epoch(1),
                    ..stamp
                }
            )
            .is_dead()
    );
}

/// Purges that many names of a mebibyte each.
fn purge_long_names(marks: &Marks, site: SiteId, names: usize) {
    for n in 0..names {
        let tag = format!("{n}{}", "x".repeat(MIB));
        marks.local_purge(&Target::Tag { site, tag }, Mode::Hard);
    }
}

#[test]
fn marks_with_long_names_become_wider_ones_by_their_bytes() {
    let marks = Marks::new();
    let stamp = marks.stamp();
    let is_dead = |site| {
        marks
            .check(&Identity::untagged(site, "/other"), &stamp)
            .is_dead()
    };
    let names_max = bounds().bytes_per_site / MIB - 1;
    purge_long_names(&marks, SITE, names_max);
    assert!(!is_dead(SITE), "they fit");
    purge_long_names(&marks, SITE, names_max);
    assert_eq!(marks.count().widened, 0, "the same once more");
    purge_long_names(&marks, SITE, names_max + 1);
    assert!(is_dead(SITE), "one too many");
    assert_eq!((marks.count().widened, marks.count().bytes), (1, 0));
    assert!(!is_dead(SiteId(2)));
}

#[test]
fn marks_of_all_sites_are_bounded_together_by_widening_the_site_that_has_the_most() {
    let marks = Marks::new();
    let stamp = marks.stamp();
    let is_dead = |site| {
        marks
            .check(&Identity::untagged(site, "/other"), &stamp)
            .is_dead()
    };
    let sites = (bounds().bytes / MIB / 30 + 1) as u64;
    marks.local_purge(
        &Target::Url {
            site: SiteId(0),
            path: "/a".into(),
        },
        Mode::Hard,
    );
    for site in 1..=sites {
        purge_long_names(&marks, SiteId(site), 30);
        assert!(marks.count().bytes <= bounds().bytes as u64);
    }
    assert_eq!(marks.count().widened, 1);
    assert_eq!((1..=sites).filter(|site| is_dead(SiteId(*site))).count(), 1);
    assert!(!is_dead(SiteId(0)), "the small keep their marks");
    marks.raise_floor(&position(log(1), 1));
    assert_eq!(marks.count().bytes, 0);
}
