//! What is worth a write.

use latencify_cache::KeyRef;
use latencify_conf::policy::DiskAdmission;
use std::sync::atomic::{AtomicU32, Ordering};

/// So many keys are remembered, at four octets each; of two that meet in one place, the later is.
pub const REMEMBERED_MAX: usize = 1 << 18;

/// Remembers what was fetched.
#[derive(Debug)]
pub struct Admission {
    fetched: Box<[AtomicU32]>,
    hasher: ahash::RandomState,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            fetched: (0..REMEMBERED_MAX).map(|_| AtomicU32::new(0)).collect(),
            hasher: ahash::RandomState::new(),
        }
    }
}

impl Admission {
    /// Whether what is fetched now is written. `is_there`: something is stored for the key already.
    pub fn admits(
        &self,
        rule: DiskAdmission,
        key: KeyRef<'_>,
        is_there: impl FnOnce() -> bool,
    ) -> bool {
        match rule {
            DiskAdmission::Always => true,
            DiskAdmission::SecondHit => self.was_fetched(key) || is_there(),
            DiskAdmission::Never => false,
        }
    }

    /// Whether it was fetched before; it is remembered from now on.
    fn was_fetched(&self, key: KeyRef<'_>) -> bool {
        let hash = self.hasher.hash_one((key.primary, key.variance));
        // 0 is what nobody left.
        let print = (hash >> 32) as u32 | 1;
        let place = self.fetched.get(hash as usize % REMEMBERED_MAX);
        place.is_some_and(|place| place.swap(print, Ordering::Relaxed) == print)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fetched_again_is_admitted() {
        let admission = Admission::default();
        let key = |primary| KeyRef {
            primary,
            variance: None,
        };
        let admits = |rule, name, there| admission.admits(rule, key(name), || there);
        assert!(admits(DiskAdmission::Always, b"a", false));
        assert!(!admits(DiskAdmission::Never, b"a", true));
        assert!(!admits(DiskAdmission::SecondHit, b"a", false));
        assert!(admits(DiskAdmission::SecondHit, b"a", false));
        assert!(admits(DiskAdmission::SecondHit, b"b", true), "it is there");
    }
}
