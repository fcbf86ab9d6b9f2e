//! What an edge says of the requests that it answered by one policy: sums since that policy is in force, so that a message that is lost
//! loses nothing. Bounded: a fixed number of buckets.

use super::message;
use crate::{change::Revision, digest::Digest};
use bytes::Bytes;

/// The upper bounds of the buckets of the time to the first byte, in milliseconds; one more bucket has what is slower.
pub const BUCKETS_MS: [u32; 14] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000,
];
/// How many buckets there are.
pub const BUCKETS: usize = BUCKETS_MS.len() + 1;

/// Sums of the requests that one policy decided on one edge process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The policy's number.
    pub revision: Revision,
    /// The digest of what really runs.
    pub digest: Digest,
    /// Requests that were answered.
    pub requests: u64,
    /// Those with 5xx.
    pub errors: u64,
    /// Those that asked the cache.
    pub lookups: u64,
    /// Those that it answered.
    pub hits: u64,
    /// Requests by their time to the first byte; see [`BUCKETS_MS`].
    pub first_byte: [u64; BUCKETS],
}

impl Health {
    /// Nothing was answered yet.
    pub fn none(revision: Revision, digest: Digest) -> Self {
        Self {
            revision,
            digest,
            requests: 0,
            errors: 0,
            lookups: 0,
            hits: 0,
            first_byte: [0; BUCKETS],
        }
    }

    /// The bucket of a time to the first byte.
    pub fn bucket(ms: u128) -> usize {
        BUCKETS_MS.partition_point(|bound| u128::from(*bound) < ms)
    }

    /// What came after an earlier report; all of it, if the sums have begun anew since.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let began_anew = (self.revision, self.digest) != (earlier.revision, earlier.digest)
            || self.requests < earlier.requests
            || self.errors < earlier.errors
            || self.lookups < earlier.lookups
            || self.hits < earlier.hits;
        if began_anew {
            return self.clone();
        }
        let mut first_byte = self.first_byte;
        for (sum, before) in first_byte.iter_mut().zip(earlier.first_byte) {
            *sum = sum.saturating_sub(before);
        }
        Self {
            requests: self.requests - earlier.requests,
            errors: self.errors - earlier.errors,
            lookups: self.lookups - earlier.lookups,
            hits: self.hits - earlier.hits,
            first_byte,
            ..self.clone()
        }
    }

    /// The time within which 99 of 100 first bytes came, in milliseconds: between the bounds of a bucket it is taken to grow evenly.
    /// None: there were none.
    pub fn p99_ms(&self) -> Option<u32> {
        let all: u64 = self.first_byte.iter().sum();
        if all == 0 {
            return None;
        }
        let wanted = all.saturating_mul(99).div_ceil(100);
        let (mut below, mut low) = (0, 0);
        for (count, bound) in self.first_byte.iter().zip(BUCKETS_MS) {
            if below + count >= wanted {
                let within = u64::from(bound - low) * (wanted - below) / (*count).max(1);
                return Some(low + within as u32);
            }
            below += count;
            low = bound;
        }
        // Slower than every bound: at least this.
        Some(low + 1)
    }
}

/// As it travels.
pub fn write(health: &Health) -> message::Health {
    message::Health {
        revision: health.revision.0,
        digest: Bytes::copy_from_slice(&health.digest.0),
        requests: health.requests,
        errors: health.errors,
        lookups: health.lookups,
        hits: health.hits,
        first_byte: health.first_byte.to_vec(),
    }
}

/// As it came, or what is wrong with it.
pub fn read(health: message::Health) -> Result<Health, &'static str> {
    let digest = health.digest[..].try_into().map(Digest);
    let first_byte = health.first_byte.try_into();
    Ok(Health {
        revision: Revision(health.revision),
        digest: digest.map_err(|_| "a digest is 32 bytes")?,
        requests: health.requests,
        errors: health.errors,
        lookups: health.lookups,
        hits: health.hits,
        first_byte: first_byte.map_err(|_| "the times to the first byte are 15 sums")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(requests: u64, first_byte: &[(usize, u64)]) -> Health {
        let mut health = Health::none(Revision(3), Digest([7; 32]));
        health.requests = requests;
        for (bucket, count) in first_byte {
            health.first_byte[*bucket] = *count;
        }
        health
    }

    #[test]
    fn what_travels_is_read_back_and_bounded() {
        let said = health(10, &[(0, 9), (BUCKETS - 1, 1)]);
        assert_eq!(read(write(&said)), Ok(said.clone()));
        let mut long = write(&said);
        long.first_byte.push(1);
        assert!(read(long).is_err());
        let mut digest = write(&said);
        digest.digest = Bytes::from_static(b"short");
        assert!(read(digest).is_err());
    }

    #[test]
    fn sums_that_began_anew_are_all_new() {
        let (before, after) = (health(10, &[(0, 10)]), health(25, &[(0, 20), (1, 5)]));
        let new = after.since(&before);
        assert_eq!(
            (new.requests, new.first_byte[0], new.first_byte[1]),
            (15, 10, 5)
        );
        assert_eq!(
            before.since(&after),
            before,
            "fewer than before: a new count"
        );
    }

    #[test]
    fn the_99th_percentile_lies_in_its_bucket() {
        let cases = [
            (health(0, &[]), None),
            (health(100, &[(0, 100)]), Some(0)),
            (health(100, &[(Health::bucket(7), 100)]), Some(9)),
            (health(100, &[(0, 99), (Health::bucket(400), 1)]), Some(1)),
            (
                health(100, &[(0, 90), (Health::bucket(400), 10)]),
                Some(470),
            ),
            (health(1, &[(BUCKETS - 1, 1)]), Some(30_001)),
        ];
        for (health, expected) in cases {
            assert_eq!(health.p99_ms(), expected, "{health:?}");
        }
        assert_eq!(
            (Health::bucket(1), Health::bucket(2), Health::bucket(99_999)),
            (0, 1, BUCKETS - 1)
        );
    }
}
