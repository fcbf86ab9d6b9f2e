//! Every rule is needed: without it, one of the first seeds finds something that is not true, and with it none of them does.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::print_stderr)] // the helpers of tests too

use latencify_cache::rules::Rules;
use latencify_simulation::{
    breaks::Breaks,
    focus::Focus,
    many::run_many,
    rules::{
        AnyHistory, CounterFirst, LookFirst, MarksFirst, ServesIsolated, Shipped, StaleAsFound,
        WithoutGenerations, WithoutLive,
    },
};

const KEPT: Breaks = Breaks::NONE;

/// With the rule broken, one of the seeds up to `within` fails, with one of these invariants; with all rules kept, none of the
/// seeds up to there does.
fn check<R: Rules>(breaks: Breaks, within: u64, expected: &[&str]) {
    let broken = run_many::<R>(1..within + 1, breaks, |many| many.failed.is_empty());
    let Some(failed) = broken.failed.first() else {
        panic!("{within} seeds found nothing wrong");
    };
    let violation = failed.violation.as_ref().expect("it failed");
    println!(
        "seed {}: {}: {}",
        failed.seed, violation.invariant, violation.text
    );
    assert!(
        expected.contains(&violation.invariant),
        "seed {}: {}: {}",
        failed.seed,
        violation.invariant,
        violation.text
    );
    let kept = Breaks {
        focus: breaks.focus,
        ..KEPT
    };
    let kept = run_many::<Shipped>(1..failed.seed + 1, kept, |_| true);
    let wrong = kept.failed.first();
    let wrong = wrong.map(|ended| (ended.seed, ended.violation.clone()));
    assert_eq!(wrong, None, "with all rules kept");
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
    let overtakes = Breaks {
        focus: Some(Focus::Overtakes),
        ..KEPT
    };
    check::<WithoutGenerations>(overtakes, 50, &["nothing_goes_back"]);
}

#[test]
fn a_change_is_published_before_the_counter_says_so() {
    check::<CounterFirst>(KEPT, 100, &["receipt", "obeyed_purge", "floor"]);
}

#[test]
fn the_counter_is_loaded_before_the_look() {
    check::<LookFirst>(KEPT, 200, &["receipt", "obeyed_purge", "floor"]);
}

/// Somebody who asks the marks first may ask those of before the edge caught up, and then hear that it has.
#[test]
fn how_far_the_marks_may_be_trusted_is_asked_before_they_are() {
    let returns = Breaks {
        focus: Some(Focus::Returns),
        ..KEPT
    };
    check::<MarksFirst>(returns, 200, &["receipt", "obeyed_purge", "floor"]);
}

#[test]
fn whoever_serves_stale_asks_again() {
    check::<StaleAsFound>(KEPT, 100, &["receipt", "obeyed_purge", "floor"]);
}

#[test]
fn an_isolated_edge_doubts_what_it_has() {
    check::<ServesIsolated>(KEPT, 50, &["receipt"]);
}

/// An edge runs the policy of the former history until that of the new one is built, and some requests are decided by it for longer:
/// what they bring is stored under ids that no purge of the new history names.
#[test]
fn nothing_is_stored_for_a_policy_of_another_history() {
    let histories = Breaks {
        focus: Some(Focus::Histories),
        ..KEPT
    };
    check::<AnyHistory>(
        histories,
        100,
        &["receipt", "obeyed_purge", "nothing_goes_back"],
    );
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

#[test]
fn what_an_edge_says_to_have_saved_it_has() {
    let breaks = Breaks {
        claims_unsaved: true,
        ..KEPT
    };
    check::<Shipped>(breaks, 20, &["true_receipts", "kept_marks"]);
}

#[test]
fn an_edge_that_has_left_serves_nothing_stored() {
    let breaks = Breaks {
        leaves_before_it_is_drained: true,
        focus: Some(Focus::Drains),
        ..KEPT
    };
    check::<Shipped>(breaks, 100, &["receipt"]);
}

/// A copy that knows of nobody, because everybody had left when it was made, counts on nobody; whoever joined later holds a lease.
#[test]
fn receipts_on_data_that_may_be_older_wait_for_the_leases_that_it_does_not_know() {
    let breaks = Breaks {
        without_hold: true,
        focus: Some(Focus::Restores),
        ..KEPT
    };
    check::<Shipped>(breaks, 100, &["receipt"]);
}

/// A run that is replaced and can't read that would promise leases for ever, and its successor counts them as over.
#[test]
fn a_run_that_has_not_read_its_log_for_too_long_promises_nothing() {
    let breaks = Breaks {
        answers_unread: true,
        focus: Some(Focus::Successions),
        ..KEPT
    };
    check::<Shipped>(breaks, 100, &["receipt", "true_fences"]);
}

#[test]
fn a_run_waits_for_as_long_as_those_before_it_may_promise_anything() {
    let breaks = Breaks {
        alone_at_once: true,
        focus: Some(Focus::Successions),
        ..KEPT
    };
    check::<Shipped>(breaks, 50, &["receipt", "true_fences"]);
}

/// Or a run that is dead replaces the one that serves, which ends, and nobody serves.
#[test]
fn an_announcement_replaces_whom_it_names() {
    let breaks = Breaks {
        announces_blindly: true,
        focus: Some(Focus::LateAnnouncements),
        ..KEPT
    };
    check::<Shipped>(breaks, 50, &["writes_are_answered", "equal_folds"]);
}
