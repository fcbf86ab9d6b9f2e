//! Goes over what is stored, and asks the judge: what is dead is forgotten. What was met proves something to whoever
//! keeps the marks; what is stored while a round goes on was judged when it was.

use crate::{
    head::Head,
    index::Entry,
    outcome::{Fault, Miss},
    scan::{Frames, Met},
    shared::Shared,
};
use latencify_conf::change::Epoch;
use std::sync::Arc;

/// So many frames are gone over at once, at most, whatever they are.
const FRAMES_MAX: usize = 64 * 1024;

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
        loop {
            if walked.met >= records || frames_left == 0 {
                walked.next = Some(Place {
                    segment: segment.number,
                    offset: frames.offset(),
                    until: Some(until),
                });
                return Ok(walked);
            }
            frames_left -= 1;
            let met = frames.next().map_err(|_| {
                shared.counters.add(Fault::ReadFailed);
                Miss::ReadFailed
            })?;
            match met {
                None => break,
                Some(Met::Head { offset, head, .. }) => {
                    let order = head.order();
                    let Some(entry) = entry_at(shared, &head.head, segment.number, offset) else {
                        continue;
                    };
                    walked.met += 1;
                    let Head {
                        identity, fetch, ..
                    } = &head.head;
                    let is_dead =
                        entry.order == order && shared.judge.is_dead(identity, &fetch.stamp);
                    if is_dead && shared.forget(&entry) {
                        walked.dead += 1;
                    } else if !is_dead {
                        let (epoch, local) = walked.oldest.unwrap_or((Epoch(u64::MAX), u64::MAX));
                        let stamp = &fetch.stamp;
                        walked.oldest = Some((epoch.min(stamp.epoch), local.min(stamp.local)));
                    }
                }
                Some(Met::Damaged) => shared.counters.add(Fault::DamagedRecord),
                Some(Met::Chunk | Met::Removal(_)) => {}
            }
        }
        place = Place {
            segment: segment.number.saturating_add(1),
            offset: 0,
            until: Some(until),
        };
    }
    Ok(walked)
}

/// The entry that speaks of that frame, if there is one still.
fn entry_at(shared: &Shared, head: &Head, segment: u32, offset: u32) -> Option<Entry> {
    let entry = shared
        .index
        .get(crate::hash::KeyHash::of(head.key.as_ref()))?;
    (entry.segment == segment && entry.offset == offset).then_some(entry)
}
