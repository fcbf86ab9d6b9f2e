//! A log that goes back to an earlier epoch under the same name: what belongs to the history that was given up is dead,
//! whatever its epochs are called, and is never taken for the other history's.

use super::*;

/// An edge that obeyed 50 of one history, and has gone back to 40 to obey another.
struct Rewound {
    cache: Arc<Cache<()>>,
    /// Stored under epoch 50 of the history that was given up.
    object: Arc<Record<()>>,
    under_way: Fetching,
    filling: Writer<()>,
    validation: Fetching,
}

fn record(path: &str, fetch: &Fetching) -> Record<()> {
    Record::of_fetch(identity(path, &["t"]), **fetch, ())
}

fn store(cache: &Arc<Cache<()>>, path: &str) {
    let fetching = cache.begin_fetch();
    let writer = cache.fill(key(path), record(path, &fetching), ANY_SIZE);
    writer.unwrap().finish().unwrap();
}

fn rewound(restarted: bool) -> Rewound {
    let cache = cache(PLENTY);
    let marks = cache.marks();
    marks.obey(&position(log(1), 45));
    // Of the history that will be given up, and beyond what it will have obeyed.
    marks.apply(&url("/marked"), Mode::Hard, Epoch(60));
    marks.obey(&position(log(1), 50));
    store(&cache, "/object");
    let object = cache.find(key("/object")).unwrap().record;
    let (under_way, validation) = (cache.begin_fetch(), cache.begin_fetch());
    let filling = cache
        .fill(key("/filling"), record("/filling", &under_way), ANY_SIZE)
        .unwrap();
    if restarted {
        let written = marks.snapshot().encode().unwrap();
        marks.restore(MarksSnapshot::decode(&written).unwrap(), LocalMarks::Known);
    }
    marks.raise_floor(&position(log(1), 40));
    Rewound {
        cache,
        object,
        under_way,
        filling,
        validation,
    }
}

/// Obeys entries of the other history, none of which names anything of here.
fn obey_up_to(marks: &Marks, epoch: u64) {
    for epoch in 41..=epoch {
        marks.apply(&url("/elsewhere"), Mode::Hard, Epoch(epoch));
        marks.obey(&position(log(1), epoch));
    }
}

#[test]
fn nothing_of_the_history_that_was_given_up_is_found_however_far_the_other_one_goes() {
    for restarted in [false, true] {
        for epoch in [40, 41, 50, 60] {
            let Rewound {
                cache,
                object,
                under_way,
                filling,
                validation,
            } = rewound(restarted);
            obey_up_to(cache.marks(), epoch);
            let case = format!("epoch {epoch}, restarted: {restarted}");
            assert_eq!(
                cache.marks().check(&object.identity(), &object.fetch.stamp),
                Liveness::Dead(Death::BelowFloor),
                "{case}"
            );
            assert_eq!(
                cache.ask_before_stale(&object, Liveness::Live, Trust::Marks),
                Err(StaleRefusal::Dead(Death::BelowFloor)),
                "{case}"
            );
            let renewal = Record::of_validation(&object, object.identity(), *validation, ());
            assert_eq!(
                cache.revalidate(key("/object"), renewal),
                Err(Refusal::Purged),
                "{case}"
            );
            for path in ["/object", "/filling"] {
                assert!(cache.find(key(path)).is_none(), "{path}, {case}");
            }
            assert_eq!(filling.finish(), Err(Refusal::Purged), "{case}");
            let late = cache
                .fill(key("/late"), record("/late", &under_way), ANY_SIZE)
                .unwrap();
            assert!(cache.find(key("/late")).is_none(), "{case}");
            assert_eq!(late.finish(), Err(Refusal::Purged), "{case}");
        }
    }
}

