//! One fetch a key: Pingora's lock, over the engine's slots.
//!
//! The permit keeps what its release needs: by then another fetch may lead the key.

use super::{
    meta::{Background, MeetsNobody, Named, Refusable, key_ref},
    stored::StoredMeta,
};
use http::Extensions;
use latencify_cache::{
    Cache, Key, Newest,
    slots::{Slot, Slots},
};
use pingora::cache::{
    CacheKey,
    lock::{CacheKeyLock, LockStatus, LockStub, Locked, WritePermit},
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// Pingora's reason when an origin answers 304 to a request that had nothing to validate: this request's trouble, not a
/// property of the answer, so those who wait elect another to fetch.
const NOT_MODIFIED_ON_MISS: &str = "304 on miss";
/// Why nothing is stored for a request whose policy is of another history than the one that is obeyed: its trouble, too.
pub const OTHER_HISTORY: &str = "other_history";

/// Who fetches and who waits.
pub struct FillLock {
    cache: Arc<Cache<StoredMeta>>,
    slots: Slots<LockStub>,
    age_max: Duration,
}

/// What a permit holds, so that its release finds it.
#[derive(Clone)]
struct Held {
    key: Key,
    ticket: u64,
}

impl FillLock {
    pub(super) fn new(cache: Arc<Cache<StoredMeta>>, age_max: Duration) -> Self {
        Self {
            cache,
            slots: Slots::default(),
            age_max,
        }
    }

    /// Fetches that others may be waiting for.
    pub fn held(&self) -> usize {
        self.slots.len()
    }

    fn slot(&self, key: &CacheKey) -> Slot {
        let marks = self.cache.marks();
        let engine_key = key_ref(key).to_key();
        match key.extensions.get::<Named>() {
            Some(named) => marks.slot(engine_key, named.site, &named.path),
            None => Slot {
                key: engine_key,
                newest: Newest::default(),
                seen: Newest::default(),
            },
        }
    }

    /// A permit that nobody waits for.
    fn alone(&self, stale_writer: bool) -> Locked {
        let (permit, _) = WritePermit::new(self.age_max, stale_writer, Extensions::new());
        Locked::Write(permit)
    }
}

impl CacheKeyLock for FillLock {
    fn lock(&self, key: &CacheKey, stale_writer: bool) -> Locked {
        if !stale_writer && self.cache.is_uncacheable(key_ref(key)) {
            return self.alone(stale_writer);
        }
        let refusable = key.extensions.get::<Refusable>();
        let meets_nobody = key.extensions.get::<MeetsNobody>().is_some();
        if meets_nobody || refusable.is_some_and(|refusable| refusable.0.load(Ordering::Relaxed)) {
            return self.alone(stale_writer);
        }
        // A background refresh finds the slot held by its own parent. With a stale object to refresh, Pingora swaps the
        // parent's permit for the answer "wait"; without one (purged meanwhile) it would wait for itself.
        let never_waits = !stale_writer && key.extensions.get::<Background>().is_some();
        let join = |stub: &LockStub| {
            let waits = stub.read_lock();
            let gone = matches!(
                waits.lock_status(),
                LockStatus::Dangling | LockStatus::AgeTimeout
            );
            match (gone, never_waits) {
                (true, _) => None,
                (false, true) => Some(self.alone(stale_writer)),
                (false, false) => Some(Locked::Read(waits)),
            }
        };
        let lead = |slot: &Slot, ticket: u64| {
            let mut extensions = Extensions::new();
            extensions.insert(Held {
                key: slot.key.clone(),
                ticket,
            });
            let (permit, stub) = WritePermit::new(self.age_max, stale_writer, extensions);
            (stub, Locked::Write(permit))
        };
        self.slots.join_or_lead(self.slot(key), join, lead)
    }

    fn release(&self, _key: &CacheKey, mut permit: WritePermit, reason: LockStatus) {
        if let Some(held) = permit.extensions().get::<Held>().cloned() {
            self.slots.leave(&held.key, held.ticket);
        }
        // Readers that gave up on an old permit compete already; the status must go on saying so.
        let timed_out = permit.lock_status() == LockStatus::AgeTimeout;
        permit.unlock(if timed_out {
            LockStatus::AgeTimeout
        } else {
            reason
        });
    }

    /// What is uncacheable for a reason of ours is so for those who wait: they fetch side by side.
    fn custom_lock_status(&self, reason: &'static str) -> LockStatus {
        if matches!(reason, NOT_MODIFIED_ON_MISS | OTHER_HISTORY) {
            LockStatus::TransientError
        } else {
            LockStatus::GiveUp
        }
    }
}
