//! Sweeps: what is dead goes, marks that nothing asks any more are forgotten, and no verdict changes.

use super::{
    interleave::{Interleaved, once},
    *,
};
use crate::{marks::UNDER_WAY_MAX, rules::Point};
use std::time::{Duration, SystemTime};

type Tested = Arc<Cache<(), Interleaved>>;

fn tested() -> (Tested, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000),
    ));
    let marks = Marks::open(Arc::clone(&clock), MarkBounds::default());
    (Cache::new(PLENTY, marks), clock)
}

/// A whole round, from its beginning, and everything that it lets be forgotten.
fn sweep(cache: &Tested) {
    let mut sweep = Sweep::new(Arc::clone(cache));
    while !sweep.step(1_024).is_end() {}
}

/// Stores an object of that path, tagged `t`.
fn store(cache: &Tested, path: &str) {
    let fetching = cache.begin_fetch();
    let record = Record::of_fetch(identity(path, &["t"]), *fetching, ());
    cache
        .fill(key(path), record, ANY_SIZE)
        .unwrap()
        .finish()
        .unwrap();
}

fn found(cache: &Tested, path: &str) -> Option<Liveness> {
    cache.find(key(path)).map(|found| found.liveness)
}

/// Beside the one that stands for everything.
fn marks_kept(cache: &Tested) -> u64 {
    cache.marks().count().marks - 1
}

#[test]
fn a_sweep_takes_out_what_is_dead_and_forgets_what_nothing_older_needs() {
    let (cache, _) = tested();
    for n in 0..100 {
        store(&cache, &format!("/{n}"));
    }
    let held = cache.count().bytes;
    for n in 0..50 {
        cache
            .marks()
            .local_purge(&url(&format!("/{n}")), Mode::Hard);
    }
    assert_eq!(marks_kept(&cache), 51, "the site's own among them");
    sweep(&cache);
    let (count, marks) = (cache.count(), cache.marks().count());
    assert_eq!((count.objects, count.swept, count.dead), (50, 50, 0));
    assert!(
        count.bytes <= held / 2 + held / 10,
        "memory comes back: {count:?}"
    );
    assert_eq!(marks_kept(&cache), 0, "{marks:?}");
    assert_eq!((marks.bytes, marks.forgotten), (0, 51));
    for n in 0..100 {
        let expected = (n >= 50).then_some(Liveness::Live);
        assert_eq!(found(&cache, &format!("/{n}")), expected, "/{n}");
    }
    assert_eq!(
        Sweep::new(Arc::clone(&cache)).step(9),
        Swept::Walking,
        "a new sweep knows nothing"
    );
}

#[test]
fn a_sweep_rests_while_there_is_nothing_to_forget() {
    let (cache, _) = tested();
    store(&cache, "/a");
    let mut sweep = Sweep::new(Arc::clone(&cache));
    let mut whole = || {
        let mut steps = 0;
        while !sweep.step(1_024).is_end() {
            steps += 1;
        }
        steps
    };
    assert!(whole() > 0, "it has never looked");
    assert_eq!(whole(), 0);
    cache.marks().local_purge(&url("/a"), Mode::Soft);
    assert!(whole() > 0);
    assert_eq!(
        (whole(), marks_kept(&cache)),
        (0, 0),
        "once more than once is not needed"
    );
    cache.marks().raise_floor(&position(log(1), 5));
    assert!(whole() > 0, "a floor has marks cleared and objects dead");
    assert_eq!(cache.count().objects, 0);
    assert_eq!(whole(), 0);
}

#[test]
fn a_sweep_rests_while_a_fetch_holds_the_marks_and_goes_on_when_it_has_ended() {
    let (cache, _) = tested();
    let fetching = cache.begin_fetch();
    cache.marks().local_purge(&url("/a"), Mode::Hard);
    let mut sweep = Sweep::new(Arc::clone(&cache));
    while !sweep.step(1_024).is_end() {}
    assert_eq!(sweep.step(1_024), Swept::Idle, "it would prove no more");
    assert!(marks_kept(&cache) > 0);
    drop(fetching);
    while !sweep.step(1_024).is_end() {}
    assert_eq!(marks_kept(&cache), 0);

    cache.marks().apply(&url("/a"), Mode::Hard, Epoch(1));
    cache.marks().raise_floor(&position(log(1), 1));
    cache.marks().apply(&url("/a"), Mode::Hard, Epoch(2));
    while !sweep.step(1_024).is_end() {}
    assert_eq!(sweep.step(1_024), Swept::Idle);
    assert!(marks_kept(&cache) > 0, "not obeyed yet");
    cache.marks().obey(&position(log(1), 2));
    while !sweep.step(1_024).is_end() {}
    assert_eq!(marks_kept(&cache), 0);
}

