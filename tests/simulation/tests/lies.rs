//! Every invariant is compared: told one thing falsely, a world says that this one does not hold, and no other.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::print_stderr)] // the helpers of tests too

use latencify_simulation::{lies::Lie, many::run_many, plan::Breaks, rules::Shipped};

/// One of so many seeds shows each lie.
const WITHIN: u64 = 40;

#[test]
fn each_lie_is_told_by_the_invariant_that_it_breaks() {
    let mut wrong = Vec::new();
    for (lie, invariant) in Lie::ALL {
        let breaks = Breaks {
            lie: Some(lie),
            ..Breaks::NONE
        };
        let many = run_many::<Shipped>(1..WITHIN + 1, breaks, |many| many.failed.is_empty());
        let found = many.failed.first().map(|failed| {
            let violation = failed.violation.as_ref().expect("it failed");
            (failed.seed, violation.invariant, violation.text.clone())
        });
        println!("{lie:?}: {found:?}");
        if found.as_ref().map(|(_, found, _)| *found) != Some(invariant) {
            wrong.push(format!("{lie:?}: {found:?} instead of {invariant}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
