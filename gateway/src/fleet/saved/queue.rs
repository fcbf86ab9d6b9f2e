//! What is obeyed and not on disk yet.

use super::record::{Purge, Record};
use latencify_conf::change::{Epoch, Position, Target};
use parking_lot::{Condvar, Mutex};
use std::time::Duration;

/// The most bytes that wait. Of more, nothing is kept: then all marks are saved at once.
pub const QUEUE_BYTES_MAX: usize = 8 << 20;
/// What a purge costs beside its names.
const PURGE_OVERHEAD_BYTES: usize = 128;

/// What the link notes and the saver takes. Nobody waits in it but the saver.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    /// Applied, and not obeyed yet: a position that comes later will stand for them.
    open: Vec<Purge>,
    purges: Vec<Purge>,
    obeyed: Option<Position>,
    bytes: usize,
    overflow: bool,
    /// Odd while the edge starts over: then a snapshot is neither of the history before nor of the one after.
    history: u64,
    stopping: bool,
}

/// What the saver takes in one go.
#[derive(Debug, Default)]
pub struct Taken {
    /// What was obeyed; none: nothing, or more than was kept.
    pub record: Option<Record>,
    /// More came than was kept, or the edge started over: the marks have it.
    pub overflow: bool,
    /// The history that the record is of.
    pub history: u64,
    /// Nothing will come any more.
    pub stopping: bool,
}

impl Queue {
    /// The edge starts over; `apply` says so to the marks.
    pub fn reset(&self, apply: impl FnOnce()) {
        self.state.lock().history += 1;
        apply();
        let mut state = self.state.lock();
        state.history += 1;
        // What was noted of the former history has nothing left to say.
        state.open.clear();
        state.purges.clear();
        state.obeyed = None;
        state.bytes = 0;
        // Only the marks know where in the order of this edge's own purges it was: all of them are saved at once.
        state.overflow = true;
    }

    /// A purge was applied.
    pub fn purge(&self, purge: Purge) {
        let mut state = self.state.lock();
        state.bytes += bytes(&purge);
        if state.bytes > QUEUE_BYTES_MAX {
            state.open.clear();
            state.purges.clear();
            state.bytes = 0;
            state.overflow = true;
        }
        if !state.overflow {
            state.open.push(purge);
        }
    }

    /// Everything up to here is obeyed.
    pub fn obey(&self, position: Position) {
        let mut state = self.state.lock();
        let open = std::mem::take(&mut state.open);
        state.purges.extend(open);
        state.obeyed = Some(position);
        drop(state);
        self.news.notify_one();
    }

    /// Nothing comes any more.
    pub fn stop(&self) {
        self.state.lock().stopping = true;
        self.news.notify_one();
    }

    /// Waits for something to save, or for that long.
    pub fn take(&self, at_most: Duration) -> Taken {
        let mut state = self.state.lock();
        if state.obeyed.is_none() && !state.stopping {
            self.news.wait_for(&mut state, at_most);
        }
        let Some(obeyed) = state.obeyed.take() else {
            return Taken {
                stopping: state.stopping,
                history: state.history & !1,
                ..Taken::default()
            };
        };
        let overflow = std::mem::take(&mut state.overflow);
        let record = Record {
            reset: None,
            purges: std::mem::take(&mut state.purges),
            obeyed,
        };
        state.bytes = state.open.iter().map(bytes).sum();
        Taken {
            record: (!overflow).then_some(record),
            overflow,
            history: state.history & !1,
            stopping: state.stopping,
        }
    }

    /// Counts the edge's histories; odd: it is starting over just now.
    pub fn history(&self) -> u64 {
        self.state.lock().history
    }
}

impl Taken {
    /// Whether anything was obeyed.
    pub fn is_something(&self) -> bool {
        self.record.is_some() || self.overflow
    }
}

impl Record {
    /// What of it a snapshot of the same history does not have; none: it has all.
    pub fn after(mut self, snapshot: Epoch) -> Option<Self> {
        self.reset = None;
        self.purges.retain(|purge| purge.epoch > snapshot);
        (self.obeyed.epoch > snapshot).then_some(self)
    }
}

fn bytes(purge: &Purge) -> usize {
    let named: usize = purge.targets.iter().map(target_bytes).sum();
    named + PURGE_OVERHEAD_BYTES
}

fn target_bytes(target: &Target) -> usize {
    let name = match target {
        Target::Url { path, .. } => path.len(),
        Target::Prefix { path, .. } => path.len(),
        Target::Tag { tag, .. } => tag.len(),
        Target::Site { .. } | Target::All => 0,
    };
    name + PURGE_OVERHEAD_BYTES
}