#[test]
fn a_soft_purged_object_stays_stale_since_its_time_when_the_mark_is_forgotten() {
    let (cache, clock) = tested();
    let start = clock.now();
    store(&cache, "/a");
    store(&cache, "/b");
    cache.marks().local_purge(&tag("t"), Mode::Soft);
    sweep(&cache);
    assert_eq!(marks_kept(&cache), 0);
    let since = start;
    assert_eq!(found(&cache, "/a"), Some(Liveness::SoftPurged { since }));
    clock.advance(Duration::from_mins(1));
    cache.marks().local_purge(&url("/a"), Mode::Soft);
    assert_eq!(
        found(&cache, "/a"),
        Some(Liveness::SoftPurged { since }),
        "not renewed"
    );
    sweep(&cache);
    assert_eq!(found(&cache, "/a"), Some(Liveness::SoftPurged { since }));
    cache.marks().local_purge(&url("/a"), Mode::Hard);
    assert_eq!(found(&cache, "/a"), None);
    assert_eq!(found(&cache, "/b"), Some(Liveness::SoftPurged { since }));
}

#[test]
fn marks_that_a_fetch_under_way_may_need_are_kept_until_it_has_ended() {
    let (cache, _) = tested();
    let (fetching, other) = (cache.begin_fetch(), cache.begin_fetch());
    cache.marks().local_purge(&url("/a"), Mode::Hard);
    cache.marks().apply(&tag("t"), Mode::Hard, Epoch(5));
    let kept = marks_kept(&cache);
    sweep(&cache);
    assert_eq!(marks_kept(&cache), kept, "two fetches are older");

    let record = Record::of_fetch(identity("/a", &[]), *fetching, ());
    let writer = cache.fill(key("/a"), record, ANY_SIZE).unwrap();
    drop(fetching);
    drop(other);
    assert_eq!(found(&cache, "/a"), None, "purged under way");
    sweep(&cache);
    assert_eq!(marks_kept(&cache), kept, "a fill is older");
    assert_eq!(writer.finish(), Err(Refusal::Purged));
    sweep(&cache);
    // The entry of the log is not obeyed yet: fetches that begin now still need its mark.
    assert_eq!(marks_kept(&cache), kept - 1);
    let record = Record::of_fetch(identity("/c", &["t"]), *cache.begin_fetch(), ());
    let stored = cache.fill(key("/c"), record, ANY_SIZE).unwrap().finish();
    assert_eq!(stored, Err(Refusal::Purged));
    assert_eq!(cache.marks().count().under_way, 0);
}

#[test]
fn a_fill_that_was_begun_before_a_purge_of_something_else_is_stored_after_any_number_of_sweeps() {
    let (cache, _) = tested();
    let mut writer = {
        let fetching = cache.begin_fetch();
        let record = Record::of_fetch(identity("/slow", &[]), *fetching, ());
        cache.fill(key("/slow"), record, ANY_SIZE).unwrap()
    };
    for n in 0..5 {
        cache
            .marks()
            .local_purge(&url(&format!("/{n}")), Mode::Hard);
        sweep(&cache);
        writer.write(&bytes::Bytes::from_static(b"piece")).unwrap();
        assert_eq!(found(&cache, "/slow"), Some(Liveness::Live), "after {n}");
    }
    writer.finish().unwrap();
    sweep(&cache);
    assert_eq!(found(&cache, "/slow"), Some(Liveness::Live));
    assert_eq!(marks_kept(&cache), 0);
}

#[test]
fn a_late_validation_is_judged_as_if_nothing_had_been_forgotten() {
    for (purged, expected) in [("/other", Ok(())), ("/a", Err(Refusal::Purged))] {
        let (cache, _) = tested();
        store(&cache, "/a");
        let base = cache.find(key("/a")).unwrap().record;
        let fetching = cache.begin_fetch();
        cache.marks().local_purge(&url(purged), Mode::Hard);
        let stored = || {
            let record = Record::of_validation(&base, base.identity(), *fetching, ());
            cache.revalidate(key("/a"), record)
        };
        // The sweep takes the body out with the mark still there; what was validated is gone.
        sweep(&cache);
        let expected = expected.map_err(|_| Refusal::Gone);
        assert_eq!(stored(), expected, "{purged}");
    }
}

#[test]
fn a_fetch_that_never_ends_holds_marks_no_longer_than_its_bound_and_then_brings_nothing() {
    let (cache, clock) = tested();
    let fetching = cache.begin_fetch();
    let record = |path| Record::of_fetch(identity(path, &[]), *fetching, ());
    cache.marks().local_purge(&url("/a"), Mode::Hard);
    clock.advance(UNDER_WAY_MAX);
    sweep(&cache);
    assert!(marks_kept(&cache) > 0);
    clock.advance(Duration::from_nanos(1));
    sweep(&cache);
    assert_eq!(marks_kept(&cache), 0);
    for path in ["/a", "/b"] {
        let writer = cache.fill(key(path), record(path), ANY_SIZE).unwrap();
        assert_eq!(found(&cache, path), None, "{path}");
        assert_eq!(writer.finish(), Err(Refusal::Purged), "{path}");
    }
}

