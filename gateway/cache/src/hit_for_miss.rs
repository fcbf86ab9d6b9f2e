//! Keys whose last answer could not be cached: for a while, requests for them go to the origin side by side instead of
//! waiting for each other's answer. An answer that can be cached after all is stored as any other.

use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// The most keys remembered; of more, the oldest are forgotten, and their requests wait for one answer again.
pub const HIT_FOR_MISS_MAX: usize = 64 * 1024;
const SHARDS: usize = 16;

/// Keys by their hash. Two keys of one hash only share whether they wait.
#[derive(Debug, Default)]
pub struct HitForMiss {
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    until: HashMap<u64, Instant, ahash::RandomState>,
    /// In the order of remembering; a key that was remembered again stands here more than once.
    order: VecDeque<(u64, Instant)>,
}

impl HitForMiss {
    /// Remembers a key for a period from `now` on.
    pub fn remember(&self, hash: u64, now: Instant, period: Duration) {
        let Some(until) = now.checked_add(period) else {
            return;
        };
        let mut shard = self.shard(hash).lock();
        shard.until.insert(hash, until);
        shard.order.push_back((hash, until));
        while shard.order.len() > HIT_FOR_MISS_MAX / SHARDS {
            let Some((oldest, until)) = shard.order.pop_front() else {
                break;
            };
            if shard.until.get(&oldest) == Some(&until) {
                shard.until.remove(&oldest);
            }
        }
    }

    /// Whether requests for the key need not wait for each other.
    pub fn holds(&self, hash: u64, now: Instant) -> bool {
        let mut shard = self.shard(hash).lock();
        match shard.until.get(&hash) {
            Some(&until) if until > now => true,
            Some(_) => {
                shard.until.remove(&hash);
                false
            }
            None => false,
        }
    }

    /// The key's answer was stored.
    pub fn forget(&self, hash: u64) {
        self.shard(hash).lock().until.remove(&hash);
    }

    /// Keys remembered.
    pub fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().until.len())
            .sum()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        &self.shards[(hash >> 48) as usize % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_remembered_for_its_period_or_until_it_is_stored() {
        let (memory, start) = (HitForMiss::default(), Instant::now());
        let second = Duration::from_secs(1);
        memory.remember(1, start, second);
        memory.remember(2, start, second);
        assert!(memory.holds(1, start) && memory.holds(2, start) && !memory.holds(3, start));
        memory.forget(2);
        assert!(!memory.holds(2, start));
        assert!(!memory.holds(1, start + second), "the period is over");
        assert!(memory.is_empty());
    }

    #[test]
    fn the_memory_is_bounded() {
        let (memory, now) = (HitForMiss::default(), Instant::now());
        for key in 0..3 * HIT_FOR_MISS_MAX as u64 {
            memory.remember(
                key.wrapping_mul(0x9E37_79B9_7F4A_7C15),
                now,
                Duration::from_mins(1),
            );
        }
        assert!(memory.len() <= HIT_FOR_MISS_MAX);
        assert!(memory.len() > HIT_FOR_MISS_MAX / 2);
        let shard = memory.shards[0].lock();
        assert!(shard.order.len() <= HIT_FOR_MISS_MAX / SHARDS);
    }
}
