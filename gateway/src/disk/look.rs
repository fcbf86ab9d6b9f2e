//! What a look-up finds on disk, or on its way there.

use super::{Disk, DiskHit, follow::DiskFollow, header, promote};
use crate::cache::{StoredMeta, key_ref};
use latencify_cache::{Cache, Liveness, Metadata as _, Promotion, Record};
use latencify_disk::{Follower, Look, Miss, Stored, Ticket, Version};
use pingora::cache::{CacheKey, HitHandler};
use std::sync::{Arc, atomic::Ordering::Relaxed};
use tokio::time::timeout;

/// Something that was found on disk, or on its way there.
pub struct Found {
    /// What is known of it.
    pub record: Arc<Record<StoredMeta>>,
    /// Live, or soft-purged.
    pub liveness: Liveness,
    /// Its body.
    pub body: FoundBody,
}

/// A body that was found.
pub enum FoundBody {
    /// On disk.
    Stored(Arc<Stored>),
    /// On its way there.
    Arriving(Box<Follower>),
}

impl Found {
    /// Which version on disk it is; none: it is on its way there.
    pub fn version(&self) -> Option<Version> {
        match &self.body {
            FoundBody::Stored(stored) => Some(stored.version()),
            FoundBody::Arriving(_) => None,
        }
    }

    /// Reads its body for a client.
    pub fn into_reader(self, disk: &Disk) -> HitHandler {
        match self.body {
            FoundBody::Stored(stored) => Box::new(DiskHit::new(stored, disk)),
            FoundBody::Arriving(follower) => Box::new(DiskFollow::new(*follower)),
        }
    }
}

impl Disk {
    /// Looks up what that memory has not; waits for [`wait`](super::Options::wait) at most. What is found goes there as well, if it fits.
    pub async fn find(
        self: &Arc<Self>,
        key: &CacheKey,
        memory: &Arc<Cache<StoredMeta>>,
    ) -> Option<Found> {
        let promotion = memory.begin_promotion(key_ref(key));
        match self.tier.find(key_ref(key)) {
            Look::Reading(ticket) => {
                let found = self.read(key, ticket).await?;
                promote::promote(self, memory, promotion, key, &found);
                Some(found)
            }
            Look::Following(follower) => self.follow(promotion, follower),
            Look::Miss(_) => None,
        }
    }

    /// What memory does not have although it is arriving is too large for it. Nothing is followed that is older than what memory had.
    fn follow(&self, promotion: Promotion, follower: Follower) -> Option<Found> {
        let head = follower.head();
        if !promotion.is_later(head.fetch.generation) {
            return None;
        }
        let meta = header::decode(&head.header)?;
        let taken = Record::taken_over(&self.marks, head.identity.clone(), head.fetch, meta);
        let (record, liveness) = taken.ok()?;
        Some(Found {
            record: Arc::new(record),
            liveness,
            body: FoundBody::Arriving(Box::new(follower)),
        })
    }

    async fn read(&self, key: &CacheKey, ticket: Ticket<Result<Stored, Miss>>) -> Option<Found> {
        let Ok(found) = timeout(self.wait, ticket).await else {
            self.numbers.late.fetch_add(1, Relaxed);
            return None;
        };
        let stored = found.ok()?;
        let Some(meta) = Self::meta_of(&stored) else {
            self.numbers.unreadable.fetch_add(1, Relaxed);
            self.tier.remove(key_ref(key), Some(stored.version()));
            return None;
        };
        let head = stored.head();
        let taken = Record::taken_over(&self.marks, head.identity.clone(), head.fetch, meta);
        let (record, liveness) = taken.ok()?;
        Some(Found {
            record: Arc::new(record),
            liveness,
            body: FoundBody::Stored(Arc::new(stored)),
        })
    }

    fn meta_of(stored: &Stored) -> Option<StoredMeta> {
        let meta = header::decode(&stored.head().header)?;
        let meta = meta.completed(stored.body_bytes()).unwrap_or(meta);
        let announced = meta.announced_bytes();
        announced
            .is_none_or(|bytes| bytes == stored.body_bytes())
            .then_some(meta)
    }
}
