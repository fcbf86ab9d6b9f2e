//! A body on its way to the disk, beside its way into memory.

use bytes::Bytes;
use latencify_cache::{Held, Refusal};
use latencify_disk::Writer;

/// Writes one body. Dropped before its end, nothing of it is stored.
pub struct DiskFill {
    writer: Option<Writer>,
    written: u64,
    bytes_max: u64,
    /// Marks that what is stored may need are kept until it is.
    _held: Held,
}

impl DiskFill {
    pub(super) fn new(writer: Writer, bytes_max: u64, held: Held) -> Self {
        Self {
            writer: Some(writer),
            written: 0,
            bytes_max,
            _held: held,
        }
    }

    /// Adds bytes. What can't be stored concerns nobody; it has been counted.
    pub fn write(&mut self, data: &Bytes) {
        self.written += data.len() as u64;
        let Some(writer) = &mut self.writer else {
            return;
        };
        if self.written > self.bytes_max || writer.write(data).is_err() {
            self.writer = None;
        }
    }

    /// The body is whole, and memory has stored it or said why not. Nobody waits for the disk.
    pub fn finish(mut self, memory: Result<(), Refusal>) {
        let is_good = !matches!(
            memory,
            Err(Refusal::Older | Refusal::Purged | Refusal::WrongLength | Refusal::TooManyTags)
        );
        if let Some(writer) = self.writer.take().filter(|_| is_good) {
            drop(writer.commit());
        }
    }
}
