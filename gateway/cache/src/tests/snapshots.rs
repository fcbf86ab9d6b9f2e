//! Marks written down and read again: the same verdicts, for everything that may have been stored.

use super::{
    widening::{EIGHT, made, objects},
    *,
};
use crate::{marks::SNAPSHOT_BYTES_MAX, rules::Kept};
use proptest::prelude::*;
use std::time::{Duration, SystemTime};

/// Written by version 1, and read for ever.
const V1: &str = include_str!("marks.v1.jsonl");
/// Written by version 2.
const V2: &str = include_str!("marks.v2.jsonl");

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000),
    ))
}

/// What the golden files say.
fn meant() -> Arc<Marks> {
    let clock = clock();
    let marks = Marks::with_clock(Arc::clone(&clock));
    marks.raise_floor(&position(log(1), 4));
    marks.apply_all(&[url("/a b"), prefix("/shop/")], Mode::Hard, Epoch(5));
    marks.apply(&tag("Straße"), Mode::Soft, Epoch(6));
    clock.advance(Duration::from_nanos(1_500_000_001));
    marks.apply(&tag("Straße"), Mode::Soft, Epoch(7));
    marks.obey(&position(log(1), 7));
    marks.local_purge(&url("/a"), Mode::Hard);
    marks.local_purge(&url("/a"), Mode::Soft);
    marks.local_purge(&Target::Site { site: SiteId(9) }, Mode::Hard);
    marks.local_purge(&Target::All, Mode::Soft);
    marks
}

fn restored(snapshot: MarksSnapshot, locals: LocalMarks) -> Arc<Marks> {
    let marks = Marks::with_clock(clock());
    marks.restore(snapshot, locals);
    marks
}

#[test]
fn marks_of_version_2_are_read_and_still_written_so() {
    let written = String::from_utf8(meant().snapshot().encode().unwrap()).unwrap();
    assert_eq!(written, V2, "an older program would meet another form");
    let read = MarksSnapshot::decode(V2.as_bytes()).unwrap();
    assert_eq!(read.obeyed(), Some(position(log(1), 7)));
    assert_eq!(read, meant().snapshot());
    let again = restored(read.clone(), LocalMarks::Known);
    assert_eq!(again.snapshot(), read);
    assert_eq!(again.history(), meant().history(), "a restart keeps it");
}

#[test]
fn marks_of_version_1_are_read_and_say_nothing_of_their_history() {
    let read = MarksSnapshot::decode(V1.as_bytes()).unwrap();
    let again = restored(read, LocalMarks::Known);
    assert_eq!(again.history(), History::default());
    again.raise_floor(&position(log(1), 7));
    assert_ne!(again.history(), History::default());
    let (now, then) = (again.snapshot(), meant().snapshot());
    assert_eq!((now.obeyed(), now.len()), (then.obeyed(), 0));
}

#[test]
fn an_edge_that_obeyed_nothing_writes_that_down() {
    let none = Marks::new().snapshot();
    assert_eq!((none.len(), none.obeyed()), (0, None));
    let read = MarksSnapshot::decode(&none.encode().unwrap()).unwrap();
    assert_eq!(read, none);
    assert!(read.is_empty());
}

#[test]
fn what_is_cut_off_altered_or_of_another_version_is_not_believed() {
    let cases: [(&str, String); 7] = [
        ("CutOff", String::new()),
        ("CutOff", V1.trim_end().to_owned()),
        ("CutOff", V1.lines().next().unwrap().to_owned() + "\n"),
        ("CutOff", V1.to_owned() + V1.lines().last().unwrap() + "\n"),
        ("Version", V1.replacen("\"marks\":1", "\"marks\":3", 1)),
        ("Line", V1.replacen("hard_epoch", "hard_epoxy", 1)),
        ("Line", V1.replacen("\"on\":\"url\"", "\"on\":\"host\"", 1)),
    ];
    for (expected, text) in cases {
        let error = MarksSnapshot::decode(text.as_bytes()).expect_err(&text);
        let name = format!("{error:?}");
        assert!(name.starts_with(expected), "{expected}: {name} ({error})");
    }
    let large = vec![b' '; SNAPSHOT_BYTES_MAX + 1];
    assert!(matches!(
        MarksSnapshot::decode(&large),
        Err(SnapshotError::TooLarge(_))
    ));
}

