//! Sweeps: they give memory of what is dead back without waiting for a look-up, and prove which marks may be forgotten
//! (see [`marks`](crate::marks)). Bounded work a step, however much is stored.

use crate::{
    cache::Cache,
    count::Counters,
    index::Cursor,
    marks::Round,
    record::Metadata,
    rules::{Kept, Point, Rules},
};
use std::sync::Arc;

/// The most places that are looked at under one lock.
const PLACES_PER_LOCK: usize = 1_024;

/// A sweep over one cache, for as long as the cache lives. Somebody has to call [`step`](Self::step) now and then; nothing
/// ever waits for it.
pub struct Sweep<M, R = Kept> {
    cache: Arc<Cache<M, R>>,
    under_way: Option<(Round, Cursor)>,
    /// The last whole round.
    last: Option<Round>,
    /// Marks below the floor may be left.
    forgetting: bool,
}

/// Where a step left the sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swept {
    /// There was nothing to do: no marks, and nothing has changed since the last round.
    Idle,
    /// In the middle of a round.
    Walking,
    /// Behind a round, with marks to forget.
    Forgetting,
    /// At the end of a round.
    Done,
}

impl Swept {
    /// Whether a further step would begin a round, if anything.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Idle | Self::Done)
    }
}

impl<M: Metadata, R: Rules> Sweep<M, R> {
    /// A sweep that has not begun.
    pub fn new(cache: Arc<Cache<M, R>>) -> Self {
        Self {
            cache,
            under_way: None,
            last: None,
            forgetting: false,
        }
    }

    /// Looks at so many stored objects at most, or forgets some marks.
    pub fn step(&mut self, objects: usize) -> Swept {
        if self.forgetting {
            self.forgetting = self.cache.marks.forget_some();
            return if self.forgetting {
                Swept::Forgetting
            } else {
                Swept::Done
            };
        }
        let begun = self.under_way.take().or_else(|| self.begin());
        let Some((round, mut cursor)) = begun else {
            return Swept::Idle;
        };
        let mut left = objects;
        loop {
            let (met, next) = self.look_at(&round, cursor, left.clamp(1, PLACES_PER_LOCK));
            let Some(next) = next else {
                break;
            };
            cursor = next;
            // An empty shard is a lock as well.
            left = left.saturating_sub(met.max(1));
            if left == 0 {
                self.under_way = Some((round, cursor));
                return Swept::Walking;
            }
        }
        R::reach(Point::SweepAndRaise);
        self.cache.marks.end_round(&round);
        R::reach(Point::RaiseAndForget);
        self.last = Some(round);
        self.forgetting = true;
        Counters::add(&self.cache.counters.rounds);
        Swept::Forgetting
    }

    /// A round, unless it could prove no more than the last one.
    fn begin(&self) -> Option<(Round, Cursor)> {
        let round = self.cache.marks.begin_round();
        let last = self.last.as_ref();
        let is_news = last.is_none_or(|last| self.cache.marks.is_worth_a_round(last, &round));
        is_news.then(|| (round, Cursor::default()))
    }

    /// How many objects it met, and where to go on; none: that was all.
    fn look_at(&self, round: &Round, cursor: Cursor, places: usize) -> (usize, Option<Cursor>) {
        let Cache {
            index,
            marks,
            counters,
            ..
        } = &*self.cache;
        let (stored, next) = index.walk(cursor, places);
        let met = stored.len();
        for record in stored {
            if !record.settle(marks, round) {
                R::reach(Point::LookAndRemove);
                if index.remove(&record) {
                    Counters::add(&counters.swept);
                }
            }
        }
        (met, next)
    }
}

impl<M, R> std::fmt::Debug for Sweep<M, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sweep")
            .field("under_way", &self.under_way)
            .field("forgetting", &self.forgetting)
            .finish_non_exhaustive()
    }
}
