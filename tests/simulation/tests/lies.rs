//! Every invariant is compared: told one thing falsely, some world says that it does not hold.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::print_stderr)] // the helpers of tests too

use latencify_simulation::{
    breaks::Breaks, lies::Lie, many::run_many, rules::Shipped, world::Ended,
};

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
        let is_it = |ended: &Ended| {
            let violation = ended.violation.as_ref();
            violation.is_some_and(|violation| violation.invariant == invariant)
        };
        // A lie may break other invariants too, in worlds that come first.
        let many =
            run_many::<Shipped>(1..WITHIN + 1, breaks, |many| !many.failed.iter().any(is_it));
        let told = many.failed.iter().find(|ended| is_it(ended));
        println!(
            "{lie:?}: {:?}",
            told.map(|ended| (ended.seed, &ended.violation))
        );
        if told.is_none() {
            wrong.push(format!("{lie:?}: never {invariant}, but {:?}", many.failed));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