#[test]
fn what_is_fetched_under_the_other_history_obeys_its_marks_and_not_those_that_were_given_up() {
    let Rewound { cache, .. } = rewound(false);
    let marks = cache.marks();
    for path in ["/object", "/marked", "/kept"] {
        store(&cache, path);
        assert!(
            cache.find(key(path)).is_some(),
            "{path}: a mark of 60 was given up"
        );
    }
    obey_up_to(marks, 49);
    marks.apply(&url("/object"), Mode::Hard, Epoch(50));
    marks.obey(&position(log(1), 50));
    assert!(
        cache.find(key("/object")).is_none(),
        "purged by 50 of this history"
    );
    assert!(cache.find(key("/kept")).is_some());
}

/// Marks of an entry may be published when the stream breaks off before it is obeyed; another history may then go on
/// from where the edge stands, with other entries under the same epochs.
#[test]
fn a_mark_that_was_published_and_never_obeyed_kills_too_much_and_nothing_too_late() {
    let cache = cache(PLENTY);
    let marks = cache.marks();
    marks.obey(&position(log(1), 40));
    marks.apply(&url("/given-up"), Mode::Hard, Epoch(43));
    marks.apply(&url("/a"), Mode::Hard, Epoch(41));
    marks.obey(&position(log(1), 41));
    let record = |path: &str| Record::of_fetch(identity(path, &[]), *cache.begin_fetch(), ());
    assert_eq!(record("/a").liveness(marks), Liveness::Live);
    assert!(
        record("/given-up").liveness(marks).is_dead(),
        "until 43 is obeyed"
    );
    marks.obey(&position(log(1), 43));
    assert_eq!(record("/given-up").liveness(marks), Liveness::Live);
}

#[test]
fn a_reader_does_not_wait_for_a_fetch_of_the_history_that_was_given_up() {
    let marks = Marks::new();
    marks.obey(&position(log(1), 50));
    let before = marks.slot(key("/a").to_key(), SITE, "/a");
    marks.raise_floor(&position(log(1), 40));
    let after = marks.slot(key("/a").to_key(), SITE, "/a");
    assert!(!after.newest.is_covered_by(&before.seen));
    assert!(after.newest.is_covered_by(&after.seen));
}

/// The ids of a request's policy are of the history under which that policy came into force: nothing that the request brings may
/// be stored under the other one, whose purges name other ids.
#[test]
fn a_request_of_before_the_edge_started_over_stores_nothing_and_purges_too_much() {
    let cache = cache(PLENTY);
    let marks = cache.marks();
    marks.raise_floor(&position(log(1), 50));
    let (before, of_before) = (marks.history(), cache.arrive());
    assert!(cache.begin_fetch_for(of_before).is_some());
    // Another log, an older copy of the same one, and the very same place once more: each is another history.
    for start in [
        position(log(2), 50),
        position(log(1), 40),
        position(log(1), 50),
    ] {
        marks.raise_floor(&start);
        assert!(!marks.is_of(before), "{start:?}");
        assert!(cache.begin_fetch_for(of_before).is_none(), "{start:?}");
        assert_eq!(marks.named(url("/a"), before), Target::All, "{start:?}");
        let now = cache.arrive();
        assert!(cache.begin_fetch_for(now).is_some(), "{start:?}");
        assert_eq!(marks.named(url("/a"), now.history()), url("/a"));
    }
    // Obeying more of one history is no other.
    let now = marks.history();
    obey_up_to(marks, 60);
    assert_eq!(marks.history(), now);
}

#[test]
fn a_restart_goes_on_in_the_history_that_was_saved_and_a_saved_policy_is_of_its_own() {
    let marks = Marks::new();
    assert_eq!(marks.history(), History::default());
    marks.raise_floor(&position(log(1), 50));
    let saved = marks.history();
    let again = Marks::new();
    assert_eq!(
        saved.of_saved(again.history()),
        History::default(),
        "nothing is obeyed yet"
    );
    again.restore(marks.snapshot(), LocalMarks::Lost);
    assert_eq!(again.history(), saved);
    assert_eq!(saved.of_saved(again.history()), saved);
    again.raise_floor(&position(log(1), 40));
    assert_eq!(saved.of_saved(again.history()), saved);
    assert!(!again.is_of(saved));
}
