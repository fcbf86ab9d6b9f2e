//! Goes over what is stored, and asks the judge: what is dead is forgotten. What was met proves something to whoever
//! keeps the marks; what is stored while a round goes on was judged when it was. What can't be read is given up: one bad sector must
//! not keep the marks for ever.

use crate::{
    format::StoredHead,
    head::Head,
    index::Entry,
    outcome::{Fault, Miss},
    record::{Record, RecordError},
    scan::{Frames, Met},
    segments::Segment,
    shared::Shared,
};
use latencify_conf::change::Epoch;
use std::sync::Arc;

/// So many frames are gone over at once, at most, whatever they are.
const FRAMES_MAX: usize = 64 * 1024;

/// So many records that can't be read are given up in one step. If there are more, the disk can't be read now, rather than a part of
/// it: that ends the round, and the next one tries again.
pub const GIVEN_UP_MAX: usize = 64;

/// Where a round stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    segment: u32,
    offset: u32,
    /// The newest segment when the round began.
    until: Option<u32>,
}

/// What a step of a round met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Walked {
    /// Objects that were judged.
    pub met: usize,
    /// Of those, the dead: they are forgotten.
    pub dead: usize,
    /// Records that can't be read any more, of objects that are forgotten.
    pub given_up: usize,
    /// Of the living, the lowest epoch and the lowest local number of their stamps.
    pub oldest: Option<(Epoch, u64)>,
    /// Where to go on; none: all that was stored when the round began has been judged.
    pub next: Option<Place>,
}

/// A step of a round.
pub(crate) fn walk(shared: &Arc<Shared>, from: Place, records: usize) -> Result<Walked, Miss> {
    if !shared.queue.is_ready() {
        return Err(Miss::NotReady);
    }
    let newest = || shared.segments.all().last().map(|segment| segment.number);
    let Some(until) = from.until.or_else(newest) else {
        return Ok(Walked::default());
    };
    let mut walked = Walked::default();
    let mut frames_left = FRAMES_MAX;
    let mut place = from;
    while let Some(segment) = shared.segments.from(place.segment) {
        if segment.number > until {
            break;
        }
        let offset = if segment.number == place.segment {
            place.offset
        } else {
            0
        };
        let mut frames = Frames::new(&segment, offset, segment.bytes());
        let goes_on_at = loop {
            if walked.met >= records || frames_left == 0 {
                break Some(frames.offset());
            }
            frames_left -= 1;
            match frames.next() {
                Err(_) => {
                    shared.counters.add(Fault::ReadFailed);
                    break walked.one_by_one(shared, &segment, frames.offset(), records)?;
                }
                Ok(None) => break None,
                Ok(Some(Met::Head { offset, head, .. })) => {
                    if let Some(entry) = entry_at(shared, &head.head, segment.number, offset) {
                        walked.judge(shared, &entry, &head);
                    }
                }
                Ok(Some(Met::Damaged)) => shared.counters.add(Fault::DamagedRecord),
                Ok(Some(Met::Chunk | Met::Removal(_))) => {}
            }
        };
        if let Some(offset) = goes_on_at {
            walked.next = Some(Place {
                segment: segment.number,
                offset,
                until: Some(until),
            });
            return Ok(walked);
        }
        place = Place {
            segment: segment.number.saturating_add(1),
            offset: 0,
            until: Some(until),
        };
    }
    Ok(walked)
}

impl Walked {
    fn judge(&mut self, shared: &Shared, entry: &Entry, head: &StoredHead) {
        self.met += 1;
        let order = head.order();
        let Head {
            identity, fetch, ..
        } = &head.head;
        let stamp = &fetch.stamp;
        let is_dead = entry.order == order && shared.judge.is_dead(identity, stamp);
        if is_dead && shared.forget(entry) {
            self.dead += 1;
        } else if !is_dead {
            let (epoch, local) = self.oldest.unwrap_or((Epoch(u64::MAX), u64::MAX));
            self.oldest = Some((epoch.min(stamp.epoch), local.min(stamp.local)));
        }
    }

    /// Goes over the rest of a segment that can't be read in one piece: each record that the index knows by itself. What can't be
    /// read is given up. Returns where to go on; none: the segment is at its end.
    fn one_by_one(
        &mut self,
        shared: &Shared,
        segment: &Segment,
        offset: u32,
        records: usize,
    ) -> Result<Option<u32>, Miss> {
        for entry in shared.index.behind(segment.number, offset) {
            if self.met >= records {
                return Ok(Some(entry.offset));
            }
            match Record::read(segment, &entry) {
                Ok(record) => self.judge(shared, &entry, &record.head),
                Err(_) if self.given_up >= GIVEN_UP_MAX => return Err(Miss::ReadFailed),
                Err(error) => {
                    shared.counters.add(match error {
                        RecordError::Damaged => Fault::DamagedRecord,
                        RecordError::ReadFailed => Fault::UnreadableRecord,
                    });
                    self.given_up += usize::from(shared.forget(&entry));
                }
            }
        }
        Ok(None)
    }
}

/// The entry that speaks of that frame, if there is one still.
fn entry_at(shared: &Shared, head: &Head, segment: u32, offset: u32) -> Option<Entry> {
    let entry = shared
        .index
        .get(crate::hash::KeyHash::of(head.key.as_ref()))?;
    (entry.segment == segment && entry.offset == offset).then_some(entry)
}
