//! Every rule is needed: without it, one of the first seeds finds something that is not true, and with it none of them does.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::print_stderr)] // the helpers of tests too

use latencify_cache::rules::Rules;
use latencify_simulation::{
    many::run_many,
    plan::Breaks,
    rules::{
        CounterFirst, LookFirst, ServesIsolated, Shipped, StaleAsFound, WithoutGenerations,
        WithoutLive,
    },
    world::run,
};

const KEPT: Breaks = Breaks {
    ack_before_publish: false,
    lease_from_answer: false,
    promises_the_removed: false,
    restores_at_once: false,
};

/// One of the seeds up to `within` fails with one of these invariants when the rule is broken, and with all rules kept those
/// that fail first do not.
fn check<R: Rules>(breaks: Breaks, within: u64, expected: &[&str]) {
    let broken = run_many::<R>(1..within + 1, breaks, |many| many.failed.is_empty());
    let Some(failed) = broken.failed.first() else {
        panic!("{within} seeds found nothing wrong");
    };
    let violation = failed.violation.as_ref().expect("it failed");
    assert!(
        expected.contains(&violation.invariant),
        "seed {}: {}: {}",
        failed.seed,
        violation.invariant,
        violation.text
    );
    for failed in &broken.failed {
        let kept = run::<Shipped>(failed.seed, KEPT, false);
        assert_eq!(
            kept.violation, None,
            "seed {} with all rules kept",
            failed.seed
        );
    }
}

#[test]
fn what_a_purge_names_is_dead() {
    check::<WithoutLive>(
        KEPT,
        10,
        &["receipt", "obeyed_purge", "floor", "equal_marks"],
    );
}

#[test]
fn what_a_later_fetch_brought_stays() {
    check::<WithoutGenerations>(KEPT, 50, &["nothing_goes_back"]);
}

#[test]
fn a_change_is_published_before_the_counter_says_so() {
    check::<CounterFirst>(KEPT, 100, &["receipt", "obeyed_purge", "floor"]);
}

#[test]
fn the_counter_is_loaded_before_the_look() {
    check::<LookFirst>(KEPT, 200, &["receipt", "obeyed_purge", "floor"]);
}

#[test]
fn whoever_serves_stale_asks_again() {
    check::<StaleAsFound>(KEPT, 100, &["receipt", "obeyed_purge", "floor"]);
}

#[test]
fn an_isolated_edge_doubts_what_it_has() {
    check::<ServesIsolated>(KEPT, 50, &["receipt"]);
}

#[test]
fn marks_are_published_before_they_are_acked() {
    let breaks = Breaks {
        ack_before_publish: true,
        ..KEPT
    };
    check::<Shipped>(breaks, 20, &["receipt", "obeyed_purge", "equal_marks"]);
}

#[test]
fn a_lease_counts_from_the_heartbeat() {
    let breaks = Breaks {
        lease_from_answer: true,
        ..KEPT
    };
    check::<Shipped>(breaks, 500, &["receipt"]);
}
