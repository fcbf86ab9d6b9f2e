//! Many seeds, one world a thread at a time.

use crate::{
    breaks::Breaks,
    faults::Faults,
    oracle::Violation,
    world::{Ended, run},
};
use latencify_cache::rules::Rules;
use parking_lot::Mutex;
use std::{
    any::Any,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

/// What came of many worlds.
#[derive(Debug, Default)]
pub struct Many {
    /// Worlds.
    pub worlds: u64,
    /// What went wrong in them.
    pub faults: Faults,
    /// What happened in them.
    pub events: u64,
    /// Answers given.
    pub answers: u64,
    /// Of them, from the store.
    pub stored_answers: u64,
    /// Purges.
    pub purges: u64,
    /// The worlds in which something was not true, by seed.
    pub failed: Vec<Ended>,
}

impl Many {
    fn add(&mut self, ended: Ended) {
        self.worlds += 1;
        self.faults.merge(&ended.faults);
        self.events += ended.events;
        self.answers += ended.answers;
        self.stored_answers += ended.stored_answers;
        self.purges += ended.purges;
        if ended.violation.is_some() {
            self.failed.push(ended);
        }
    }
}

/// Runs the worlds of these seeds on all processors. When `goes_on` says no, no other begins.
pub fn run_many<R: Rules>(
    seeds: Range<u64>,
    breaks: Breaks,
    goes_on: impl Fn(&Many) -> bool + Sync,
) -> Many {
    let next = AtomicU64::new(seeds.start);
    let many = Mutex::new(Many::default());
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let ended = ended::<R>(seed, breaks);
                    let mut many = many.lock();
                    many.add(ended);
                    if !goes_on(&many) {
                        next.store(seeds.end, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut many = many.into_inner();
    many.failed.sort_by_key(|ended| ended.seed);
    many
}

/// Runs a seed's world. A panic in it is its violation, and names the seed as others do; the next worlds go on. Its thread is its
/// own, so that it leaves nothing there to others.
fn ended<R: Rules>(seed: u64, breaks: Breaks) -> Ended {
    let world = thread::scope(|scope| {
        let thread = thread::Builder::new().name(format!("seed {seed}"));
        let world = thread.spawn_scoped(scope, || run::<R>(seed, breaks, false));
        let world = world.map_err(|error| error.to_string())?;
        world.join().map_err(|panic| said(&*panic))
    });
    world.unwrap_or_else(|panicked| Ended {
        seed,
        violation: Some(Violation {
            invariant: "panic",
            text: panicked,
        }),
        faults: Faults::default(),
        hash: 0,
        events: 0,
        answers: 0,
        stored_answers: 0,
        purges: 0,
        text: String::new(),
    })
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it says nothing".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use latencify_cache::rules::Point;

    /// What is shipped panics at every point that it reaches.
    struct Panics;

    impl Rules for Panics {
        fn reach(_: Point) {
            panic!("reached");
        }
    }

    #[test]
    fn a_world_that_panics_has_failed_and_keeps_its_seed() {
        let many = run_many::<Panics>(7..10, Breaks::NONE, |_| true);
        assert_eq!(many.worlds, 3);
        let failed = many.failed.iter().map(|ended| {
            let violation = ended.violation.as_ref().unwrap();
            (ended.seed, violation.invariant, violation.text.as_str())
        });
        let failed: Vec<_> = failed.collect();
        assert_eq!(
            failed,
            [7, 8, 9].map(|seed| (seed, "panic", "reached")),
            "each, in order"
        );
    }
}
