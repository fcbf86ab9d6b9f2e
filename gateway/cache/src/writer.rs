//! Writes one body into the cache, as it arrives.

use crate::{
    body::CHUNK_OVERHEAD_BYTES,
    budget::Charge,
    cache::{Cache, record_bytes},
    marks::Registered,
    object::{Fill, Object},
    record::{Metadata, Record},
    refusal::Refusal,
    rules::{Kept, Point, Rules},
    stream::{Broken, CHUNK_BYTES_MAX, CHUNK_BYTES_MIN},
};
use bytes::Bytes;
use std::sync::Arc;

/// Writes one body. Dropped before [`finish`](Self::finish), it breaks the body off: whoever follows gets an error.
pub struct Writer<M: Metadata, R: Rules = Kept> {
    cache: Arc<Cache<M, R>>,
    fill: Arc<Fill<M>>,
    bytes_max: u64,
    written: u64,
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    Storing {
        /// Marks that what is stored may need are kept until it is.
        under_way: Registered,
        /// For the record, and for the body as far as it is known.
        charge: Charge,
        /// Bytes left in the present chunk.
        space: usize,
        /// The size of the next chunk, if the length is unknown.
        next_chunk: usize,
    },
    /// Not stored, for this reason; bytes are handed on to those who follow.
    Passing(Refusal),
    Ended,
}

