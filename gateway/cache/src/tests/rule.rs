//! live(object) = same log, and stamp ≥ floor, and no matching hard mark > stamp.

use super::*;
use std::time::{Duration, SystemTime};

/// What the marks say of an object fetched before one purge, and of one fetched after it.
fn check(target: Target, path: &str, tags: &[&str], expected: Option<Death>) {
    let identity = identity(path, tags);
    for local in [true, false] {
        for mode in [Mode::Hard, Mode::Soft] {
            let marks = Marks::new();
            marks.obey(&position(log(1), 7));
            let before = marks.stamp();
            if local {
                marks.local_purge(&target, mode);
            } else {
                marks.apply(&target, mode, Epoch(8));
                marks.obey(&position(log(1), 8));
            }
            let verdict = marks.check(&identity, &before);
            let case = format!("{target:?} on {path} {tags:?}, {mode:?}, local: {local}");
            match (expected, mode) {
                (None, _) => assert_eq!(verdict, Liveness::Live, "{case}"),
                (Some(death), Mode::Hard) => assert_eq!(verdict, Liveness::Dead(death), "{case}"),
                (Some(_), Mode::Soft) => {
                    assert!(matches!(verdict, Liveness::SoftPurged { .. }), "{case}");
                }
            }
            assert_eq!(
                marks.check(&identity, &marks.stamp()),
                Liveness::Live,
                "fetched after: {case}"
            );
        }
    }
}

#[test]
fn each_kind_of_purge_covers_what_it_names() {
    let other = SiteId(2);
    check(url("/a"), "/a", &[], Some(Death::PurgedUrl));
    check(url("/%61"), "/a", &[], Some(Death::PurgedUrl));
    check(url("/a"), "/a/b", &[], None);
    check(url("/a"), "/a/", &[], None);
    check(
        Target::Url {
            site: other,
            path: "/a".into(),
        },
        "/a",
        &[],
        None,
    );
    check(prefix("/a"), "/a", &[], Some(Death::PurgedPrefix));
    check(prefix("/a/"), "/a/b/c", &[], Some(Death::PurgedPrefix));
    check(prefix("/a/b"), "/a/b/c", &[], Some(Death::PurgedPrefix));
    check(prefix("/a"), "/ab", &[], None);
    check(prefix("/a/b"), "/a", &[], None);
    check(prefix("/"), "/a/b/c", &[], Some(Death::PurgedPrefix));
    check(
        Target::Prefix {
            site: other,
            path: "/".into(),
        },
        "/a",
        &[],
        None,
    );
    check(
        tag("news"),
        "/a",
        &["sports", "news"],
        Some(Death::PurgedTag),
    );
    check(tag("news"), "/a", &["News"], None);
    check(tag("news"), "/news", &[], None);
    check(
        Target::Tag {
            site: other,
            tag: "news".into(),
        },
        "/a",
        &["news"],
        None,
    );
    check(
        Target::Site { site: SITE },
        "/a",
        &[],
        Some(Death::PurgedSite),
    );
    check(Target::Site { site: other }, "/a", &[], None);
    check(Target::All, "/a", &[], Some(Death::PurgedAll));
}

#[test]
fn a_prefix_deeper_than_the_bound_is_widened_to_it() {
    let deep = "/x".repeat(40);
    check(
        prefix(&deep),
        &format!("{deep}/y"),
        &[],
        Some(Death::PurgedPrefix),
    );
    check(
        prefix(&deep),
        &"/x".repeat(32),
        &[],
        Some(Death::PurgedPrefix),
    );
    check(prefix(&deep), &"/x".repeat(31), &[], None);
}

#[test]
fn an_epoch_is_compared_with_the_stamp_not_with_the_time_of_arrival() {
    let marks = Marks::new();
    marks.obey(&position(log(1), 9));
    let stamp = marks.stamp();
    for (epoch, live) in [(8, true), (9, true), (10, false)] {
        marks.apply(&url("/a"), Mode::Hard, Epoch(epoch));
        let verdict = marks.check(&identity("/a", &[]), &stamp);
        assert_eq!(
            verdict == Liveness::Live,
            live,
            "mark of epoch {epoch} on an object of epoch 9"
        );
    }
}

