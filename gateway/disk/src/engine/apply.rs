//! What is asked of the log, put into frames.

use super::log::{Effect, Log, Stop};
use crate::{
    fill::{Chunk, Fill},
    format::{Extent, Kind, StoredHead, head::Removal},
    head::Head,
    index::Entry,
    outcome::Refusal,
    queue::{Batch, Operation, Renewal},
    record::Record,
    ticket::Promise,
};
use bytes::Bytes;
use std::sync::Arc;

impl Log {
    /// Puts a batch, and writes it. An error: the folder is lost.
    pub(super) fn apply(&mut self, batch: Batch) -> Result<(), Stop> {
        let mut operations = batch.operations.into_iter();
        let mut removals = batch.removals.into_iter();
        let outcome = removals
            .try_for_each(|removal| unless_lost(self.remove(removal)))
            .and_then(|()| operations.try_for_each(|operation| self.operate(operation)));
        // If the folder is lost: what is left of the batch.
        operations.for_each(|operation| super::refuse(&self.shared, operation));
        outcome?;
        self.flush()?;
        if batch.is_snapshot_wanted {
            self.save()?;
        }
        Ok(())
    }

    fn remove(&mut self, removal: Removal) -> Result<(), Stop> {
        let part = removal.encode();
        self.reserve(part.len() as u64)?;
        self.put(Kind::Removal, std::iter::once(&*part), std::iter::empty())
            .map(|_| ())
    }

    fn operate(&mut self, operation: Operation) -> Result<(), Stop> {
        match operation {
            Operation::Chunk(fill, number) => {
                let outcome = self.chunk(&fill, number);
                self.settle(outcome, &fill, None)
            }
            Operation::Commit(fill, promise) => match self.commit(&fill) {
                Ok(entry) => {
                    self.then(Effect::Stored(fill, entry, promise));
                    Ok(())
                }
                Err(stop) => self.settle(Err(stop), &fill, Some(promise)),
            },
            Operation::Renew(renewal) => self.renew(renewal),
        }
    }

    /// Tells a fill what stopped it.
    fn settle(
        &self,
        outcome: Result<(), Stop>,
        fill: &Fill,
        promise: Option<Promise<Result<(), Refusal>>>,
    ) -> Result<(), Stop> {
        let refusal = match outcome {
            Ok(()) => return Ok(()),
            Err(Stop::Refused(refusal)) => refusal,
            Err(Stop::Lost(_)) => Refusal::WriteFailed,
        };
        fill.give_up(&self.shared, refusal);
        if let Some(promise) = promise {
            promise.keep(Err(fill.refused().unwrap_or(refusal)));
        }
        unless_lost(outcome)
    }

    /// Puts a chunk that is in memory still.
    fn chunk(&mut self, fill: &Arc<Fill>, number: usize) -> Result<(), Stop> {
        let pieces = {
            let state = fill.state.lock();
            match state.chunks.get(number) {
                Some(Chunk::Held(pieces)) if state.refused.is_none() => pieces.clone(),
                _ => return Ok(()),
            }
        };
        let extent = self.put_chunk(&pieces)?;
        self.then(Effect::Placed(Arc::clone(fill), number, extent));
        Ok(())
    }

    pub(super) fn put_chunk(&mut self, pieces: &[Bytes]) -> Result<Extent, Stop> {
        let bytes: usize = pieces.iter().map(Bytes::len).sum();
        self.reserve(bytes as u64)?;
        self.put(
            Kind::Chunk,
            pieces.iter().map(|piece| &**piece),
            std::iter::empty(),
        )
    }

    /// Puts what a whole fill still lacks, its head last.
    fn commit(&mut self, fill: &Arc<Fill>) -> Result<Entry, Stop> {
        self.admit(fill)?;
        let (written, chunks) = {
            let state = fill.state.lock();
            (state.written, state.chunks.len())
        };
        let layout = self.shared.settings.layout;
        let is_inline = written <= u64::from(layout.inline_bytes_max);
        let mut body = Vec::new();
        let mut extents = Vec::new();
        if is_inline {
            let state = fill.state.lock();
            for chunk in &state.chunks {
                match chunk {
                    Chunk::Held(pieces) => body.extend(pieces.iter().cloned()),
                    // It was small enough for a chunk, but not for a record: read it back.
                    Chunk::Placed(segment, extent) => body.push(
                        segment
                            .chunk(extent)
                            .map_err(|_| Stop::Refused(Refusal::WriteFailed))?,
                    ),
                    Chunk::Gone => return Err(Stop::Refused(Refusal::WriteFailed)),
                }
            }
        } else {
            self.chunk(fill, chunks.saturating_sub(1))?;
            self.flush()?;
            extents = placed(fill)?;
        }
        let head = StoredHead {
            head: fill.head.clone(),
            body_bytes: written,
            body_crc: body
                .iter()
                .fold(0, |crc, piece| crc32c::crc32c_append(crc, piece)),
            extents,
        };
        self.put_head(head, fill.order, &body)
    }

