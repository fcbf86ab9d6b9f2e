//! The judge, on a clock turned by hand.

use super::{canary_then_all, process};
use crate::rollout::{
    Rollout,
    judge::{Seen, Verdict, Wait, Watch},
};
use latencify_conf::{
    change::{Gate, Gates, Plan, Revision, RolloutEnd, RolloutStep, Stage},
    digest::Digest,
    link::health::Health,
};
use std::{collections::BTreeMap, time::Duration};

const CANDIDATE: (Revision, Digest) = (Revision(2), Digest([2; 32]));
const STABLE: (Revision, Digest) = (Revision(1), Digest([1; 32]));

fn rollout(plan: Plan, stage: u32) -> Rollout {
    Rollout {
        revision: CANDIDATE.0,
        stable: None,
        plan,
        stage,
        step: stage,
        paused: false,
    }
}

fn edge(number: u128, name: &str, stage: u32) -> Seen {
    let covers = |stage| canary_then_all().covers(stage, name, &BTreeMap::default());
    Seen {
        process: process(number),
        edge: name.to_owned(),
        covered: covers(stage),
        covered_before: stage.checked_sub(1).is_some_and(covers),
        connected: true,
        running: Some(CANDIDATE),
        failed: None,
        health: None,
    }
}

fn answered(requests: u64, errors: u64) -> Health {
    let mut health = Health::none(CANDIDATE.0, CANDIDATE.1);
    (health.requests, health.errors) = (requests, errors);
    (health.lookups, health.hits) = (requests, requests / 4);
    health.first_byte[Health::bucket(150)] = requests;
    health
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Looks at each second from the start, and gives the first verdict that is not to wait, with its second.
fn until_done(rollout: &Rollout, edges: &[Seen], last: u64) -> Option<(u64, Verdict)> {
    let mut watch = Watch::new(rollout, at(0));
    (0..=last).find_map(
        |second| match watch.judge(rollout, CANDIDATE.1, edges, at(second)) {
            Verdict::Wait(_) => None,
            verdict => Some((second, verdict)),
        },
    )
}

#[track_caller]
fn returned(found: Option<(u64, Verdict)>, second: u64, gate: Gate, edge: &str, figure: &str) {
    match found {
        Some((when, Verdict::End(RolloutEnd::Returned(failure)))) => {
            assert_eq!((when, failure.gate, &*failure.edge), (second, gate, edge));
            assert!(failure.figure.contains(figure), "{failure}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stage_that_has_soaked_gives_way_to_the_next_and_the_last_ends_it() {
    let edges = |stage| [edge(1, "paris", stage), edge(2, "tokyo", stage)];
    let first = until_done(&rollout(canary_then_all(), 0), &edges(0), 60);
    assert_eq!(first, Some((10, Verdict::Step(RolloutStep::Stage(1)))));
    let last = until_done(&rollout(canary_then_all(), 1), &edges(1), 60);
    assert_eq!(last, Some((10, Verdict::End(RolloutEnd::Completed))));
}

#[test]
fn an_edge_that_can_not_build_it_or_answers_5xx_sends_it_back_at_once() {
    let here = rollout(canary_then_all(), 0);
    let mut paris = edge(1, "paris", 0);
    paris.health = Some(answered(200, 3));
    returned(
        until_done(&here, &[paris], 60),
        0,
        Gate::Errors5xx,
        "paris",
        "1.5% (3 of 200",
    );
    let mut paris = edge(1, "paris", 0);
    (paris.running, paris.failed) = (Some(STABLE), Some("no such file".into()));
    returned(
        until_done(&here, &[paris], 60),
        0,
        Gate::Build,
        "paris",
        "no such file",
    );
    // An edge that it has not reached says nothing of it.
    let mut tokyo = edge(2, "tokyo", 0);
    (tokyo.running, tokyo.health) = (Some(STABLE), Some(answered(200, 200)));
    let found = until_done(&here, &[edge(1, "paris", 0), tokyo], 60);
    assert_eq!(found, Some((10, Verdict::Step(RolloutStep::Stage(1)))));
}

#[test]
fn a_gate_says_nothing_before_there_are_enough_requests_or_within_its_limit() {
    let here = rollout(canary_then_all(), 0);
    for (requests, errors) in [(99, 99), (200, 2), (0, 0)] {
        let mut paris = edge(1, "paris", 0);
        paris.health = Some(answered(requests, errors));
        let found = until_done(&here, &[paris], 60);
        assert_eq!(
            found,
            Some((10, Verdict::Step(RolloutStep::Stage(1)))),
            "{errors} of {requests}"
        );
    }
}

#[test]
fn hits_and_times_are_judged_when_the_soak_is_over() {
    let gates = |gates: Gates| Plan {
        gates,
        ..canary_then_all()
    };
    let hits = gates(Gates {
        hits_ppm_min: Some(500_000),
        ..Gates::default()
    });
    let slow = gates(Gates {
        p99_ms_max: Some(100),
        ..Gates::default()
    });
    let mut paris = edge(1, "paris", 0);
    paris.health = Some(answered(400, 0));
    for (plan, gate, figure) in [(hits, Gate::HitRatio, "25.0%"), (slow, Gate::P99, "199 ms")] {
        let found = until_done(&rollout(plan, 0), std::slice::from_ref(&paris), 60);
        returned(found, 10, gate, "paris", figure);
    }
}

#[test]
fn an_edge_that_does_not_run_it_in_time_sends_it_back() {
    let here = rollout(canary_then_all(), 0);
    let mut stale = edge(1, "paris", 0);
    stale.running = Some(STABLE);
    returned(
        until_done(&here, &[stale], 60),
        5,
        Gate::Digest,
        "paris",
        "runs revision 1",
    );
    // Its revision says nothing, if the digest of what really runs is another.
    let mut forged = edge(1, "paris", 0);
    forged.running = Some((CANDIDATE.0, STABLE.1));
    returned(
        until_done(&here, &[forged], 60),
        5,
        Gate::Digest,
        "paris",
        "sha256:0101",
    );
    let away = Seen {
        connected: false,
        ..edge(1, "paris", 0)
    };
    returned(
        until_done(&here, &[away], 60),
        5,
        Gate::Digest,
        "paris",
        "not connected",
    );
    returned(
        until_done(&here, &[], 60),
        5,
        Gate::Digest,
        "paris",
        "not connected",
    );
}

#[test]
fn an_edge_that_dies_of_it_sends_it_back_and_one_that_was_gone_before_does_not() {
    let here = rollout(canary_then_all(), 0);
    let mut watch = Watch::new(&here, at(0));
    let (alive, dead) = (
        edge(1, "paris", 0),
        Seen {
            connected: false,
            ..edge(1, "paris", 0)
        },
    );
    let mut judge = |edge: &Seen, second| {
        watch.judge(&here, CANDIDATE.1, std::slice::from_ref(edge), at(second))
    };
    assert_eq!(judge(&alive, 1), Verdict::Wait(Wait::Soaking(at(0))));
    assert!(matches!(judge(&dead, 8), Verdict::Wait(Wait::Unsettled(_))));
    returned(
        Some((13, judge(&dead, 13))),
        13,
        Gate::Digest,
        "paris",
        "not connected",
    );
    // In the last stage, one that nobody has named and that was away all the time holds up nothing for ever.
    let last = rollout(canary_then_all(), 1);
    let gone = Seen {
        connected: false,
        ..edge(2, "tokyo", 1)
    };
    let found = until_done(&last, &[edge(1, "paris", 1), gone], 60);
    assert_eq!(found, Some((5, Verdict::End(RolloutEnd::Completed))));
}

#[test]
fn whatever_unsettles_a_stage_has_it_soak_anew() {
    let here = rollout(canary_then_all(), 0);
    let mut watch = Watch::new(&here, at(0));
    let (runs, other) = (
        edge(1, "paris", 0),
        Seen {
            running: Some(STABLE),
            ..edge(1, "paris", 0)
        },
    );
    let mut judge = |edge: &Seen, second| {
        watch.judge(&here, CANDIDATE.1, std::slice::from_ref(edge), at(second))
    };
    judge(&runs, 0);
    judge(&other, 9);
    assert_eq!(judge(&runs, 10), Verdict::Wait(Wait::Soaking(at(0))));
    assert_eq!(judge(&runs, 19), Verdict::Wait(Wait::Soaking(at(9))));
    assert_eq!(judge(&runs, 20), Verdict::Step(RolloutStep::Stage(1)));
}

#[test]
fn paused_nothing_moves_on_but_a_gate_still_sends_it_back() {
    let mut here = rollout(canary_then_all(), 0);
    here.paused = true;
    let mut watch = Watch::new(&here, at(0));
    let fine = edge(1, "paris", 0);
    let judge = |watch: &mut Watch, here: &Rollout, edge: &Seen, second| {
        watch.judge(here, CANDIDATE.1, std::slice::from_ref(edge), at(second))
    };
    assert_eq!(
        judge(&mut watch, &here, &fine, 100),
        Verdict::Wait(Wait::Paused)
    );
    here.paused = false;
    assert_eq!(
        judge(&mut watch, &here, &fine, 101),
        Verdict::Wait(Wait::Soaking(at(0))),
        "the soak begins anew"
    );
    here.paused = true;
    let bad = Seen {
        health: Some(answered(200, 100)),
        ..fine
    };
    let found = judge(&mut watch, &here, &bad, 102);
    returned(Some((0, found)), 0, Gate::Errors5xx, "paris", "50.0%");
}

#[test]
fn what_was_answered_before_a_stage_began_does_not_hide_what_is_answered_in_it() {
    let mut watch = Watch::new(&rollout(canary_then_all(), 0), at(0));
    let mut paris = edge(1, "paris", 0);
    paris.health = Some(answered(100_000, 0));
    let first = rollout(canary_then_all(), 0);
    watch.judge(&first, CANDIDATE.1, std::slice::from_ref(&paris), at(1));
    let last = rollout(canary_then_all(), 1);
    let mut here = edge(1, "paris", 1);
    here.health = Some(answered(100_000, 0));
    watch.judge(&last, CANDIDATE.1, std::slice::from_ref(&here), at(2));
    here.health = Some(answered(100_200, 10));
    let found = watch.judge(&last, CANDIDATE.1, std::slice::from_ref(&here), at(3));
    returned(
        Some((3, found)),
        3,
        Gate::Errors5xx,
        "paris",
        "5.0% (10 of 200",
    );
}

#[test]
fn a_stage_that_adds_nobody_is_passed_over_and_a_fleet_that_is_not_back_yet_is_waited_for() {
    let plan = Plan {
        stages: vec![Stage::Percent(1), Stage::Percent(100)],
        ..canary_then_all()
    };
    let nobody = Seen {
        covered: false,
        ..edge(1, "paris", 0)
    };
    let found = until_done(&rollout(plan.clone(), 0), &[nobody], 60);
    assert_eq!(found, Some((0, Verdict::Step(RolloutStep::Stage(1)))));
    // Control has just started: nobody is connected yet.
    let away = Seen {
        connected: false,
        running: None,
        ..edge(1, "paris", 1)
    };
    let here = rollout(plan, 1);
    let mut watch = Watch::new(&here, at(0));
    let found = watch.judge(&here, CANDIDATE.1, &[away], at(1));
    assert!(
        matches!(found, Verdict::Wait(Wait::Unsettled(_))),
        "{found:?}"
    );
}
