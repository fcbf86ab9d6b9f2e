//! Reading a body for a client, complete or arriving.

use async_trait::async_trait;
use bytes::Bytes;
use latencify_cache::{OutOfRange, Reader, stream::Broken};
use pingora::{
    Error, ErrorType, Result,
    cache::{CacheKey, Storage, storage::HandleHit, trace::SpanHandle},
};
use std::any::Any;

/// Reads one body for one client.
pub(super) struct Hit {
    reader: Reader,
}

impl Hit {
    pub(super) fn new(reader: Reader) -> Self {
        Self { reader }
    }
}

#[async_trait]
impl HandleHit for Hit {
    async fn read_body(&mut self) -> Result<Option<Bytes>> {
        self.reader.read().await.map_err(broken)
    }

    async fn finish(
        self: Box<Self>,
        _storage: &'static (dyn Storage + Sync),
        _key: &CacheKey,
        _trace: &SpanHandle,
    ) -> Result<()> {
        Ok(())
    }

    /// A body under way can seek if its length was announced: a range of it is then known to exist.
    fn can_seek(&self) -> bool {
        match &self.reader {
            Reader::Stored(_) => true,
            Reader::Following(follower) => follower.stream().expected().is_some(),
        }
    }

    fn seek(&mut self, start: usize, end: Option<usize>) -> Result<()> {
        self.reader
            .seek(start as u64, end.map(|end| end as u64))
            .map_err(out_of_range)
    }

    /// The storage counts reads itself.
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

/// Whether a request ends early because the body that it reads was withdrawn from slow readers.
pub fn is_withdrawn(error: &Error) -> bool {
    error.root_cause().downcast_ref() == Some(&Broken::Withdrawn)
}

fn broken(why: Broken) -> Box<Error> {
    Error::because(ErrorType::ReadError, "reading a body from the cache", why)
}

fn out_of_range(why: OutOfRange) -> Box<Error> {
    Error::because(
        ErrorType::InternalError,
        "seeking in a body of the cache",
        why,
    )
}
