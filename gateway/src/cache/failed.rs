//! Fetches that have failed lately. Whoever waited for one shares what came of it: if something stale may answer, it answers all of
//! them. Otherwise each would ask the failing origin in its turn, and those whose turns are used up would be told of the error.

use super::meta::key_ref;
use ahash::RandomState;
use parking_lot::Mutex;
use pingora::cache::CacheKey;
use std::time::Instant;

/// So many are remembered; one that another took the place of is as none.
pub const FAILED_FETCHES_MAX: usize = 1_024;

/// When fetches failed, by a hash of their keys. Of two keys with one hash, both have failed.
pub struct FailedFetches {
    places: Box<[Mutex<Option<Failed>>]>,
    hasher: RandomState,
}

#[derive(Clone, Copy)]
struct Failed {
    hash: u64,
    at: Instant,
}

impl FailedFetches {
    /// The fetch of that key has just failed: to be called before those who wait for it are woken.
    pub fn add(&self, key: &CacheKey) {
        let hash = self.hasher.hash_one(key_ref(key));
        if let Some(place) = self.place(hash) {
            let at = Instant::now();
            *place.lock() = Some(Failed { hash, at });
        }
    }

    /// Whether a fetch of that key has failed since then.
    pub fn any_since(&self, key: &CacheKey, then: Instant) -> bool {
        let hash = self.hasher.hash_one(key_ref(key));
        let failed = self.place(hash).and_then(|place| *place.lock());
        failed.is_some_and(|failed| failed.hash == hash && failed.at >= then)
    }

    fn place(&self, hash: u64) -> Option<&Mutex<Option<Failed>>> {
        self.places.get(hash as usize % FAILED_FETCHES_MAX)
    }
}

impl Default for FailedFetches {
    fn default() -> Self {
        Self {
            places: (0..FAILED_FETCHES_MAX).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_came_before_a_failure_share_it() {
        let failed = FailedFetches::default();
        let [a, b] = ["a", "b"].map(|key| CacheKey::new(key, ""));
        let before = Instant::now();
        assert!(!failed.any_since(&a, before));
        failed.add(&a);
        assert!(failed.any_since(&a, before));
        assert!(!failed.any_since(&b, before));
        let mut after = Instant::now();
        while after == before {
            after = Instant::now();
        }
        let later = after + std::time::Duration::from_nanos(1);
        assert!(!failed.any_since(&a, later));
    }
}
