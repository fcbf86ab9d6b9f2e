//! Writes one body into the cache, as it arrives.

use crate::{
    body::{CHUNK_OVERHEAD_BYTES, WHOLE_BYTES_MAX},
    budget::Charge,
    cache::{Cache, record_bytes},
    filling::{Hold, Reserve},
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
        reserve: Arc<Reserve>,
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
        hold: Hold,
    ) -> Self {
        let reserve = Reserve::new(hold, Arc::clone(&fill.stream), R::now());
        if fill.stream.expected().is_some_and(is_large) {
            cache.filling.list(&reserve);
        }
        let mode = Mode::Storing {
            under_way: cache.marks.register(&fill.record.fetch),
            reserve,
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

    /// Hands a body on that is not stored here, for that reason.
    pub(crate) fn passing(cache: Arc<Cache<M, R>>, fill: Arc<Fill<M>>, why: Refusal) -> Self {
        fill.stream.pass();
        Self {
            cache,
            fill,
            bytes_max: u64::MAX,
            written: 0,
            mode: Mode::Passing(why),
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
            match self.add(&mut rest) {
                Ok(()) => {}
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
        let outcome = match std::mem::replace(&mut self.mode, Mode::Ended) {
            Mode::Ended => Ok(()),
            Mode::Passing(refusal) => self.end_passing(refusal),
            Mode::Storing {
                under_way, reserve, ..
            } => {
                let ended = if let Some(charge) = reserve.take() {
                    self.end_storing(charge)
                } else {
                    self.cache.refuse(self.fill.record.key(), Refusal::NoRoom);
                    self.end_passing(Refusal::NoRoom)
                };
                drop(under_way);
                ended
            }
        };
        R::reach(Point::StoreAndEnd);
        self.cache.index.end(self.fill.record.key(), self.fill.id);
        outcome
    }

    fn has_wrong_length(&self) -> bool {
        let expected = self.fill.stream.expected();
        expected.is_some_and(|expected| expected != self.written)
    }

    fn end_passing(&self, refusal: Refusal) -> Result<(), Refusal> {
        if self.has_wrong_length() {
            self.fill.stream.break_off(Broken::WrongLength);
        } else {
            self.fill.stream.end();
        }
        Err(refusal)
    }

    fn end_storing(&self, charge: Charge) -> Result<(), Refusal> {
        let stored = if self.has_wrong_length() {
            self.fill.stream.break_off(Broken::WrongLength);
            Err(Refusal::WrongLength)
        } else {
            self.store(charge)
        };
        if let Err(refusal) = stored {
            self.cache.refuse(self.fill.record.key(), refusal);
        }
        stored
    }

    fn store(&self, charge: Charge) -> Result<(), Refusal> {
        let record_bytes = record_bytes(&self.fill.record);
        let body = self.fill.stream.complete(charge, record_bytes);
        let record = match self.fill.record.meta.completed(body.len()) {
            Some(meta) => Arc::new(self.fill.record.with_meta(meta)),
            None => Arc::clone(&self.fill.record),
        };
        self.cache.store(Object { record, body })
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

    /// Adds some of the bytes to the present chunk, or to a new one that is charged first.
    fn add(&mut self, rest: &mut Bytes) -> Result<(), Refusal> {
        let (reserve, space, next_chunk) = match &mut self.mode {
            Mode::Storing {
                reserve,
                space,
                next_chunk,
                ..
            } => (reserve, space, next_chunk),
            Mode::Passing(refusal) => return Err(*refusal),
            Mode::Ended => return Err(Refusal::Gone),
        };
        let stream = &self.fill.stream;
        let arrived = self.written - rest.len() as u64;
        let (mut opened, mut more) = (None, None);
        if *space == 0 {
            let bytes = if let Some(expected) = stream.expected() {
                // Held since the fill began.
                let left = expected - arrived;
                usize::try_from(left).map_or(CHUNK_BYTES_MAX, |left| left.min(CHUNK_BYTES_MAX))
            } else {
                let bytes = rest.len().clamp(*next_chunk, CHUNK_BYTES_MAX);
                let counted = if is_large(arrived + bytes as u64) {
                    self.cache.filling.list(reserve);
                    bytes as u64
                } else {
                    0
                };
                let hold = self
                    .cache
                    .hold(bytes as u64 + CHUNK_OVERHEAD_BYTES, counted);
                more = Some(hold.ok_or(Refusal::NoRoom)?);
                *next_chunk = (*next_chunk * 2).min(CHUNK_BYTES_MAX);
                bytes
            };
            opened = Some(bytes);
        }
        // From here on it can't be given up until the bytes are in their place.
        let mut hold = reserve.hold();
        let held = hold.as_mut().ok_or(Refusal::NoRoom)?;
        if let Some(more) = more {
            held.absorb(more);
        }
        if let Some(bytes) = opened {
            stream.open_chunk(bytes);
            *space = bytes;
        }
        let part = rest.split_to((*space).min(rest.len()));
        stream.extend(&part);
        *space -= part.len();
        Ok(())
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

/// Whether it counts among what bodies under way may hold.
fn is_large(bytes: u64) -> bool {
    bytes > WHOLE_BYTES_MAX
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
