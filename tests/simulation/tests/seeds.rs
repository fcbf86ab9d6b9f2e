//! The seeds that every change is tested with: all that must be true is, in every world, whatever goes wrong in it.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::print_stderr)] // the helpers of tests too

use latencify_simulation::{many::run_many, plan::Breaks, rules::Shipped, world::run};

/// The first seeds; `SEEDS=100000` for more.
const SEEDS: u64 = 1000;

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
        let missing = many.faults.missing();
        assert!(missing.is_empty(), "never happened: {missing:?}");
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

/// A rule that no seed broke by chance: it once did.
#[test]
fn seeds_that_once_failed_do_not() {
    // (seed, what was wrong)
    let once = [
        (
            42,
            "a process was taken out of the roster while its lease ran",
        ),
        (
            146,
            "a process was taken out of the roster while its lease ran",
        ),
        (
            217,
            "an edge did not see that the last delivery was kept from it",
        ),
        (
            7580,
            "an edge on `serve` was bound by what came after it had answered",
        ),
    ];
    for (seed, what) in once {
        let ended = run::<Shipped>(seed, Breaks::default(), false);
        assert_eq!(ended.violation, None, "seed {seed}: {what}");
    }
}
