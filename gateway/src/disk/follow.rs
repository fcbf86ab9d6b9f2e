//! Reading for a client what is on its way to disk, when memory does not have it: it is too large for that.

use super::hit::{READ_WITHIN, broken, slow};
use async_trait::async_trait;
use bytes::Bytes;
use latencify_disk::Follower;
use pingora::{
    Error, ErrorType, Result,
    cache::{CacheKey, Storage, storage::HandleHit, trace::SpanHandle},
};
use std::any::Any;
use tokio::time::timeout;

/// Reads one body under way for one client.
pub(super) struct DiskFollow {
    follower: Follower,
}

impl DiskFollow {
    /// At the beginning of a body.
    pub(super) fn new(follower: Follower) -> Self {
        Self { follower }
    }
}

#[async_trait]
impl HandleHit for DiskFollow {
    async fn read_body(&mut self) -> Result<Option<Bytes>> {
        loop {
            match timeout(READ_WITHIN, self.follower.read()).await {
                Ok(read) => return read.map_err(broken),
                Err(_) if self.follower.waits_for_disk() => return Err(slow()),
                // It waits for the origin, as the fetch that brings it does.
                Err(_) => {}
            }
        }
    }

    async fn finish(
        self: Box<Self>,
        _storage: &'static (dyn Storage + Sync),
        _key: &CacheKey,
        _trace: &SpanHandle,
    ) -> Result<()> {
        Ok(())
    }

    /// If its length was announced: a range of it is then known to exist.
    fn can_seek(&self) -> bool {
        self.follower.body_bytes().is_some()
    }

    fn seek(&mut self, start: usize, end: Option<usize>) -> Result<()> {
        let (start, end) = (start as u64, end.map(|end| end as u64));
        let length = self.follower.body_bytes();
        if length.is_some_and(|length| start > length) {
            return Error::e_explain(
                ErrorType::InternalError,
                "seeking behind the end of a body on its way to disk",
            );
        }
        self.follower.seek(start, end);
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
