//! The simulation by hand.
//!
//! - `simulate SEED`: runs one seed's world and tells all that happened, up to what was not true.
//! - `simulate FROM..TO`: runs many, tells which failed, and what went wrong in all of them.
//!
//! Either takes the name of a rule to be broken (`without_hold`) and of what the worlds are about (`restores`).
//!
//! `cargo run -p latencify-simulation --example simulate -- 17`

#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for people

use latencify_simulation::{
    breaks::Breaks,
    focus::Focus,
    many::run_many,
    rules::Shipped,
    world::{Ended, run},
};
use std::{
    ops::Range,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// How often progress is told.
const TOLD_EVERY: u64 = 1000;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1).unwrap_or_default();
    let Some(breaks) = breaks(std::env::args().skip(2)) else {
        eprintln!("there is no such rule, and worlds are about nothing of that name");
        return ExitCode::from(2);
    };
    if let Ok(seed) = argument.parse() {
        return one(seed, breaks);
    }
    let range = argument
        .split_once("..")
        .and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    if let Some(seeds) = range {
        return many(seeds, breaks);
    }
    eprintln!("simulate SEED, or simulate FROM..TO");
    ExitCode::from(2)
}

fn breaks(names: impl Iterator<Item = String>) -> Option<Breaks> {
    let mut breaks = Breaks::NONE;
    for name in names {
        let focus = Focus::ALL.into_iter().find(|focus| focus.as_str() == name);
        breaks = match focus {
            Some(_) => Breaks { focus, ..breaks },
            None => Breaks {
                focus: breaks.focus,
                ..Breaks::named(&name)?
            },
        };
    }
    Some(breaks)
}

fn one(seed: u64, breaks: Breaks) -> ExitCode {
    let ended = run::<Shipped>(seed, breaks, true);
    print!("{}", ended.text);
    println!("\nWhat went wrong:\n{}", ended.faults);
    println!(
        "seed {seed}: {} events, {} answers, {} of them stored, {} purges, hash {:016x}",
        ended.events, ended.answers, ended.stored_answers, ended.purges, ended.hash
    );
    match ended.violation {
        None => {
            println!("All that must be true is.");
            ExitCode::SUCCESS
        }
        Some(violation) => {
            println!("NOT TRUE: {}: {}", violation.invariant, violation.text);
            ExitCode::FAILURE
        }
    }
}

fn many(seeds: Range<u64>, breaks: Breaks) -> ExitCode {
    let began = Instant::now();
    let all = seeds.end.saturating_sub(seeds.start);
    let told = AtomicUsize::new(0);
    let many = run_many::<Shipped>(seeds, breaks, |many| {
        // One world at a time comes here: what is new failed just now.
        if told.swap(many.failed.len(), Ordering::Relaxed) < many.failed.len() {
            many.failed.last().into_iter().for_each(tell);
        }
        if many.worlds.is_multiple_of(TOLD_EVERY) {
            let (done, failed) = (many.worlds, many.failed.len());
            eprintln!(
                "{done} of {all} seeds in {:?}, {failed} failed",
                rounded(began)
            );
        }
        true
    });
    println!("What went wrong, in all worlds:\n{}", many.faults);
    println!(
        "{} seeds in {:?}: {} events, {} answers, {} of them stored, {} purges",
        many.worlds,
        rounded(began),
        many.events,
        many.answers,
        many.stored_answers,
        many.purges
    );
    if many.failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!(
        "{} failed. To see one: cargo run -p latencify-simulation --example simulate -- SEED",
        many.failed.len()
    );
    ExitCode::FAILURE
}

/// Tells what was not true in a world, as soon as that is known: many worlds take long.
fn tell(failed: &Ended) {
    if let Some(violation) = &failed.violation {
        println!(
            "seed {}: NOT TRUE: {}: {}",
            failed.seed, violation.invariant, violation.text
        );
    }
}

fn rounded(since: Instant) -> Duration {
    Duration::from_secs(since.elapsed().as_secs())
}