/// Nobody follows a body that is not stored: there is no use in fetching the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody reads this body and it is not stored ({0})")]
pub struct Abandoned(#[source] pub Refusal);

impl<M: Metadata, R: Rules> Writer<M, R> {
    pub(crate) fn new(
        cache: Arc<Cache<M, R>>,
        fill: Arc<Fill<M>>,
        bytes_max: u64,
        charge: Charge,
    ) -> Self {
        let mode = Mode::Storing {
            under_way: cache.marks.register(&fill.record.fetch),
            charge,
            space: 0,
            next_chunk: CHUNK_BYTES_MIN,
        };
        Self {
            cache,
            fill,
            bytes_max,
            written: 0,
            mode,
        }
    }

    /// What a body of a known length is charged before it arrives.
    pub(crate) fn bytes_for(expected: u64) -> u64 {
        expected + expected.div_ceil(CHUNK_BYTES_MAX as u64) * CHUNK_OVERHEAD_BYTES
    }

    /// The number to [follow](Cache::follow) it by.
    pub fn id(&self) -> u64 {
        self.fill.id
    }

    /// What is known of the object.
    pub fn record(&self) -> &Arc<Record<M>> {
        &self.fill.record
    }

    /// Adds bytes. If they can't be stored they are handed on to those who follow, and so is all that comes after.
    pub fn write(&mut self, data: &Bytes) -> Result<(), Abandoned> {
        if let Some(refusal) = self.refuses(data.len() as u64) {
            self.pass(refusal);
        }
        self.written += data.len() as u64;
        let mut rest = data.clone();
        while !rest.is_empty() {
            match self.make_space(rest.len()) {
                Ok(space) => {
                    let part = rest.split_to(space.min(rest.len()));
                    self.fill.stream.extend(&part);
                    if let Mode::Storing { space, .. } = &mut self.mode {
                        *space -= part.len();
                    }
                }
                Err(refusal) => {
                    self.pass(refusal);
                    return if self.fill.stream.hand_on(rest) {
                        Ok(())
                    } else {
                        Err(Abandoned(refusal))
                    };
                }
            }
        }
        Ok(())
    }

    /// The body is whole. A refusal to store it does not concern those who follow it, unless its length is wrong.
    pub fn finish(mut self) -> Result<(), Refusal> {
        let mode = std::mem::replace(&mut self.mode, Mode::Ended);
        let wrong_length = self
            .fill
            .stream
            .expected()
            .is_some_and(|expected| expected != self.written);
        let outcome = match mode {
            Mode::Ended => Ok(()),
            Mode::Passing(refusal) if wrong_length => {
                self.fill.stream.break_off(Broken::WrongLength);
                Err(refusal)
            }
            Mode::Passing(refusal) => {
                self.fill.stream.end();
                Err(refusal)
            }
            Mode::Storing { .. } if wrong_length => {
                self.fill.stream.break_off(Broken::WrongLength);
                self.cache
                    .refuse(self.fill.record.key(), Refusal::WrongLength);
                Err(Refusal::WrongLength)
            }
            Mode::Storing {
                under_way, charge, ..
            } => {
                let stored = self.store(charge);
                drop(under_way);
                stored
            }
        };
        R::reach(Point::StoreAndEnd);
        self.cache.index.end(self.fill.record.key(), self.fill.id);
        outcome
    }

    fn store(&self, charge: Charge) -> Result<(), Refusal> {
        let record_bytes = record_bytes(&self.fill.record);
        let body = self.fill.stream.complete(charge, record_bytes);
        let record = match self.fill.record.meta.completed(body.len()) {
            Some(meta) => Arc::new(self.fill.record.with_meta(meta)),
            None => Arc::clone(&self.fill.record),
        };
        let stored = self.cache.store(Object { record, body });
        if let Err(refusal) = stored {
            self.cache.refuse(self.fill.record.key(), refusal);
        }
        stored
    }

    /// Why so many more bytes can't be stored.
    fn refuses(&self, more: u64) -> Option<Refusal> {
        let length = self.written + more;
        let too_long = self
            .fill
            .stream
            .expected()
            .is_some_and(|expected| length > expected);
        let refusal = if too_long {
            Refusal::WrongLength
        } else {
            Refusal::TooLarge
        };
        (too_long || length > self.bytes_max).then_some(refusal)
    }

    /// Space in the present chunk, or in a new one that is charged first.
    fn make_space(&mut self, wanted: usize) -> Result<usize, Refusal> {
        let (held, space, next_chunk) = match &mut self.mode {
            Mode::Storing {
                charge,
                space,
                next_chunk,
                ..
            } => (charge, space, next_chunk),
            Mode::Passing(refusal) => return Err(*refusal),
            Mode::Ended => return Err(Refusal::Gone),
        };
        if *space == 0 {
            let bytes = if let Some(expected) = self.fill.stream.expected() {
                // Charged when the fill began.
                let left = expected - (self.written - wanted as u64);
                usize::try_from(left).map_or(CHUNK_BYTES_MAX, |left| left.min(CHUNK_BYTES_MAX))
            } else {
                let bytes = wanted.clamp(*next_chunk, CHUNK_BYTES_MAX);
                let charge = self.cache.charge(bytes as u64 + CHUNK_OVERHEAD_BYTES);
                held.absorb(charge.ok_or(Refusal::NoRoom)?);
                *next_chunk = (*next_chunk * 2).min(CHUNK_BYTES_MAX);
                bytes
            };
            self.fill.stream.open_chunk(bytes);
            *space = bytes;
        }
        Ok(*space)
    }

    /// From here on, the body is not stored; what is charged for it is given back.
    fn pass(&mut self, refusal: Refusal) {
        if matches!(self.mode, Mode::Storing { .. }) {
            self.fill.stream.pass();
            self.mode = Mode::Passing(refusal);
            self.cache.refuse(self.fill.record.key(), refusal);
            self.cache.index.end(self.fill.record.key(), self.fill.id);
        }
    }
}

impl<M: Metadata, R: Rules> Drop for Writer<M, R> {
    fn drop(&mut self) {
        if !matches!(self.mode, Mode::Ended) {
            self.fill.stream.break_off(Broken::Aborted);
            self.cache.index.end(self.fill.record.key(), self.fill.id);
        }
    }
}

impl<M: Metadata, R: Rules> std::fmt::Debug for Writer<M, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("key", &self.fill.record.key())
            .field("fill", &self.fill.id)
            .field("written", &self.written)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
