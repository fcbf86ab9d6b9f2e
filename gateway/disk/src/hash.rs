//! What the index knows a key by: 128 bits. The whole key stands on disk and is compared there.

use latencify_cache::KeyRef;
use sha2::{Digest, Sha256};

/// The first half of a SHA-256 over variance and key: the same in every run, and nobody finds two keys with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct KeyHash {
    pub(crate) high: u64,
    pub(crate) low: u64,
}

impl KeyHash {
    pub(crate) fn of(key: KeyRef<'_>) -> Self {
        let mut digest = Sha256::new();
        match key.variance {
            None => digest.update([0]),
            Some(variance) => {
                digest.update([1]);
                digest.update(variance);
            }
        }
        digest.update(key.primary);
        let digest = digest.finalize();
        let half = |from: usize| {
            digest
                .iter()
                .skip(from)
                .take(8)
                .fold(0, |sum, &byte| (sum << 8) | u64::from(byte))
        };
        Self {
            high: half(0),
            low: half(8),
        }
    }
}
