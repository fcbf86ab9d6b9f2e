//! What one policy has answered since it is in force: what control judges a rollout by. A request is one addition.

use latencify_conf::{
    change::Revision,
    digest::Digest,
    link::health::{BUCKETS, Health},
    record::CacheOutcome,
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// What a request may have been: whether the cache was asked, whether it answered, and whether the answer was a 5xx.
const KINDS: usize = 6;
const ASKED: usize = 1;
const ANSWERED: usize = 2;
const ERROR: usize = 3;

/// Sums by kind of request and time to the first byte.
pub struct Tally {
    sums: [[AtomicU64; BUCKETS]; KINDS],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            sums: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
        }
    }
}

impl Tally {
    /// Counts a request; one without a status (its client had gone) says nothing.
    pub fn count(&self, status: u16, cache: CacheOutcome, first_byte: Duration) {
        let cache = match cache {
            CacheOutcome::None => 0,
            outcome if outcome.is_from_cache() => ANSWERED,
            _ => ASKED,
        };
        let error = if (500..600).contains(&status) {
            ERROR
        } else {
            0
        };
        let bucket = Health::bucket(first_byte.as_millis());
        let sum = self
            .sums
            .get(cache + error)
            .and_then(|sums| sums.get(bucket));
        if let Some(sum) = sum.filter(|_| status != 0) {
            sum.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The sums, as those of this policy.
    pub fn read(&self, revision: Revision, digest: Digest) -> Health {
        let mut health = Health::none(revision, digest);
        for (kind, sums) in self.sums.iter().enumerate() {
            for (sum, all) in sums.iter().zip(&mut health.first_byte) {
                let count = sum.load(Ordering::Relaxed);
                *all += count;
                health.requests += count;
                if kind >= ERROR {
                    health.errors += count;
                }
                if kind % ERROR != 0 {
                    health.lookups += count;
                }
                if kind % ERROR == ANSWERED {
                    health.hits += count;
                }
            }
        }
        health
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_counts_once_as_what_it_was() {
        let tally = Tally::default();
        let (fast, slow) = (Duration::from_micros(300), Duration::from_millis(300));
        tally.count(200, CacheOutcome::Hit, fast);
        tally.count(200, CacheOutcome::Miss, slow);
        tally.count(502, CacheOutcome::Miss, slow);
        tally.count(503, CacheOutcome::None, fast);
        tally.count(0, CacheOutcome::Miss, fast);
        let health = tally.read(Revision(4), Digest([1; 32]));
        let sums = (health.requests, health.errors, health.lookups, health.hits);
        assert_eq!(sums, (4, 2, 3, 1));
        assert_eq!(health.first_byte.iter().sum::<u64>(), 4);
        assert_eq!(health.first_byte[0], 2);
    }
}
