//! Writing a body into the cache as it arrives from the origin.

use super::stored::StoredMeta;
use crate::disk::DiskFill;
use async_trait::async_trait;
use bytes::Bytes;
use latencify_cache::Writer;
use pingora::{
    Error, ErrorType, Result,
    cache::storage::{HandleMiss, MissFinishType, streaming_write::U64WriteId},
};

/// Writes one body. Dropped before its end, it breaks the body off for all who follow it.
pub(super) struct Miss {
    writer: Writer<StoredMeta>,
    tag: U64WriteId,
    written: usize,
    on_disk: Option<DiskFill>,
}

impl Miss {
    pub(super) fn new(writer: Writer<StoredMeta>, on_disk: Option<DiskFill>) -> Self {
        let tag = writer.id().into();
        Self {
            writer,
            tag,
            written: 0,
            on_disk,
        }
    }
}

#[async_trait]
impl HandleMiss for Miss {
    /// An error means that the body is not stored and nobody reads it; that ends the fetch.
    async fn write_body(&mut self, data: Bytes, _eof: bool) -> Result<()> {
        self.written += data.len();
        if let Some(on_disk) = &mut self.on_disk {
            on_disk.write(&data);
        }
        self.writer.write(&data).map_err(|why| {
            Error::because(
                ErrorType::WriteError,
                "handing on a body that is not stored",
                why,
            )
        })
    }

    /// A body that is not stored after all (purged meanwhile, older than what is there) is no error: an error here would
    /// break off the client that reads it.
    async fn finish(self: Box<Self>) -> Result<MissFinishType> {
        let written = self.written;
        let finished = self.writer.finish();
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
