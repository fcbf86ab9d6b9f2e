//! The marks that purges leave, and the one rule that reads them:
//!
//! > live(object) = same log, and stamp ≥ floor, and no matching hard mark > stamp
//!
//! **The counter.** Whoever looks an object up loads the counter *before* it looks at the marks, and the object
//! remembers that value beside the verdict ([`Checked`]). Whatever changes marks, floor or log publishes the change
//! first and then bumps the counter. So a verdict that was remembered under the present counter was given after every
//! change that has been acknowledged, and a hit costs one load and one comparison.
//!
//! The other order would lose purges: bump, then a reader loads the new counter, sees the old marks, and remembers
//! "live" under the new counter for good.

mod bounds;
mod forget;
mod history;
mod index;
mod kept;
mod mark;
mod site;
mod snapshot;
mod state;
mod under_way;
mod widen;

pub use bounds::{MarkBounds, PREFIX_SEGMENTS_MAX};
pub(crate) use forget::Round;
pub use forget::UNDER_WAY_MAX;
pub use history::History;
pub use kept::{Earlier, Held, KeptRound, LocalMark, number_at};
pub use snapshot::{LocalMarks, MarksSnapshot, SNAPSHOT_BYTES_MAX, SnapshotError};
pub use under_way::Fetching;
pub(crate) use under_way::Registered;

use crate::{
    clock::{Clock, SteadyClock},
    identity::Identified,
    key::Key,
    liveness::{Checked, Liveness},
    rules::{Kept, Point, Rules},
    slots::Slot,
    stamp::{Fetch, Newest, Stamp},
};
use latencify_conf::change::{Epoch, Mode, Position, SiteId, Target};
use mark::Order;
use parking_lot::RwLock;
use state::State;
use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};
use under_way::UnderWay;

/// All marks of this edge, and what it obeys. Shared by the fleet link and PURGE, who write, and the cache, which asks.
pub struct Marks<R = Kept> {
    /// Starts at 1, so that what was never checked (0) is.
    counter: AtomicU64,
    generation: AtomicU64,
    /// Which [`History`] is obeyed; changed while the state is locked.
    history: AtomicU64,
    state: RwLock<State>,
    under_way: Arc<UnderWay>,
    clock: Box<dyn Clock>,
    rules: PhantomData<fn() -> R>,
}

/// Numbers for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MarksCount {
    /// Marks kept.
    pub marks: u64,
    /// Bytes of the marks on URLs, prefixes and tags, with what they cost beside their names.
    pub bytes: u64,
    /// How often too many marks became fewer and wider ones.
    pub widened: u64,
    /// Marks that sweeps forgot, so far.
    pub forgotten: u64,
    /// How often something changed.
    pub changes: u64,
    /// Fetches and validations under way.
    pub under_way: u64,
}

impl Marks {
    /// No marks, no log: an edge that stands alone, or one that has not been welcomed yet.
    pub fn new() -> Arc<Self> {
        Self::with_clock(SteadyClock::start())
    }

    /// The same on a clock of the caller's.
    pub fn with_clock(clock: impl Clock) -> Arc<Self> {
        Self::open(clock, MarkBounds::default())
    }
}

impl<R: Rules> Marks<R> {
    /// No marks, no log; on a clock, within bounds and under rules of the caller's.
    pub fn open(clock: impl Clock, bounds: MarkBounds) -> Arc<Self> {
        Arc::new(Self {
            counter: AtomicU64::new(1),
            generation: AtomicU64::new(0),
            history: AtomicU64::new(0),
            state: RwLock::new(State::new(bounds)),
            under_way: Arc::default(),
            clock: Box::new(clock),
            rules: PhantomData,
        })
    }

    /// Publishes one target of a purge entry. When this returns, every look-up obeys it.
    pub fn apply(&self, target: &Target, mode: Mode, epoch: Epoch) {
        self.apply_all(std::slice::from_ref(target), mode, epoch);
    }

    /// Publishes all targets of a purge entry together.
    pub fn apply_all(&self, targets: &[Target], mode: Mode, epoch: Epoch) {
        self.apply_at(targets, mode, epoch, self.now());
    }

    /// The same at a time that was kept, for a journal that is read again.
    pub fn apply_at(&self, targets: &[Target], mode: Mode, epoch: Epoch, at: SystemTime) {
        self.change(|state| {
            for target in targets {
                state.index.add(target, Order::Epoch(epoch), mode, at);
            }
        });
    }

    /// The time on the clock of the marks: what a soft purge that is applied now is made at.
    pub fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Purges on this edge alone: PURGE without a fleet, unsafe methods (RFC 9111 §4.4). Returns its local number.
    pub fn local_purge(&self, target: &Target, mode: Mode) -> u64 {
        let at = self.clock.now();
        self.change(|state| {
            state.now.local += 1;
            state
                .index
                .add(target, Order::Local(state.now.local), mode, at);
            state.now.local
        })
    }

    /// Every mark up to and including that position has been applied: fetches that begin from now on are stamped
    /// with it. A position on another log [raises the floor](Self::raise_floor).
    pub fn obey(&self, position: &Position) {
        let same_log = {
            let mut state = self.state.write();
            let same_log = state.now.log == Some(position.log);
            if same_log && state.now.epoch <= position.epoch {
                state.now.epoch = position.epoch;
                state.obeyed = Some(*position);
            }
            same_log
        };
        if !same_log {
            self.raise_floor(position);
        }
    }

