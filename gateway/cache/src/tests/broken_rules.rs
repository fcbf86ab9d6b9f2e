//! Each rule, broken alone: what goes wrong then, and does not while it is kept. A simulation breaks the same ones.

use super::{
    interleave::{once, reach},
    *,
};
use crate::rules::{Point, Rules};
use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, SystemTime},
};

/// Breaks the rules named, and no other; and steps between two steps.
macro_rules! broken {
    ($($name:ident: $($rule:ident)?;)*) => {$(
        struct $name;
        impl Rules for $name {
            $(const $rule: bool = false;)?
            fn reach(point: Point) {
                reach(point);
            }
        }
    )*};
}
broken! {
    AllKept: ;
    NoLive: LIVE;
    NoGenerations: GENERATIONS;
    CounterFirst: PUBLISH_BEFORE_COUNTER;
    LookFirst: COUNTER_BEFORE_LOOK;
    MarksFirst: TRUST_BEFORE_LOOK;
    NoSecondQuestion: ASK_AGAIN_BEFORE_STALE;
    IsolatedUsesAnything: FETCHED_AFTER_ARRIVAL;
}

fn new<R: Rules>() -> Arc<Cache<(), R>> {
    let clock = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
    Cache::new(PLENTY, Marks::open(clock, MarkBounds::default()))
}

fn fill<R: Rules>(
    cache: &Arc<Cache<(), R>>,
    fetch: Fetch,
    body: &'static str,
) -> Result<(), Refusal> {
    let record = Record::of_fetch(identity("/a", &[]), fetch, ());
    let mut writer = cache.fill(key("/a"), record, ANY_SIZE)?;
    writer
        .write(&bytes::Bytes::from_static(body.as_bytes()))
        .unwrap();
    writer.finish()
}

fn stored<R: Rules>() -> Arc<Cache<(), R>> {
    let cache = new();
    let fetching = cache.begin_fetch();
    fill(&cache, *fetching, "old").unwrap();
    cache
}

fn is_found<R: Rules>(cache: &Cache<(), R>) -> bool {
    cache.find(key("/a")).is_some()
}

fn purge<R: Rules>(cache: &Cache<(), R>) {
    cache.marks().local_purge(&url("/a"), Mode::Hard);
}

/// What is purged is not found.
fn live_holds<R: Rules>() -> bool {
    let cache = stored::<R>();
    purge(&cache);
    !is_found(&cache)
}

/// An answer that comes late does not replace a newer one.
fn generations_hold<R: Rules>() -> bool {
    let cache = new::<R>();
    let (early, late) = (cache.begin_fetch(), cache.begin_fetch());
    fill(&cache, *late, "new").unwrap();
    fill(&cache, *early, "old").is_err()
}

/// A 304 that comes late does not replace a newer one.
fn generations_of_validations_hold<R: Rules>() -> bool {
    let cache = stored::<R>();
    let base = cache.find(key("/a")).unwrap().record;
    let (early, late) = (cache.begin_fetch(), cache.begin_fetch());
    let renew = |fetch| {
        let record = Record::of_validation(&base, base.identity(), fetch, ());
        cache.revalidate(key("/a"), record)
    };
    renew(*late).unwrap();
    renew(*early).is_err()
}

/// A look-up between the two steps of a purge remembers nothing that outlives it.
fn publishing_first_holds<R: Rules>() -> bool {
    let cache = stored::<R>();
    let reader = Arc::clone(&cache);
    once(Point::PublishAndBump, move || {
        is_found(&reader);
    });
    purge(&cache);
    !is_found(&cache)
}

/// A purge between the two steps of a look-up is seen by the next one.
fn counting_first_holds<R: Rules>() -> bool {
    let cache = stored::<R>();
    cache.marks().local_purge(&url("/other"), Mode::Hard);
    let purger = Arc::clone(&cache);
    once(Point::LookAndRemember, move || purge(&purger));
    is_found(&cache);
    !is_found(&cache)
}

/// What was purged since it was found is not served stale.
fn asking_again_holds<R: Rules>() -> bool {
    let cache = stored::<R>();
    let found = cache.find(key("/a")).unwrap();
    purge(&cache);
    let asked = cache.ask_before_stale(&found.record, found.liveness, Trust::Marks);
    asked == Err(StaleRefusal::Dead(Death::PurgedUrl))
}

/// An edge that catches up while a request judges what it found: the purge is obeyed, and then the edge is trusted.
fn trusting_first_holds<R: Rules>() -> bool {
    let cache = stored::<R>();
    let found = cache.find(key("/a")).unwrap();
    let arrival = cache.arrive();
    let is_isolated = Arc::new(AtomicBool::new(true));
    let (marks, caught_up) = (Arc::clone(&cache), Arc::clone(&is_isolated));
    once(Point::TrustAndLook, move || {
        purge(&marks);
        caught_up.store(false, Relaxed);
    });
    let judged = cache.judge(&found.record, || {
        if is_isolated.load(Relaxed) {
            Trust::Isolated(arrival)
        } else {
            Trust::Marks
        }
    });
    !matches!(judged, Judged::Usable(_))
}

/// An isolated edge does not use what it had before the request came.
fn isolation_holds<R: Rules>() -> bool {
    let cache = stored::<R>();
    let trust = Trust::Isolated(cache.arrive());
    let found = cache.find(key("/a")).unwrap();
    let judged = cache.judge(&found.record, || trust);
    matches!(judged, Judged::Doubtful(_))
}

type Rule = (&'static str, fn() -> bool);

fn all<R: Rules>() -> [Rule; 8] {
    [
        ("live", live_holds::<R>),
        ("generations of fills", generations_hold::<R>),
        (
            "generations of validations",
            generations_of_validations_hold::<R>,
        ),
        ("publish before counter", publishing_first_holds::<R>),
        ("counter before look", counting_first_holds::<R>),
        ("trust before look", trusting_first_holds::<R>),
        ("ask again before stale", asking_again_holds::<R>),
        ("fetched after arrival", isolation_holds::<R>),
    ]
}

fn fail<R: Rules>() -> Vec<&'static str> {
    let rules = all::<R>().into_iter();
    rules
        .filter(|(_, holds)| !holds())
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn each_rule_is_needed_and_breaks_alone() {
    assert_eq!(fail::<AllKept>(), [""; 0]);
    let generations = ["generations of fills", "generations of validations"];
    assert_eq!(fail::<NoGenerations>(), generations);
    assert_eq!(fail::<CounterFirst>(), ["publish before counter"]);
    assert_eq!(fail::<LookFirst>(), ["counter before look"]);
    assert_eq!(fail::<MarksFirst>(), ["trust before look"]);
    assert_eq!(fail::<NoSecondQuestion>(), ["ask again before stale"]);
    assert_eq!(fail::<IsolatedUsesAnything>(), ["fetched after arrival"]);
    // Whatever else a purge is for falls with the rule.
    let of_purges = [
        "live",
        "publish before counter",
        "counter before look",
        "ask again before stale",
    ];
    assert_eq!(fail::<NoLive>(), of_purges);
}