    /// Whether it may be stored, and room for one more in the index.
    fn admit(&mut self, fill: &Fill) -> Result<(), Stop> {
        if let Some(refusal) = fill.refused() {
            return Err(Stop::Refused(refusal));
        }
        let Head {
            identity, fetch, ..
        } = &fill.head;
        if self.shared.judge.is_dead(identity, &fetch.stamp) {
            return Err(Stop::Refused(Refusal::Purged));
        }
        match self.shared.index.get(fill.hash) {
            Some(old) if old.order >= fill.order || fetch.generation == 0 => {
                Err(Stop::Refused(Refusal::Older))
            }
            Some(_) => Ok(()),
            // Those that were put and are not written yet are not in the index.
            None if self.shared.index.len() + self.effects()
                >= self.shared.settings.objects_max =>
            {
                self.make_room_in_index()
            }
            None => Ok(()),
        }
    }

    /// Puts a head whose chunks are written; the entry that will speak of it.
    pub(super) fn put_head(
        &mut self,
        mut head: StoredHead,
        order: u64,
        body: &[Bytes],
    ) -> Result<Entry, Stop> {
        head.head.fetch.generation = order;
        let part = head.encode();
        if part.len() as u64 > u64::from(self.shared.settings.layout.head_bytes_max) {
            return Err(Stop::Refused(Refusal::HeadTooLarge));
        }
        let inline: usize = body.iter().map(Bytes::len).sum();
        self.reserve((part.len() + inline) as u64)?;
        // That may have evicted what it needs.
        let is_there = |extent: &Extent| self.shared.segments.get(extent.segment).is_some();
        if !head.extents.iter().all(is_there) {
            return Err(Stop::Refused(Refusal::TooSlow));
        }
        let key = crate::hash::KeyHash::of(head.head.key.as_ref());
        let at = self.put(
            Kind::Head,
            std::iter::once(&*part),
            body.iter().map(|piece| &**piece),
        )?;
        let span = at.segment - head.oldest(at.segment);
        Ok(Entry {
            hash: key,
            order,
            segment: at.segment,
            offset: at.offset,
            bytes: at.bytes + crate::format::FRAME_BYTES,
            span: u16::try_from(span).map_err(|_| Stop::Refused(Refusal::TooSlow))?,
            hits: 0,
            is_proven: true,
        })
    }

    fn renew(&mut self, renewal: Renewal) -> Result<(), Stop> {
        let Renewal {
            of,
            head,
            charge,
            promise,
        } = renewal;
        // What was put before may be what is renewed.
        self.flush()?;
        let outcome = self.put_renewed(of.0, head);
        drop(charge);
        match outcome {
            Ok((old, new)) => {
                self.then(Effect::Renewed(old, new, promise));
                Ok(())
            }
            Err(stop) => {
                let refusal = match stop {
                    Stop::Refused(refusal) => refusal,
                    Stop::Lost(_) => Refusal::WriteFailed,
                };
                self.shared.counters.add(refusal);
                promise.keep(Err(refusal));
                unless_lost(Err(stop))
            }
        }
    }

    fn put_renewed(&mut self, of: u64, head: Head) -> Result<(Entry, Entry), Stop> {
        let gone = Stop::Refused(Refusal::Gone);
        if self.shared.judge.is_dead(&head.identity, &head.fetch.stamp) {
            return Err(Stop::Refused(Refusal::Purged));
        }
        let hash = crate::hash::KeyHash::of(head.key.as_ref());
        let old = self.shared.index.get(hash).filter(|old| old.order == of);
        let old = old.ok_or(gone)?;
        let order = self.shared.order(head.fetch.generation);
        if order <= of {
            return Err(Stop::Refused(Refusal::Older));
        }
        let segment = self.shared.segments.get(old.segment).ok_or(gone)?;
        let record = Record::read(&segment, &old).map_err(|_| gone)?;
        let before = &record.head.head;
        let is_purged = self
            .shared
            .judge
            .is_dead(&before.identity, &before.fetch.stamp);
        if before.key.as_ref() != head.key.as_ref() || is_purged {
            return Err(gone);
        }
        let body: Vec<_> = record.body.into_iter().collect();
        let renewed = StoredHead {
            head,
            ..record.head
        };
        let new = self.put_head(renewed, order, &body)?;
        let (hits, is_proven) = (old.hits, old.is_proven);
        // Eviction may have moved it meanwhile. If it is gone, nothing is replaced.
        let now = self.shared.index.get(hash).filter(|now| now.order == of);
        let old = now.unwrap_or(old);
        let new = Entry {
            hits,
            is_proven,
            ..new
        };
        Ok((old, new))
    }
}

/// Where the chunks of a fill are, all of which are written.
fn placed(fill: &Fill) -> Result<Vec<Extent>, Stop> {
    let state = fill.state.lock();
    if let Some(refusal) = state.refused {
        return Err(Stop::Refused(refusal));
    }
    let extent = |chunk: &Chunk| match chunk {
        Chunk::Placed(_, extent) => Ok(*extent),
        _ => Err(Stop::Refused(Refusal::WriteFailed)),
    };
    state.chunks.iter().map(extent).collect()
}

/// Ok, unless the folder is lost.
pub(super) fn unless_lost(outcome: Result<(), Stop>) -> Result<(), Stop> {
    match outcome {
        Err(Stop::Refused(_)) => Ok(()),
        outcome => outcome,
    }
}