#[test]
fn a_journal_that_is_read_again_gives_soft_purges_their_own_time() {
    let clock = clock();
    let (first, second) = (
        Marks::with_clock(Arc::clone(&clock)),
        Marks::with_clock(Arc::clone(&clock)),
    );
    let before = first.stamp();
    let at = first.now();
    first.apply_at(&[url("/a")], Mode::Soft, Epoch(1), at);
    clock.advance(Duration::from_mins(1));
    second.apply_at(&[url("/a")], Mode::Soft, Epoch(1), at);
    let of = |marks: &Marks| marks.check(&identity("/a", &[]), &before);
    assert_eq!(of(&first), Liveness::SoftPurged { since: at });
    assert_eq!(of(&second), of(&first));
}

#[test]
fn when_local_marks_may_be_lost_whatever_was_stored_before_is_dead() {
    let marks = meant();
    let snapshot = marks.snapshot();
    let object = identity("/b", &[]);
    let mut stamps = vec![marks.stamp()];
    // Lost: nobody wrote them down.
    for _ in 0..5 {
        marks.local_purge(&url("/lost"), Mode::Hard);
        stamps.push(marks.stamp());
    }
    let known = restored(snapshot.clone(), LocalMarks::Known);
    assert!(!known.check(&object, &stamps[0]).is_dead());
    let lost = restored(snapshot, LocalMarks::Lost);
    for stamp in &stamps {
        assert_eq!(
            lost.check(&object, stamp),
            Liveness::Dead(Death::BelowFloor)
        );
    }
    assert_eq!(
        lost.check(&object, &lost.stamp()),
        Liveness::Live,
        "and what is fetched from now on lives"
    );
    assert_eq!(lost.stamp().epoch, Epoch(7), "the log is known");
}

#[test]
fn what_was_remembered_before_marks_were_restored_is_asked_again() {
    let marks = Marks::with_clock(clock());
    let record = Record::of_fetch(identity("/shop/1", &[]), *marks.begin(), ());
    assert_eq!(record.liveness(&marks), Liveness::Live);
    marks.restore(meant().snapshot(), LocalMarks::Known);
    assert_eq!(record.liveness(&marks), Liveness::Dead(Death::OtherLog));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn marks_that_were_written_down_and_read_again_give_the_same_verdicts(
        purges in prop::collection::vec(made(), 0..40),
        bounded in any::<bool>(),
        floor in prop::option::of(0_u64..30),
    ) {
        let clock = clock();
        let bounds = if bounded { EIGHT } else { MarkBounds::default() };
        let marks = Marks::<Kept>::open(Arc::clone(&clock), bounds);
        let mut stamps = vec![marks.stamp()];
        for (purge, epoch) in purges.iter().zip(1..) {
            clock.advance(Duration::from_millis(700));
            if floor == Some(epoch) {
                marks.raise_floor(&position(log(1), epoch));
            }
            purge.make(&marks, epoch);
            stamps.push(marks.stamp());
        }
        let written = marks.snapshot().encode().unwrap();
        let again = Marks::<Kept>::open(clock, bounds);
        again.restore(MarksSnapshot::decode(&written).unwrap(), LocalMarks::Known);
        prop_assert_eq!(again.stamp(), marks.stamp());
        for object in objects() {
            for stamp in &stamps {
                prop_assert_eq!(again.check(&object, stamp), marks.check(&object, stamp));
            }
        }
        prop_assert!(again.snapshot() == marks.snapshot(), "{:?}", again.snapshot());
    }
}