#[test]
fn what_was_fetched_before_a_new_log_or_a_raised_floor_is_dead() {
    let marks = Marks::new();
    let object = identity("/a", &[]);
    let alone = marks.stamp();
    assert_eq!(marks.check(&object, &alone), Liveness::Live);

    marks.obey(&position(log(1), 5));
    assert_eq!(
        marks.check(&object, &alone),
        Liveness::Dead(Death::OtherLog)
    );

    let first = marks.stamp();
    marks.obey(&position(log(1), 6));
    assert_eq!(
        marks.check(&object, &first),
        Liveness::Live,
        "obeying more of the same log kills nothing"
    );

    marks.raise_floor(&position(log(1), 50));
    assert_eq!(
        marks.check(&object, &first),
        Liveness::Dead(Death::BelowFloor)
    );

    let high = marks.stamp();
    marks.raise_floor(&position(log(1), 20));
    assert_eq!(
        marks.check(&object, &high),
        Liveness::Dead(Death::BelowFloor),
        "a log that went back"
    );
    assert_eq!(marks.stamp().epoch, Epoch(20));
    assert_eq!(
        marks.check(&object, &marks.stamp()),
        Liveness::Live,
        "and what comes after it lives"
    );

    marks.apply(&url("/a"), Mode::Hard, Epoch(21));
    marks.obey(&position(log(1), 21));
    assert_eq!(marks.check(&object, &marks.stamp()), Liveness::Live);

    marks.obey(&position(log(2), 3));
    assert_eq!(marks.check(&object, &high), Liveness::Dead(Death::OtherLog));
    assert_eq!(
        marks.stamp(),
        Stamp {
            log: Some(log(2)),
            epoch: Epoch(3),
            local: marks.stamp().local
        }
    );
}

#[test]
fn a_soft_purge_makes_stale_from_its_own_time_on_and_a_later_one_does_not_renew_that() {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
    let clock = Arc::new(ManualClock::at(start));
    let marks = Marks::with_clock(Arc::clone(&clock));
    let (object, stamp) = (identity("/a", &["t"]), marks.stamp());
    for minute in 1..=20 {
        clock.advance(Duration::from_mins(1));
        let target = if minute % 2 == 1 { url("/a") } else { tag("t") };
        marks.local_purge(&target, Mode::Soft);
        let since = start + Duration::from_mins(1);
        assert_eq!(
            marks.check(&object, &stamp),
            Liveness::SoftPurged { since },
            "after {minute} purges"
        );
    }
    marks.local_purge(&tag("t"), Mode::Hard);
    assert_eq!(
        marks.check(&object, &stamp),
        Liveness::Dead(Death::PurgedTag),
        "hard wins"
    );
}

#[test]
fn a_verdict_is_remembered_while_nothing_changes() {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
    let marks = Marks::with_clock(ManualClock::at(start));
    let (object, stamp, checked) = (identity("/a", &[]), marks.stamp(), Checked::default());
    let verdict = || marks.check_remembering(&object, &stamp, &checked);
    assert_eq!(checked.verdict(marks.counter()), None, "never checked");
    assert_eq!(verdict(), Liveness::Live);
    assert_eq!(checked.verdict(marks.counter()), Some(Liveness::Live));
    marks.local_purge(&url("/other"), Mode::Hard);
    assert_eq!(
        checked.verdict(marks.counter()),
        None,
        "any change asks for a new look"
    );
    assert_eq!(verdict(), Liveness::Live);
    marks.local_purge(&url("/a"), Mode::Soft);
    assert_eq!(verdict(), Liveness::SoftPurged { since: start });
    assert_eq!(
        checked.verdict(marks.counter()),
        Some(Liveness::SoftPurged { since: start })
    );
    marks.local_purge(&url("/a"), Mode::Hard);
    assert_eq!(verdict(), Liveness::Dead(Death::PurgedUrl));
    assert_eq!(
        checked.verdict(marks.counter()),
        None,
        "the dead leave; their verdict is not kept"
    );
}

#[test]
fn the_newest_mark_that_could_match_covers_every_tag_of_the_site() {
    let marks = Marks::new();
    let newest = || marks.newest(SITE, "/a/b");
    let mut before = newest();
    for target in [
        url("/a/b"),
        prefix("/a"),
        tag("any"),
        Target::Site { site: SITE },
        Target::All,
    ] {
        marks.local_purge(&target, Mode::Hard);
        assert_ne!(newest(), before, "{target:?}");
        before = newest();
    }
    marks.raise_floor(&position(log(1), 1));
    assert_ne!(newest(), before, "a new log");
    before = newest();
    for target in [
        url("/a"),
        prefix("/a/b/c"),
        Target::Site { site: SiteId(2) },
    ] {
        marks.local_purge(&target, Mode::Hard);
        assert_eq!(newest(), before, "{target:?} can't match");
    }
}
