//! What waits to be written. Nobody waits to be let in: a full queue says so.

use crate::{
    fill::Fill,
    format::head::Removal,
    head::{Head, Version},
    memory::Charge,
    outcome::Refusal,
    ticket::Promise,
};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// The most operations that wait; what they hold is charged besides.
pub const OPERATIONS_MAX: usize = 16 * 1024;
/// The most removals that wait. One more is obeyed, but not written down: a restart may bring the object back, to be judged
/// by the marks like any other.
pub const REMOVALS_MAX: usize = 64 * 1024;
/// Operations that are taken at once.
const BATCH_MAX: usize = 256;

/// What is to be written.
#[derive(Debug)]
pub(crate) enum Operation {
    /// A chunk of a fill, by number.
    Chunk(Arc<Fill>, usize),
    /// The fill is whole.
    Commit(Arc<Fill>, Promise<Result<(), Refusal>>),
    /// What has that version gets another head.
    Renew(Renewal),
}

/// A validation that came back with a 304.
#[derive(Debug)]
pub(crate) struct Renewal {
    pub(crate) of: Version,
    pub(crate) head: Head,
    pub(crate) charge: Charge,
    pub(crate) promise: Promise<Result<(), Refusal>>,
}

/// What waits.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    operations: VecDeque<Operation>,
    removals: VecDeque<Removal>,
    is_ready: bool,
    /// How often the folder was opened.
    openings: u64,
    is_closing: bool,
    is_snapshot_wanted: bool,
}

/// What the writing thread is given.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) removals: Vec<Removal>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) is_snapshot_wanted: bool,
    /// There is nothing left, and nothing will come.
    pub(crate) is_last: bool,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Hands an operation over. An error says why not; it is dropped with whatever it promised.
    pub(crate) fn push(&self, operation: Operation) -> Result<(), Refusal> {
        {
            let mut state = self.state.lock();
            if state.is_closing {
                return Err(Refusal::Stopped);
            }
            if !state.is_ready {
                return Err(Refusal::NotReady);
            }
            if state.operations.len() >= OPERATIONS_MAX {
                return Err(Refusal::QueueFull);
            }
            state.operations.push_back(operation);
        }
        self.changed.notify_all();
        Ok(())
    }

    /// A removal is to be written down, or to be obeyed by what the next opening finds. False: too many wait.
    pub(crate) fn remove(&self, removal: Removal) -> bool {
        {
            let mut state = self.state.lock();
            if state.removals.len() >= REMOVALS_MAX {
                return false;
            }
            state.removals.push_back(removal);
        }
        self.changed.notify_all();
        true
    }

    /// Removes what is there as soon as the folder is open. None: it is. False: too many wait.
    pub(crate) fn remove_later(&self, removal: Removal) -> Option<bool> {
        let mut state = self.state.lock();
        if state.is_ready {
            return None;
        }
        let has_room = state.removals.len() < REMOVALS_MAX;
        if has_room {
            state.removals.push_back(removal);
        }
        Some(has_room)
    }

    /// Whether the folder is open.
    pub(crate) fn is_ready(&self) -> bool {
        self.state.lock().is_ready
    }

    /// Which opening of the folder this is; none: it is not open, and what the index and the segments say of it is not to be
    /// believed. Whoever is told the same before and after has seen one opening all the time.
    pub(crate) fn opening(&self) -> Option<u64> {
        let state = self.state.lock();
        state.is_ready.then_some(state.openings)
    }

    /// Opens it, unless there is something that is to be removed first.
    pub(crate) fn open(&self) -> Result<(), Vec<Removal>> {
        {
            let mut state = self.state.lock();
            if !state.removals.is_empty() {
                return Err(state.removals.drain(..).collect());
            }
            state.is_ready = true;
            state.openings += 1;
        }
        self.changed.notify_all();
        Ok(())
    }

    /// Shuts it; what waits is returned, to be refused. Removals wait for the next opening.
    pub(crate) fn shut(&self) -> Vec<Operation> {
        let waiting = {
            let mut state = self.state.lock();
            state.is_ready = false;
            state.operations.drain(..).collect()
        };
        self.changed.notify_all();
        waiting
    }

    /// Nothing more is let in.
    pub(crate) fn close(&self) {
        self.state.lock().is_closing = true;
        self.changed.notify_all();
    }

    /// Asks for the index to be written down soon.
    pub(crate) fn want_snapshot(&self) {
        self.state.lock().is_snapshot_wanted = true;
        self.changed.notify_all();
    }

    /// How many operations wait.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().operations.len()
    }

    /// What to do next; empty after so long without anything.
    pub(crate) fn next(&self, limit: Duration) -> Batch {
        let deadline = Instant::now() + limit;
        let mut state = self.state.lock();
        while state.is_idle() && !state.is_closing {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        let operations = state.operations.len().min(BATCH_MAX);
        let removals = state.removals.len().min(BATCH_MAX);
        Batch {
            operations: state.operations.drain(..operations).collect(),
            removals: state.removals.drain(..removals).collect(),
            is_snapshot_wanted: std::mem::take(&mut state.is_snapshot_wanted),
            is_last: state.is_closing && state.is_idle(),
        }
    }

    /// Waits until it is closed, for so long at most. True: it is.
    pub(crate) fn wait_closed(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.state.lock();
        while !state.is_closing {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        state.is_closing
    }

    /// Waits until the folder is open, for so long at most. True: it is.
    pub(crate) fn wait_ready(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.state.lock();
        while !state.is_ready {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        state.is_ready
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.operations.is_empty() && self.removals.is_empty() && !self.is_snapshot_wanted
    }
}
