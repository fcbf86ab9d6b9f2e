//! Reading a body from disk for a client.

use super::Disk;
use crate::context::Context;
use async_trait::async_trait;
use bytes::Bytes;
use latencify_disk::{Broken, Stored, Ticket};
use pingora::{
    Error, ErrorType, Result,
    cache::{
        CacheKey, ForcedFreshness, HitHandler, Storage, storage::HandleHit, trace::SpanHandle,
    },
};
use std::{any::Any, ops::Range, sync::Arc, time::Duration};
use tokio::time::timeout;

/// An answer that has begun waits so long for the next piece of its body; then it is cut off.
pub(super) const READ_WITHIN: Duration = Duration::from_secs(30);

/// Reads one body for one client, one piece ahead.
pub struct DiskHit {
    stored: Arc<Stored>,
    at: u64,
    end: u64,
    next: Option<Ticket<Result<Bytes, Broken>>>,
    prove_within: Duration,
}

impl DiskHit {
    /// At the beginning of a body.
    pub fn new(stored: Arc<Stored>, disk: &Disk) -> Self {
        let end = stored.body_bytes();
        Self {
            stored,
            at: 0,
            end,
            next: None,
            prove_within: disk.prove_within(),
        }
    }

    fn read_on(&mut self) -> Option<Ticket<Result<Bytes, Broken>>> {
        (self.at < self.end).then(|| self.stored.read(self.at, self.end))
    }

    /// Whether this part of the body can be read to its end. The tier goes on with what takes too long.
    async fn is_sound(&self, part: Range<u64>) -> bool {
        if self.stored.is_proven() {
            return true;
        }
        let proof = self.stored.prove_part(part.start, part.end);
        matches!(timeout(self.prove_within, proof).await, Ok(Ok(())))
    }
}

/// The length of a body that was found on disk; none: it was found elsewhere.
pub fn length_of(hit: &HitHandler) -> Option<u64> {
    let hit = hit.as_any().downcast_ref::<DiskHit>()?;
    Some(hit.stored.body_bytes())
}

/// Judges what was found on disk. Before it answers, it is verified that this part of its body can be read to the end, since an
/// answer that has begun can't become a miss; what `is_usable` rules out needs no proof. That takes a while, and what is purged
/// meanwhile is obeyed: only what `judge` says after it counts. What is not sound is as if nothing had been found.
pub async fn judge(
    hit: &HitHandler,
    part: Range<u64>,
    ctx: &mut Context,
    is_usable: impl FnOnce(&Context) -> bool,
    judge: impl FnOnce(&mut Context) -> ForcedFreshness,
) -> ForcedFreshness {
    if !is_usable(ctx) {
        return ForcedFreshness::ForceMiss;
    }
    let is_sound = match hit.as_any().downcast_ref::<DiskHit>() {
        Some(hit) => hit.is_sound(part).await,
        None => true,
    };
    let judged = judge(ctx);
    if !is_sound {
        ctx.decide("cache:disk_unsound");
        ctx.caching.found = None;
        return ForcedFreshness::ForceMiss;
    }
    if !matches!(judged, ForcedFreshness::ForceMiss) {
        ctx.decide("cache:disk");
        ctx.caching.is_on_disk = true;
    }
    judged
}

#[async_trait]
impl HandleHit for DiskHit {
    async fn read_body(&mut self) -> Result<Option<Bytes>> {
        let Some(ticket) = self.next.take().or_else(|| self.read_on()) else {
            return Ok(None);
        };
        let read = timeout(READ_WITHIN, ticket).await;
        let piece = read.map_err(|_| slow())?.map_err(broken)?;
        if piece.is_empty() {
            return Err(broken(Broken::Damaged));
        }
        self.at += piece.len() as u64;
        self.next = self.read_on();
        Ok(Some(piece))
    }

    async fn finish(
        self: Box<Self>,
        _storage: &'static (dyn Storage + Sync),
        _key: &CacheKey,
        _trace: &SpanHandle,
    ) -> Result<()> {
        Ok(())
    }

    fn can_seek(&self) -> bool {
        true
    }

    fn seek(&mut self, start: usize, end: Option<usize>) -> Result<()> {
        let length = self.stored.body_bytes();
        let (start, end) = (start as u64, end.map_or(length, |end| end as u64));
        if start >= length || start > end || end > length {
            return Error::e_explain(
                ErrorType::InternalError,
                "seeking behind the end of a body on disk",
            );
        }
        (self.at, self.end, self.next) = (start, end, None);
        Ok(())
    }

    fn should_count_access(&self) -> bool {
        false
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn as_any_mut(&mut self) -> &mut (dyn Any + Send + Sync) {
        self
    }
}

pub(super) fn broken(why: Broken) -> Box<Error> {
    Error::because(ErrorType::ReadError, "reading a body from disk", why)
}

pub(super) fn slow() -> Box<Error> {
    Error::explain(ErrorType::ReadTimedout, "the disk is too slow for a body")
}