#[test]
fn what_was_found_before_and_evicted_since_is_not_served_stale_once_marks_are_forgotten() {
    let (cache, _) = tested();
    store(&cache, "/a");
    let held = cache.find(key("/a")).unwrap();
    drop(held.reader);
    while cache.index.evict() {}
    cache.marks().local_purge(&url("/a"), Mode::Hard);
    sweep(&cache);
    assert_eq!(marks_kept(&cache), 0, "nothing stored needs it");
    let asked = cache.ask_before_stale(&held.record, held.liveness, Trust::Marks);
    assert_eq!(asked, Err(StaleRefusal::Dead(Death::BelowFloor)));
}

#[test]
fn a_round_proves_nothing_about_another_history_of_the_log() {
    let (cache, _) = tested();
    let marks = cache.marks();
    marks.obey(&position(log(1), 50));
    store(&cache, "/old");
    let mut sweep = Sweep::new(Arc::clone(&cache));
    assert_eq!(sweep.step(1), Swept::Walking);
    marks.raise_floor(&position(log(1), 40));
    store(&cache, "/new");
    store(&cache, "/newer");
    while !sweep.step(1_024).is_end() {}
    marks.apply(&url("/new"), Mode::Hard, Epoch(41));
    marks.obey(&position(log(1), 41));
    assert_eq!(
        found(&cache, "/new"),
        None,
        "41 of this history is after it"
    );
    assert_eq!(
        found(&cache, "/newer"),
        Some(Liveness::Live),
        "its floor is 40"
    );
    assert_eq!(found(&cache, "/old"), None);
}

#[test]
fn a_sweep_is_bounded_work_a_step_whatever_comes_and_goes_meanwhile() {
    let (cache, _) = tested();
    for n in 0..1_000 {
        store(&cache, &format!("/{n}"));
    }
    let mut sweep = Sweep::new(Arc::clone(&cache));
    let mut steps = 0;
    while !sweep.step(10).is_end() {
        steps += 1;
        // As many come as it looks at.
        for n in 0..10 {
            store(&cache, &format!("/more/{steps}/{n}"));
        }
        assert!(steps < 1_000, "it never comes to its end");
    }
    assert!(steps >= 100, "{steps}");
    assert_eq!(cache.count().sweep_rounds, 1);
}

/// Whatever the engine stands between, a whole sweep may run there: nothing that lives is lost, and what is purged is gone.
#[test]
fn a_sweep_between_any_two_steps_changes_no_verdict() {
    for point in Point::ALL {
        for soft in [false, true] {
            let mode = if soft { Mode::Soft } else { Mode::Hard };
            let (cache, _) = tested();
            store(&cache, "/purged");
            store(&cache, "/kept");
            let sweeper = Arc::clone(&cache);
            let fetching = cache.begin_fetch();
            let validated = cache.find(key("/kept")).unwrap().record;
            once(point, move || sweep(&sweeper));
            cache.marks().local_purge(&url("/purged"), mode);
            let purged = found(&cache, "/purged");
            let case = format!("{point:?}, soft: {soft}");
            assert_eq!(purged.is_some(), soft, "{case}");
            assert!(!purged.is_some_and(|now| now == Liveness::Live), "{case}");

            let record = Record::of_fetch(identity("/filled", &[]), *fetching, ());
            let writer = cache.fill(key("/filled"), record, ANY_SIZE).unwrap();
            assert_eq!(found(&cache, "/filled"), Some(Liveness::Live), "{case}");
            drop(fetching);
            assert_eq!(writer.finish(), Ok(()), "{case}");
            cache.marks().local_purge(&url("/other"), Mode::Hard);
            assert_eq!(found(&cache, "/filled"), Some(Liveness::Live), "{case}");

            let fetching = cache.begin_fetch();
            let record = Record::of_validation(&validated, validated.identity(), *fetching, ());
            assert_eq!(cache.revalidate(key("/kept"), record), Ok(()), "{case}");
            drop(fetching);
            sweep(&cache);
            assert_eq!(found(&cache, "/kept"), Some(Liveness::Live), "{case}");
            assert_eq!(found(&cache, "/purged").is_some(), soft, "{case}");
        }
    }
}

/// Whatever a sweep stands between, a purge and a look-up may come there.
#[test]
fn a_purge_between_any_two_steps_of_a_sweep_is_not_lost() {
    for point in Point::ALL {
        let (cache, _) = tested();
        store(&cache, "/a");
        store(&cache, "/b");
        cache.marks().local_purge(&url("/b"), Mode::Hard);
        let purger = Arc::clone(&cache);
        once(point, move || {
            purger.marks().local_purge(&url("/a"), Mode::Hard);
            found(&purger, "/b");
        });
        sweep(&cache);
        if point == Point::PublishAndBump {
            // No sweep comes there.
            cache.marks().local_purge(&url("/c"), Mode::Hard);
        }
        let was_reached = cache.marks().count().changes > 1;
        sweep(&cache);
        assert_eq!(found(&cache, "/b"), None, "{point:?}");
        if was_reached {
            assert_eq!(found(&cache, "/a"), None, "{point:?}");
        }
    }
}
