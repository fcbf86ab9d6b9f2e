//! A tier that outlives the process: its own floor, runs that follow each other, and what comes from there into memory.

use super::*;
use std::time::{Duration, SystemTime};

fn at(seconds: u64) -> Arc<ManualClock> {
    Arc::new(ManualClock::at(
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
    ))
}

/// The marks of a run that began then, with such a tier.
fn run(seconds: u64) -> Arc<Marks> {
    let marks = Marks::with_clock(at(seconds));
    marks.keep();
    marks
}

/// A later run, which knows what the earlier one saved.
fn later(seconds: u64, saved: MarksSnapshot, locals: &[LocalMark], last: u64) -> Arc<Marks> {
    let marks = run(seconds);
    marks.restore(saved, LocalMarks::Lost);
    marks.inherit(Some(Earlier {
        marks: locals,
        last,
        ..Earlier::default()
    }));
    marks
}

fn is_dead(marks: &Marks, path: &str, stamp: Stamp) -> bool {
    marks.check_kept(&identity(path, &[]), &stamp).is_dead()
}

fn purged(marks: &Marks, path: &str) -> LocalMark {
    LocalMark {
        target: url(path),
        mode: Mode::Hard,
        number: marks.local_purge(&url(path), Mode::Hard),
        at: SystemTime::UNIX_EPOCH,
    }
}

#[test]
fn what_earlier_runs_stored_lives_unless_they_purged_it() {
    let first = run(100);
    first.raise_floor(&position(log(1), 4));
    first.inherit(None);
    let before = first.stamp();
    let saved = first.snapshot();
    let mark = purged(&first, "/a");
    let after = first.stamp();
    let second = later(200, saved, std::slice::from_ref(&mark), mark.number);
    assert!(is_dead(&second, "/a", before));
    assert!(!is_dead(&second, "/a", after), "fetched after it");
    assert!(!is_dead(&second, "/b", before));
    second.local_purge(&url("/b"), Mode::Hard);
    assert!(is_dead(&second, "/b", after), "whatever the first had made");
    assert!(!is_dead(&second, "/b", second.stamp()));
}

#[test]
fn what_was_stored_beyond_the_last_known_position_is_of_another_history() {
    let first = run(100);
    first.raise_floor(&position(log(1), 4));
    first.inherit(None);
    let saved = first.snapshot();
    first.obey(&position(log(1), 6));
    let beyond = first.stamp();
    let second = later(200, saved, &[], 0);
    second.obey(&position(log(1), 9));
    assert!(is_dead(&second, "/a", beyond));
    assert!(!is_dead(&second, "/a", second.stamp()));
    // The run after that knows of further positions, and must not believe it again.
    let third = run(300);
    third.restore(second.snapshot(), LocalMarks::Lost);
    let runs = &[second.run().unwrap()];
    third.inherit(Some(Earlier {
        runs,
        ..Earlier::default()
    }));
    assert!(is_dead(&third, "/a", beyond));
    assert!(!is_dead(&third, "/a", second.stamp()));
}

#[test]
fn local_marks_that_are_not_known_leave_nothing_of_before() {
    let first = run(100);
    first.inherit(None);
    let (stamp, saved) = (first.stamp(), first.snapshot());
    let unknown = run(200);
    unknown.restore(saved.clone(), LocalMarks::Lost);
    unknown.inherit(None);
    assert!(is_dead(&unknown, "/a", stamp));
    assert!(!is_dead(&unknown, "/a", unknown.stamp()));
    // Nor when nobody can say which run was the later one.
    let set_back = run(50);
    set_back.inherit(Some(Earlier {
        last: stamp.local,
        ..Earlier::default()
    }));
    assert!(is_dead(&set_back, "/a", stamp));
    assert!(!is_dead(&set_back, "/a", set_back.stamp()));
}

#[test]
fn a_tier_keeps_the_marks_that_it_needs() {
    let marks = run(100);
    marks.raise_floor(&position(log(1), 4));
    marks.inherit(None);
    let cache: Arc<Cache<()>> = Cache::new(PLENTY, Arc::clone(&marks));
    let old = marks.stamp();
    marks.apply(&url("/a"), Mode::Hard, Epoch(5));
    marks.obey(&position(log(1), 5));
    let mut sweep = Sweep::new(Arc::clone(&cache));
    while !sweep.step(64).is_end() {}
    assert_eq!(
        marks.count().forgotten,
        0,
        "memory is empty, the disk is not"
    );
    assert!(is_dead(&marks, "/a", old));
    assert!(!is_dead(&marks, "/b", old));
    let later = marks.stamp();
    let round = marks.begin_kept_round();
    marks.end_kept_round(&round, Some((old.epoch, old.local)));
    assert_eq!(
        marks.forget_kept().forgotten,
        0,
        "something as old lives there"
    );
    let round = marks.begin_kept_round();
    marks.end_kept_round(&round, Some((later.epoch, later.local)));
    assert!(marks.forget_kept().forgotten > 0);
    assert!(is_dead(&marks, "/a", old), "by the floor now");
}

#[test]
fn what_is_taken_over_lives_below_the_floor_of_memory() {
    let marks = run(100);
    marks.raise_floor(&position(log(1), 4));
    marks.inherit(None);
    let cache: Arc<Cache<()>> = Cache::new(PLENTY, Arc::clone(&marks));
    let fetch = Fetch {
        stamp: marks.stamp(),
        generation: 0,
    };
    marks.apply(&url("/b"), Mode::Hard, Epoch(5));
    marks.obey(&position(log(1), 5));
    let mut sweep = Sweep::new(Arc::clone(&cache));
    while !sweep.step(64).is_end() {}
    let promotion = cache.begin_promotion(key("/a"));
    let (record, liveness) =
        Record::taken_over(&marks, identity("/a", &[]), fetch, ()).expect("it lives");
    assert_eq!(liveness, Liveness::Live);
    let body = bytes::Bytes::from_static(b"promoted");
    assert_eq!(cache.promote(promotion, key("/a"), record, &body), Ok(()));
    assert_eq!(super::body(&cache, "/a").unwrap(), b"promoted");
    assert!(Record::taken_over(&marks, identity("/b", &[]), fetch, ()).is_err());
    marks.apply(&url("/a"), Mode::Hard, Epoch(6));
    assert!(cache.find(key("/a")).is_none());
}
