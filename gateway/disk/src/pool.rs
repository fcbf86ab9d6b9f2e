//! The threads that read, and what waits for them. Nobody waits to be let into a lane: a full one says so.

use parking_lot::{Condvar, Mutex};
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Work for a thread.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// The most jobs that wait in the background.
pub(crate) const BACKGROUND_MAX: usize = 16;
/// One job in so many is from the background, if there is one, however busy the rest is.
const BACKGROUND_TURN: u64 = 16;

/// Whose work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Bodies that were begun. Bounded by the number of bodies that may be read at once, each of which waits for one job.
    Bodies,
    /// Look-ups, and proofs before an answer begins.
    LookUps,
    /// Sweeps.
    Background,
}

/// What waits for the threads.
#[derive(Debug)]
pub(crate) struct Pool {
    lanes: Mutex<Lanes>,
    changed: Condvar,
    lookups_max: usize,
}

#[derive(Default)]
struct Lanes {
    bodies: VecDeque<Job>,
    lookups: VecDeque<Job>,
    background: VecDeque<Job>,
    turn: u64,
    is_closed: bool,
}

impl Pool {
    pub(crate) fn new(lookups_max: usize) -> Self {
        Self {
            lanes: Mutex::default(),
            changed: Condvar::new(),
            lookups_max,
        }
    }

    /// Hands a job over. False, and the job is dropped with whatever it promised: enough wait in that lane, or the pool is
    /// closed.
    pub(crate) fn push(&self, lane: Lane, job: Job) -> bool {
        let mut lanes = self.lanes.lock();
        let (queue, max) = match lane {
            Lane::Bodies => (&mut lanes.bodies, usize::MAX),
            Lane::LookUps => (&mut lanes.lookups, self.lookups_max),
            Lane::Background => (&mut lanes.background, BACKGROUND_MAX),
        };
        if queue.len() >= max {
            return false;
        }
        queue.push_back(job);
        if lanes.is_closed {
            // What the job promised is dropped, and told, without the lock.
            let jobs = lanes.take();
            drop(lanes);
            drop(jobs);
            return false;
        }
        drop(lanes);
        self.changed.notify_one();
        true
    }

    /// What a thread of the pool does until it is closed.
    pub(crate) fn work(&self) {
        loop {
            let job = {
                let mut lanes = self.lanes.lock();
                loop {
                    if lanes.is_closed {
                        return;
                    }
                    if let Some(job) = lanes.next() {
                        break job;
                    }
                    self.changed.wait(&mut lanes);
                }
            };
            // What a job of the judge's breaks is that job.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }

    /// What waits is dropped; threads go home.
    pub(crate) fn close(&self) {
        let jobs = {
            let mut lanes = self.lanes.lock();
            lanes.is_closed = true;
            lanes.take()
        };
        self.changed.notify_all();
        drop(jobs);
    }

    /// How many jobs wait.
    pub(crate) fn waiting(&self) -> usize {
        let lanes = self.lanes.lock();
        lanes.bodies.len() + lanes.lookups.len() + lanes.background.len()
    }
}

impl Lanes {
    fn next(&mut self) -> Option<Job> {
        self.turn = self.turn.wrapping_add(1);
        if self.turn.is_multiple_of(BACKGROUND_TURN)
            && let Some(job) = self.background.pop_front()
        {
            return Some(job);
        }
        self.bodies
            .pop_front()
            .or_else(|| self.lookups.pop_front())
            .or_else(|| self.background.pop_front())
    }

    fn take(&mut self) -> Vec<Job> {
        let queues = [&mut self.bodies, &mut self.lookups, &mut self.background];
        queues.into_iter().flat_map(std::mem::take).collect()
    }
}

impl std::fmt::Debug for Lanes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lanes")
            .field("bodies", &self.bodies.len())
            .field("lookups", &self.lookups.len())
            .field("background", &self.background.len())
            .finish_non_exhaustive()
    }
}
