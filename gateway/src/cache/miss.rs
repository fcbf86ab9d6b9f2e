//! Writing a body into the cache as it arrives from the origin.

use super::stored::StoredMeta;
use crate::disk::DiskFill;
use async_trait::async_trait;
use bytes::Bytes;
use latencify_cache::{Cache, Refusal, Writer};
use pingora::{
    Error, ErrorType, Result,
    cache::storage::{HandleMiss, MissFinishType, streaming_write::U64WriteId},
};
use std::sync::Arc;

/// Writes one body. Dropped before its end, it breaks the body off for all who follow it.
pub(super) struct Miss {
    writer: Writer<StoredMeta>,
    tag: U64WriteId,
    written: usize,
    on_disk: Option<DiskFill>,
    /// In which nothing older may hide what only the disk stores.
    memory: Arc<Cache<StoredMeta>>,
}

impl Miss {
    pub(super) fn new(
        memory: Arc<Cache<StoredMeta>>,
        writer: Writer<StoredMeta>,
        on_disk: Option<DiskFill>,
    ) -> Self {
        let tag = writer.id().into();
        Self {
            writer,
            tag,
            written: 0,
            on_disk,
            memory,
        }
    }
}

#[async_trait]
impl HandleMiss for Miss {
    /// An error means that the body is stored nowhere and nobody reads it; that ends the fetch.
    async fn write_body(&mut self, data: Bytes, _eof: bool) -> Result<()> {
        self.written += data.len();
        if let Some(on_disk) = &mut self.on_disk {
            on_disk.write(&data);
        }
        match self.writer.write(&data) {
            Err(why) if !self.on_disk.as_ref().is_some_and(DiskFill::is_of_use) => {
                Err(Error::because(
                    ErrorType::WriteError,
                    "handing on a body that is not stored",
                    why,
                ))
            }
            _ => Ok(()),
        }
    }

    /// A body that is not stored after all (purged meanwhile, older than what is there) is no error: an error here would
    /// break off the client that reads it.
    async fn finish(self: Box<Self>) -> Result<MissFinishType> {
        let written = self.written;
        let record = Arc::clone(self.writer.record());
        let finished = self.writer.finish();
        let announced = record.meta.announced_bytes();
        let is_whole = announced.is_none_or(|bytes| bytes == written as u64);
        // From the first, or when it turned out to be too large for memory.
        let is_on_disk_alone = matches!(finished, Err(Refusal::TooLarge | Refusal::NoRoom))
            && self.on_disk.as_ref().is_some_and(DiskFill::is_stored);
        if is_whole && is_on_disk_alone {
            self.memory.give_way(&record);
        }
        if let Some(on_disk) = self.on_disk {
            on_disk.finish(finished);
        }
        if let Err(refusal) = finished {
            tracing::debug!(
                refusal = refusal.name(),
                bytes = written,
                "answer not stored"
            );
        }
        Ok(MissFinishType::Created(written))
    }

    /// Pingora finds its own reader by this.
    fn streaming_write_tag(&self) -> Option<&[u8]> {
        Some(self.tag.as_bytes())
    }
}
