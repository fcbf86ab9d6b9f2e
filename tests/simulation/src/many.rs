//! Many seeds, one world a thread at a time.

use crate::{
    breaks::Breaks,
    faults::Faults,
    world::{Ended, run},
};
use latencify_cache::rules::Rules;
use parking_lot::Mutex;
use std::{
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
                    let ended = run::<R>(seed, breaks, false);
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
