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
        if self.written > self.bytes_max && writer.refused().is_none() {
            writer.pass(latencify_disk::Refusal::TooLarge);
        }
        if writer.write(data).is_err() {
            self.writer = None;
        }
    }

    /// Whether it is stored, or read by somebody.
    pub fn is_of_use(&self) -> bool {
        self.writer.is_some()
    }

    /// Whether it is stored, as far as is known.
    pub fn is_stored(&self) -> bool {
        let writer = self.writer.as_ref();
        writer.is_some_and(|writer| writer.refused().is_none())
    }

    /// Memory does not take it from the first, so that nobody reads it from there: the answer passes through. It is not stored here
    /// either, and what it would have replaced is not to come after it.
    pub fn refused(mut self, memory: Refusal) {
        if let Some(why) = declined(memory) {
            self.decline(why);
        }
    }

    fn decline(&mut self, why: latencify_disk::Refusal) {
        if let Some(writer) = self.writer.take() {
            writer.decline(why);
        }
    }

    /// The body is whole, and memory has stored it or said why not. Nobody waits for the disk, and who follows it reads to its end.
    pub fn finish(mut self, memory: Result<(), Refusal>) {
        let why_not = match memory {
            Ok(()) | Err(Refusal::TooLarge | Refusal::NoRoom) => None,
            Err(Refusal::Older) => Some(latencify_disk::Refusal::Older),
            Err(Refusal::Purged) => Some(latencify_disk::Refusal::Purged),
            Err(refusal) => return self.refused(refusal),
        };
        if let Some(writer) = self.writer.take() {
            if let Some(why) = why_not {
                writer.pass(why);
            }
            drop(writer.commit());
        }
    }
}

/// Why it is not stored here if memory refused it so, although it is served; none: it is not what is to be served from now on.
fn declined(memory: Refusal) -> Option<latencify_disk::Refusal> {
    use latencify_disk::Refusal as Why;
    match memory {
        Refusal::TooLarge => Some(Why::TooLarge),
        Refusal::NoRoom => Some(Why::NoRoom),
        Refusal::TooManyFills => Some(Why::TooManyFills),
        Refusal::TooManyTags => Some(Why::HeadTooLarge),
        Refusal::Older | Refusal::Purged | Refusal::WrongLength | Refusal::Gone => None,
    }
}
