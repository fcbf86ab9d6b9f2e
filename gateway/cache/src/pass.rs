//! What another tier stores without this one.

use crate::{
    cache::{Cache, Expectation},
    key::KeyRef,
    object::Fill,
    record::{Metadata, Record},
    refusal::Refusal,
    rules::Rules,
    stream::Stream,
    writer::Writer,
};
use std::sync::{Arc, atomic::Ordering};

impl<M: Metadata, R: Rules> Cache<M, R> {
    /// Hands a body on to the request that fetches it, after it was [refused](Self::fill) here for that reason: another tier stores it.
    /// So requests for its key wait for each other, as for what is stored. The only reader is who
    /// [follows](Self::follow) it before anything of it has arrived.
    pub fn pass(
        self: &Arc<Self>,
        key: KeyRef<'_>,
        record: Record<M>,
        expectation: Expectation,
        why: Refusal,
    ) -> Result<Writer<M, R>, Refusal> {
        let fill = Arc::new(Fill {
            id: self.next_fill.fetch_add(1, Ordering::Relaxed),
            record: Arc::new(record.keyed(key)),
            stream: Stream::new(expectation.bytes, Arc::clone(&self.counters.passing_bytes)),
        });
        self.index.begin(Arc::clone(&fill))?;
        self.hit_for_miss.forget(self.primary_hash(key));
        Ok(Writer::passing(Arc::clone(self), fill, why))
    }

    /// Takes out what is stored under the key of that record and was fetched before it, which another tier stores: it would hide that.
    /// Nor need requests for the key go to the origin side by side.
    pub fn give_way(&self, record: &Record<M>) {
        self.hit_for_miss.forget(self.primary_hash(record.key()));
        let stored = self.index.stored(record.key());
        let is_older = |stored: &Arc<Record<M>>| stored.fetch.generation < record.fetch.generation;
        if let Some(older) = stored.filter(is_older) {
            self.index.remove(&older);
        }
    }
}
