//! Fetches that have begun and not ended: what they bring may need marks that nothing stored needs.

use crate::stamp::{Fetch, Floor, Stamp};
use latencify_conf::change::LogId;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

const SHARDS: usize = 16;

/// Fetches under way: between begin and header, and bodies that are being stored. There are at most two a request and
/// attempt, so their number is bounded by that of requests.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    shards: [Mutex<Shard>; SHARDS],
    next: AtomicU64,
}

type Shard = HashMap<u64, Begun, ahash::RandomState>;

#[derive(Debug)]
struct Begun {
    stamp: Stamp,
    at: SystemTime,
}

/// A fetch under way. It ends when the last clone of this is dropped; what it is, it stays ([`Fetch`]).
#[derive(Debug, Clone)]
#[must_use = "a fetch that is dropped is no longer under way"]
pub struct Fetching {
    fetch: Fetch,
    _registered: Arc<Registered>,
}

/// Something under way; until it is dropped.
#[derive(Debug)]
pub(crate) struct Registered {
    number: u64,
    under_way: Arc<UnderWay>,
}

impl UnderWay {
    /// Registers something of that stamp, begun at that time.
    pub(crate) fn register(self: &Arc<Self>, stamp: Stamp, at: SystemTime) -> Registered {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.shard(number)
            .lock()
            .insert(number, Begun { stamp, at });
        Registered {
            number,
            under_way: Arc::clone(self),
        }
    }

    /// The lowest place of everything of that log that began since then; none: there is nothing.
    pub(crate) fn oldest(&self, log: Option<LogId>, since: Option<SystemTime>) -> Option<Floor> {
        let is_asked_for =
            |begun: &&Begun| begun.stamp.log == log && since.is_none_or(|since| begun.at >= since);
        let of_shard = |shard: &Mutex<Shard>| {
            let shard = shard.lock();
            let begun = shard.values().filter(is_asked_for);
            begun.map(|begun| begun.stamp.place()).reduce(Floor::min)
        };
        self.shards.iter().filter_map(of_shard).reduce(Floor::min)
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    fn shard(&self, number: u64) -> &Mutex<Shard> {
        &self.shards[number as usize % SHARDS]
    }
}

impl Fetching {
    pub(super) fn new(fetch: Fetch, registered: Registered) -> Self {
        Self {
            fetch,
            _registered: Arc::new(registered),
        }
    }
}

impl Deref for Fetching {
    type Target = Fetch;

    fn deref(&self) -> &Fetch {
        &self.fetch
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.under_way
            .shard(self.number)
            .lock()
            .remove(&self.number);
    }
}
