//! From another tier into memory.

use crate::{
    cache::{Cache, record_bytes},
    count::Counters,
    identity::{Identified as _, TAGS_MAX},
    key::KeyRef,
    object::Object,
    record::{Metadata, Record},
    refusal::Refusal,
    rules::{Point, Rules},
    stream::Stream,
    writer::Writer,
};
use bytes::Bytes;
use std::sync::Arc;

/// What memory knew of a key when another tier began to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "what the tier brings is promoted with it"]
pub struct Promotion {
    newest_gone: u64,
}

impl Promotion {
    /// Whether what a fetch of that generation brings is later than all that had left memory by then.
    pub fn is_later(&self, generation: u64) -> bool {
        generation > self.newest_gone
    }
}

impl<M: Metadata, R: Rules> Cache<M, R> {
    /// Another tier is about to be asked for what a key has. Must be called before: whatever leaves memory under that key from
    /// now on may be newer than what the tier brings.
    pub fn begin_promotion(&self, key: KeyRef<'_>) -> Promotion {
        Promotion {
            newest_gone: self.index.newest_gone(key),
        }
    }

    /// Puts a whole object of another tier into memory. It keeps its stamp and its generation (0 of what an earlier run
    /// fetched), so it never replaces anything, and anything that was fetched later replaces it. While it is put there it is
    /// under way, so marks that it may need are kept; the tier keeps those that it needs before. `record` is best one that was
    /// [taken over](Record::taken_over).
    pub fn promote(
        &self,
        promotion: Promotion,
        key: KeyRef<'_>,
        record: Record<M>,
        body: &Bytes,
    ) -> Result<(), Refusal> {
        let promoted = self.try_promote(promotion, record.keyed(key), body);
        match promoted {
            Ok(()) => Counters::add(&self.counters.promoted),
            Err(refusal) => self.counters.refuse(refusal),
        }
        promoted
    }

    fn try_promote(
        &self,
        promotion: Promotion,
        record: Record<M>,
        body: &Bytes,
    ) -> Result<(), Refusal> {
        let _under_way = self.marks.register(&record.fetch);
        let bytes = body.len() as u64;
        if bytes > self.object_bytes_max() {
            return Err(Refusal::TooLarge);
        }
        if record.tags().count() > TAGS_MAX {
            return Err(Refusal::TooManyTags);
        }
        let record_bytes = record_bytes(&record);
        let charge = self
            .charge(record_bytes + Writer::<M, R>::bytes_for(bytes))
            .ok_or(Refusal::NoRoom)?;
        let stream = Stream::new(Some(bytes), Arc::clone(&self.counters.passing_bytes));
        stream.extend_chunked(body);
        let body = stream.complete(charge, record_bytes);
        let record = Arc::new(match record.meta.completed(bytes) {
            Some(meta) => record.with_meta(meta),
            None => record,
        });
        if record.liveness(&self.marks).is_dead() {
            return Err(Refusal::Purged);
        }
        R::reach(Point::JudgeAndStore);
        self.index
            .promote(Object { record, body }, promotion.newest_gone)
    }
}