    /// From here on this edge obeys the log from `start`, and whatever it fetched before this call is dead: after a
    /// gap in what was received, on another log, on joining without the live marks. The epoch may go back: a log
    /// whose chain differs is another log, whatever its name. Marks of before have nothing left to say.
    pub fn raise_floor(&self, start: &Position) {
        self.change(|state| {
            self.set_history(self.history_after(start));
            state.now = Stamp {
                log: Some(start.log),
                epoch: start.epoch,
                local: state.now.local + 1,
            };
            state.obeyed = Some(*start);
            state.floor = state.now.place();
            if let Some(kept) = &mut state.kept {
                kept.floor = state.floor;
            }
            state.reset = state.floor;
            state.resets += 1;
            state.index.clear();
        });
    }

    /// What a fetch that begins now is stamped with.
    pub fn stamp(&self) -> Stamp {
        self.state.read().now
    }

    /// Begins a fetch or a validation. Must be called before the origin is asked. It is under way, and marks that it
    /// may need are kept, until what this returns is dropped: hold it until the body begins to be stored.
    pub fn begin(&self) -> Fetching {
        let began = self.clock.now();
        self.begin_under(&self.state.read(), began)
    }

    /// The same if that holds at that moment.
    fn begin_if(&self, may_begin: impl FnOnce() -> bool) -> Option<Fetching> {
        let began = self.clock.now();
        let state = self.state.read();
        may_begin().then(|| self.begin_under(&state, began))
    }

    /// The number is taken under the lock, so that of two fetches the later has no older stamp.
    fn begin_under(&self, state: &State, began: SystemTime) -> Fetching {
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        let fetch = Fetch {
            stamp: state.now,
            generation,
        };
        Fetching::new(fetch, self.under_way.register(fetch.stamp, began))
    }

    /// A body of that fetch begins to be stored: it is under way until what this returns is dropped.
    pub(crate) fn register(&self, fetch: &Fetch) -> Registered {
        self.under_way.register(fetch.stamp, self.clock.now())
    }

    /// The counter of changes. To be loaded *before* [`check`](Self::check).
    pub fn counter(&self) -> u64 {
        self.counter.load(Ordering::Acquire)
    }

    /// What the marks say of an object, looked up.
    pub fn check(&self, identity: &impl Identified, stamp: &Stamp) -> Liveness {
        if !R::LIVE {
            return Liveness::Live;
        }
        self.state.read().judge(identity, stamp)
    }

    /// What the marks say of an object, remembered as long as nothing changes.
    pub fn check_remembering(
        &self,
        identity: &impl Identified,
        stamp: &Stamp,
        checked: &Checked,
    ) -> Liveness {
        let counter = self.counter();
        if let Some(verdict) = checked.verdict(counter) {
            return verdict;
        }
        let verdict = if R::LIVE {
            self.state.read().judge_checked(identity, stamp, checked)
        } else {
            Liveness::Live
        };
        R::reach(Point::LookAndRemember);
        let counter = if R::COUNTER_BEFORE_LOOK {
            counter
        } else {
            self.counter()
        };
        checked.remember(counter, verdict)
    }

    /// The newest mark that could match what a fetch for that path will bring, whatever its tags.
    pub fn newest(&self, site: SiteId, path: &str) -> Newest {
        let state = self.state.read();
        let mut newest = state.index.newest(site, path);
        newest.log = state.now.log;
        newest.epoch = newest.epoch.max(state.reset.epoch);
        newest.local = newest.local.max(state.reset.local);
        newest
    }

    /// What a fetch that begins now covers: every mark up to here.
    pub fn seen(&self) -> Newest {
        let Stamp { log, epoch, local } = self.stamp();
        Newest { log, epoch, local }
    }

    /// Where fetches for a key of that site and path meet now.
    pub fn slot(&self, key: Key, site: SiteId, path: &str) -> Slot {
        Slot {
            key,
            newest: self.newest(site, path),
            seen: self.seen(),
        }
    }

    /// Numbers for metrics.
    pub fn count(&self) -> MarksCount {
        let state = self.state.read();
        MarksCount {
            marks: state.index.len() as u64,
            bytes: state.index.bytes() as u64,
            widened: state.index.widened(),
            forgotten: state.forgotten,
            changes: self.counter.load(Ordering::Relaxed) - 1,
            under_way: self.under_way.len() as u64,
        }
    }

    /// Publishes a change, then bumps the counter: in this order (see the module's text).
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        if !R::PUBLISH_BEFORE_COUNTER {
            self.counter.fetch_add(1, Ordering::Release);
            R::reach(Point::PublishAndBump);
            return change(&mut self.state.write());
        }
        let outcome = change(&mut self.state.write());
        R::reach(Point::PublishAndBump);
        self.counter.fetch_add(1, Ordering::Release);
        outcome
    }
}

impl<R: Rules> std::fmt::Debug for Marks<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Marks")
            .field("stamp", &self.stamp())
            .field("count", &self.count())
            .finish()
    }
}
