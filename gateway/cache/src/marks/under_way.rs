//! Fetches that have begun and not ended: what they bring may need marks that nothing stored needs.

use crate::stamp::{Fetch, Stamp};
use parking_lot::Mutex;
use std::{collections::HashMap, ops::Deref, sync::Arc, time::SystemTime};

const SHARDS: usize = 16;

/// Fetches under way, by generation. There is at most one a request and attempt, so their number is bounded by that of
/// requests.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    shards: [Mutex<Shard>; SHARDS],
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

#[derive(Debug)]
struct Registered {
    generation: u64,
    under_way: Arc<UnderWay>,
}

impl UnderWay {
    fn shard(&self, generation: u64) -> &Mutex<Shard> {
        &self.shards[generation as usize % SHARDS]
    }
}

impl Fetching {
    pub(super) fn new(fetch: Fetch, at: SystemTime, under_way: &Arc<UnderWay>) -> Self {
        let generation = fetch.generation;
        let begun = Begun {
            stamp: fetch.stamp,
            at,
        };
        under_way.shard(generation).lock().insert(generation, begun);
        Self {
            fetch,
            _registered: Arc::new(Registered {
                generation,
                under_way: Arc::clone(under_way),
            }),
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
            .shard(self.generation)
            .lock()
            .remove(&self.generation);
    }
}
