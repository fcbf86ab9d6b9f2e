//! What an isolated edge may use: what began to be fetched, or validated, after the request came, and nothing else.

use super::*;

fn store(cache: &Arc<Cache<()>>, fetching: &Fetching) {
    let record = Record::of_fetch(identity("/a", &[]), **fetching, ());
    cache
        .fill(key("/a"), record, ANY_SIZE)
        .unwrap()
        .finish()
        .unwrap();
}

fn is_usable(cache: &Cache<()>, arrival: Arrival) -> bool {
    let found = cache.find(key("/a")).expect("it is stored");
    match cache.judge(&found.record, || Trust::Isolated(arrival)) {
        Judged::Usable(_) => true,
        Judged::Doubtful(_) => false,
        Judged::Dead(death) => panic!("{death:?}"),
    }
}

#[test]
fn what_began_before_the_request_came_is_doubtful_however_late_it_ended() {
    let cache = cache(PLENTY);
    assert!(cache.find(key("/a")).is_none());
    let before = cache.begin_fetch();
    let arrival = cache.arrive();
    store(&cache, &before);
    assert!(!is_usable(&cache, arrival));
    let found = cache.find(key("/a")).unwrap();
    assert!(matches!(
        cache.judge(&found.record, || Trust::Marks),
        Judged::Usable(_)
    ));
    let after = cache.begin_fetch();
    store(&cache, &after);
    assert!(is_usable(&cache, arrival));
    assert!(
        !is_usable(&cache, cache.arrive()),
        "the next request doubts it"
    );
}

#[test]
fn an_open_fill_is_trusted_by_its_beginning_as_a_stored_object_is() {
    let cache = cache(PLENTY);
    let (first, fetching, second) = (cache.arrive(), cache.begin_fetch(), cache.arrive());
    let record = Record::of_fetch(identity("/a", &[]), *fetching, ());
    let _filling = cache.fill(key("/a"), record, ANY_SIZE).unwrap();
    assert!(is_usable(&cache, first));
    assert!(!is_usable(&cache, second));
}

#[test]
fn a_validation_that_began_after_the_request_came_makes_what_it_validated_usable() {
    let cache = cache(PLENTY);
    store(&cache, &cache.begin_fetch());
    let arrival = cache.arrive();
    let found = cache.find(key("/a")).unwrap();
    assert!(!is_usable(&cache, arrival), "it was stored before");
    let fetching = cache.begin_fetch();
    let record = Record::of_validation(&found.record, found.record.identity(), *fetching, ());
    cache.revalidate(key("/a"), record).unwrap();
    assert!(is_usable(&cache, arrival));
    assert!(!is_usable(&cache, cache.arrive()));
}

#[test]
fn isolation_serves_nothing_stale_that_was_there_before_and_a_purge_is_told_apart_from_it() {
    let cache = cache(PLENTY);
    store(&cache, &cache.begin_fetch());
    let found = cache.find(key("/a")).unwrap();
    let trust = Trust::Isolated(cache.arrive());
    let ask = |trust| cache.ask_before_stale(&found.record, found.liveness, trust);
    assert_eq!(ask(Trust::Marks), Ok(Liveness::Live));
    assert_eq!(ask(trust), Err(StaleRefusal::Isolated));
    cache.marks().local_purge(&url("/a"), Mode::Soft);
    assert!(matches!(ask(Trust::Marks), Ok(Liveness::SoftPurged { .. })));
    cache.marks().local_purge(&url("/a"), Mode::Hard);
    let refused = ask(Trust::Marks).unwrap_err();
    assert_eq!(
        (refused, refused.name()),
        (StaleRefusal::Dead(Death::PurgedUrl), "purged_url")
    );
    assert_eq!(ask(trust).unwrap_err().name(), "isolated");
}

/// A crowd that comes while an isolated edge fetches: those who come too late for that fetch may wait for it, and find
/// that it began before they came; then one of them fetches for all the others. Two fetches, not one each.
#[test]
fn a_crowd_at_an_isolated_edge_costs_two_fetches_that_follow_each_other() {
    let cache = cache(PLENTY);
    let first = cache.arrive();
    let leading = cache.begin_fetch();
    let crowd: Vec<Arrival> = (0..10).map(|_| cache.arrive()).collect();
    store(&cache, &leading);
    assert!(is_usable(&cache, first));
    assert!(crowd.iter().all(|&arrival| !is_usable(&cache, arrival)));
    let second = cache.begin_fetch();
    store(&cache, &second);
    assert!(crowd.iter().all(|&arrival| is_usable(&cache, arrival)));
}
