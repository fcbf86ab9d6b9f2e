//! The seeds that every change is tested with: all that must be true is, in every world, whatever goes wrong in it.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::print_stderr)] // the helpers of tests too

use latencify_simulation::{
    breaks::Breaks,
    focus::Focus,
    many::run_many,
    rules::{AnyHistory, Shipped},
    world::run,
};

/// The first seeds; `SEEDS=100000` for more.
const SEEDS: u64 = 1000;
/// Each fault happens in them at least so often.
const SELDOM: u64 = 10;

fn seeds() -> u64 {
    let wanted = std::env::var("SEEDS").ok();
    wanted.map_or(SEEDS, |seeds| seeds.parse().expect("SEEDS is a number"))
}

#[test]
fn whatever_goes_wrong_all_that_must_be_true_is() {
    let many = run_many::<Shipped>(1..seeds() + 1, Breaks::default(), |many| {
        if many.worlds.is_multiple_of(1000) {
            eprintln!("{} seeds, {} failed", many.worlds, many.failed.len());
        }
        many.failed.len() < 20
    });
    println!(
        "{} seeds: {} events, {} answers, {} of them stored, {} purges\n{}",
        many.worlds, many.events, many.answers, many.stored_answers, many.purges, many.faults
    );
    let failed: Vec<_> = many
        .failed
        .iter()
        .filter_map(|ended| {
            let violation = ended.violation.as_ref()?;
            Some(format!(
                "seed {}: {}: {}\n  cargo run -p latencify-simulation --example simulate -- {}",
                ended.seed, violation.invariant, violation.text, ended.seed
            ))
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    if many.worlds >= SEEDS {
        let seldom = many.faults.seldom(SELDOM);
        assert!(seldom.is_empty(), "happened too seldom: {seldom:?}");
    }
}

#[test]
fn a_seed_goes_the_same_way_twice() {
    for seed in [1, 2, 3, 42, 146] {
        let [first, second] =
            [false, true].map(|text| run::<Shipped>(seed, Breaks::default(), text));
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert_eq!(
            (first.events, first.answers),
            (second.events, second.answers)
        );
    }
}

/// Each fails when its rule is broken once more, and does not while the rule is kept.
#[test]
fn seeds_that_once_failed_do_not() {
    let late_words = Some(Focus::LateWords);
    let old_stores = Some(Focus::OldStores);
    let once = [
        (
            33,
            Breaks {
                removals_outlive_their_run: true,
                focus: late_words,
                ..Breaks::NONE
            },
            "a removal in doubt took effect when its writer was gone and the process had been welcomed again",
        ),
        (
            55,
            Breaks {
                promises_the_removed: true,
                focus: late_words,
                ..Breaks::NONE
            },
            "a process was taken out of the roster while its lease ran",
        ),
        (
            64,
            Breaks {
                serves_an_old_fold: true,
                focus: old_stores,
                ..Breaks::NONE
            },
            "a replica on an older copy told a head from before purges that were complete",
        ),
        (
            117,
            Breaks {
                serves_an_old_fold: true,
                focus: old_stores,
                ..Breaks::NONE
            },
            "a replica on an older copy told a head from before purges that were complete",
        ),
        (
            3,
            Breaks {
                announces_blindly: true,
                focus: Some(Focus::LateAnnouncements),
                ..Breaks::NONE
            },
            "a dead run's announcement replaced the run that served, which ended, and no write was answered any more",
        ),
    ];
    for (seed, broken, what) in once {
        let again = run::<Shipped>(seed, broken, false).violation;
        assert!(again.is_some(), "seed {seed} does not show it: {what}");
        let kept = Breaks {
            focus: broken.focus,
            ..Breaks::NONE
        };
        let ended = run::<Shipped>(seed, kept, false);
        assert_eq!(ended.violation, None, "seed {seed}: {what}");
    }
}

/// A request that was under way when its edge started over on another history kept the ids of its policy: what it brought was stored
/// where no purge of that history found it, and served to others of before.
#[test]
fn seeds_in_which_requests_outlived_a_history_do_not_fail() {
    for seed in [32721, 52650] {
        let broken = run::<AnyHistory>(seed, Breaks::NONE, false).violation;
        assert!(broken.is_some(), "seed {seed} does not show it");
        let kept = run::<Shipped>(seed, Breaks::NONE, false).violation;
        assert_eq!(kept, None, "seed {seed}");
    }
}
