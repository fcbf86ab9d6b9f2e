//! The counts of rate limits, in memory. A count that is empty is the same as none, so it may be forgotten at any time;
//! when too many are not empty, the one that will be soonest among a sample is given up.

use ahash::RandomState;
use async_trait::async_trait;
use latencify_decide::{
    admit::Host,
    limit::{LimitKey, Rate, RateState, gcra},
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    time::Instant,
};

/// Counts kept at a time, over all shards; about 40 bytes each.
pub const COUNTS_MAX: usize = 1 << 20;
const SHARDS: usize = 64;
/// A full shard looks at so many of its counts for one to give up.
const SAMPLE: usize = 32;

/// Takes requests from counts.
pub struct Limiter {
    shards: Vec<Mutex<Shard>>,
    keys: [RandomState; 2],
    started: Instant,
}

type Shard = HashMap<u128, u64, BuildHasherDefault<Prehashed>>;

/// The key is a keyed hash already.
#[derive(Default)]
struct Prehashed(u64);

impl Hasher for Prehashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

impl Limiter {
    /// No counts yet.
    pub fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            keys: [RandomState::new(), RandomState::new()],
            started: Instant::now(),
        }
    }

    fn take_at(&self, key: &LimitKey<'_>, rate: Rate, now_ns: u64) -> RateState {
        // 128 bits under random keys: two clients share a count with no chance worth naming, and none that one could seek.
        let [high, low] = [&self.keys[0], &self.keys[1]].map(|state| state.hash_one((key, rate)));
        let id = u128::from(high) << 64 | u128::from(low);
        let Some(shard) = self.shards.get(high as usize % SHARDS) else {
            return gcra(0, now_ns, rate).0;
        };
        let mut counts = shard.lock();
        if let Some(count) = counts.get_mut(&id) {
            let (state, empty_at_ns) = gcra(*count, now_ns, rate);
            *count = empty_at_ns;
            return state;
        }
        if counts.len() >= COUNTS_MAX / SHARDS {
            make_room(&mut counts, now_ns);
        }
        let (state, empty_at_ns) = gcra(0, now_ns, rate);
        counts.insert(id, empty_at_ns);
        state
    }
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Host for Limiter {
    async fn take(&self, key: LimitKey<'_>, rate: Rate) -> RateState {
        self.take_at(&key, rate, self.started.elapsed().as_nanos() as u64)
    }
}

fn make_room(counts: &mut Shard, now_ns: u64) {
    let full = counts.len();
    counts.retain(|_, empty_at_ns| *empty_at_ns > now_ns);
    if counts.len() < full {
        return;
    }
    let soonest = counts
        .iter()
        .take(SAMPLE)
        .min_by_key(|(_, empty_at_ns)| **empty_at_ns)
        .map(|(id, _)| *id);
    if let Some(soonest) = soonest {
        counts.remove(&soonest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latencify_conf::change::SiteId;
    use latencify_decide::limit::Subject;

    const RATE: Rate = Rate {
        interval_ns: 10,
        burst: 2,
    };

    fn key(client: u32) -> LimitKey<'static> {
        LimitKey {
            site: SiteId(1),
            name: "n",
            subject: Subject::Address(std::net::Ipv4Addr::from(client).into()),
        }
    }

    #[test]
    fn clients_are_counted_apart() {
        let limiter = Limiter::new();
        let take = |client, now| limiter.take_at(&key(client), RATE, now).allowed;
        assert!(take(1, 100) && take(1, 100) && !take(1, 100));
        assert!(take(2, 100));
        assert!(take(1, 110) && !take(1, 110));
    }

    #[test]
    fn the_number_of_counts_is_bounded_and_idle_ones_go_first() {
        let mut counts = Shard::default();
        for id in 0..100_u128 {
            counts.insert(id, if id < 40 { 5 } else { 50 });
        }
        make_room(&mut counts, 10);
        assert_eq!(counts.len(), 60);
        make_room(&mut counts, 10);
        assert_eq!(counts.len(), 59, "with none idle, one of them goes");
    }
}
