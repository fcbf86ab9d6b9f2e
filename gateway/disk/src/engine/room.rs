//! Eviction: the oldest segment goes, whole. What was asked for since it was written is written again first, up to
//! 1 / [`REWRITE_SHARE`] of the segment: so of all that is written, at most that share is written again, and a byte that comes
//! in is written 4/3 times at most.
//!
//! A segment is *doomed* when it leaves the index: renamed, so that no start reads it, and deleted when no reader holds it any
//! more. At most 1 / [`DOOMED_SHARE`] of the room may be doomed: then nothing is stored until readers let go.

use super::{
    apply::unless_lost,
    fault_of,
    log::{Effect, Log, Stop},
};
use crate::{
    format::{StoredHead, segment::FileName},
    index::Entry,
    outcome::Refusal,
    record::Record,
    segments::Segment,
};
use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

/// At most 1 / this of an evicted segment is written again.
pub const REWRITE_SHARE: u32 = 4;
/// At most 1 / this of the room is held by readers of what was evicted.
pub const DOOMED_SHARE: u64 = 4;

/// What of an evicted segment is written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rewrite {
    Hot,
    Nothing,
}

impl Log {
    /// What segments take, the active one with its full size.
    pub(super) fn used(&self) -> u64 {
        let full = u64::from(self.shared.settings.layout.segment_bytes);
        let active = self.active.as_ref().map(|active| active.segment.number);
        let bytes = |segment: &Arc<Segment>| {
            if Some(segment.number) == active {
                full
            } else {
                u64::from(segment.bytes())
            }
        };
        let listed: u64 = self.shared.segments.all().iter().map(bytes).sum();
        listed + self.doomed_bytes()
    }

    fn doomed_bytes(&self) -> u64 {
        let bytes = |segment: &Arc<Segment>| u64::from(segment.bytes());
        self.doomed.iter().map(bytes).sum()
    }

    fn is_room(&self) -> bool {
        let settings = &self.shared.settings;
        let full = u64::from(settings.layout.segment_bytes);
        let files = self.shared.segments.len() + self.doomed.len();
        self.used() + full <= settings.segment_room() && (files as u64) < settings.segments_max()
    }

    fn may_doom(&self) -> bool {
        self.doomed_bytes() < self.shared.settings.segment_room() / DOOMED_SHARE
    }

    /// Room for one more segment.
    pub(super) fn make_room(&mut self) -> Result<(), Stop> {
        self.release();
        while !self.is_room() {
            if !self.may_doom() || !self.drop_oldest()? {
                return Err(Stop::Refused(Refusal::NoRoom));
            }
            self.release();
        }
        Ok(())
    }

    /// Room for one more beside the new one, so that next time there is somewhere to write hot objects to.
    pub(super) fn make_spare_room(&mut self) -> Result<(), Stop> {
        while !self.is_room() && self.may_doom() {
            let Some(victim) = self.oldest() else {
                break;
            };
            self.evict(&victim, Rewrite::Hot)?;
            drop(victim);
            self.release();
        }
        Ok(())
    }

    /// Room for one more object in the index.
    pub(super) fn make_room_in_index(&mut self) -> Result<(), Stop> {
        self.flush()?;
        while self.shared.index.len() >= self.shared.settings.objects_max {
            if self.shared.segments.len() <= 1 {
                self.seal()?;
            }
            let Some(victim) = self.oldest().filter(|_| self.may_doom()) else {
                return Err(Stop::Refused(Refusal::NoRoom));
            };
            self.evict(&victim, Rewrite::Hot)?;
            drop(victim);
            self.release();
        }
        Ok(())
    }

    /// The oldest segment goes, with all that is in it. False: there is none.
    pub(super) fn drop_oldest(&mut self) -> Result<bool, Stop> {
        match self.oldest() {
            Some(victim) => self.evict(&victim, Rewrite::Nothing).map(|()| true),
            None => Ok(false),
        }
    }

    /// The oldest segment that is not written to.
    fn oldest(&self) -> Option<Arc<Segment>> {
        let active = self.active.as_ref().map(|active| active.segment.number);
        let oldest = self.shared.segments.from(0)?;
        (Some(oldest.number) != active).then_some(oldest)
    }

    fn evict(&mut self, victim: &Arc<Segment>, rewrite: Rewrite) -> Result<(), Stop> {
        if rewrite == Rewrite::Hot {
            let mut left = victim.bytes() / REWRITE_SHARE;
            let mut hot = self.shared.index.of_segment(victim.number);
            hot.retain(|entry| entry.hits > 0);
            hot.sort_unstable_by_key(|entry| (entry.segment, entry.offset));
            for entry in hot {
                unless_lost(self.rewrite(victim, &entry, &mut left))?;
            }
            self.flush()?;
        }
        let index = &self.shared.index;
        let rest = index.of_segment(victim.number);
        let gone = rest.iter().filter(|entry| index.remove(entry)).count();
        let evicted = &self.shared.numbers.evicted;
        evicted.fetch_add(gone as u64, Ordering::Relaxed);
        self.doom(victim)
    }

    /// Writes again what an evicted segment has of an object, and its head.
    fn rewrite(
        &mut self,
        victim: &Arc<Segment>,
        entry: &Entry,
        left: &mut u32,
    ) -> Result<(), Stop> {
        let refused = Stop::Refused(Refusal::NoRoom);
        let segment = self.shared.segments.get(entry.segment).ok_or(refused)?;
        if entry.bytes > *left || !self.fits(u64::from(entry.bytes)) {
            return Err(refused);
        }
        let record = Record::read(&segment, entry).map_err(|_| refused)?;
        let judge = &self.shared.judge;
        let head = &record.head.head;
        if judge.is_dead(&head.identity, &head.fetch.stamp) || !judge.is_worth_keeping(head) {
            return Err(Stop::Refused(Refusal::Purged));
        }
        let in_victim = |segment: u32| segment == victim.number;
        let moving = record
            .head
            .extents
            .iter()
            .filter(|at| in_victim(at.segment));
        let frame = u64::from(crate::format::FRAME_BYTES);
        let bytes = moving.fold(u64::from(entry.bytes), |sum, at| {
            sum + u64::from(at.bytes) + frame
        });
        if bytes > u64::from(*left) || !self.fits(bytes) {
            return Err(refused);
        }
        *left -= bytes as u32;
        let mut extents = record.head.extents.clone();
        for extent in extents.iter_mut().filter(|at| in_victim(at.segment)) {
            let chunk = victim.chunk(extent).map_err(|_| refused)?;
            *extent = self.put_chunk(&[chunk])?;
        }
        let head = StoredHead {
            extents,
            ..record.head
        };
        let body: Vec<_> = record.body.into_iter().collect();
        let new = self.put_head(head, entry.order, &body)?;
        let is_proven = entry.is_proven;
        self.then(Effect::Moved(*entry, Entry { is_proven, ..new }));
        let sum = &self.shared.numbers.rewritten_bytes;
        sum.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// No start will read it, and it is deleted when nobody does.
    fn doom(&mut self, victim: &Arc<Segment>) -> Result<(), Stop> {
        if self.shared.segments.remove(victim.number).is_none() {
            // A full disk took it while it was being written again.
            return Ok(());
        }
        self.doomed.push(Arc::clone(victim));
        self.is_dirty = true;
        let layer = Arc::clone(&self.shared.layer);
        let lost = |error: io::Error| Stop::Lost(fault_of(&error));
        let from = self.path(FileName::Segment(victim.number));
        let to = self.path(FileName::Doomed(victim.number));
        match layer.rename(&from, &to) {
            // Somebody has deleted it; who reads it may go on.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            outcome => outcome.map_err(lost)?,
        }
        layer
            .sync_folder(&self.shared.settings.folder)
            .map_err(lost)?;
        Ok(())
    }

    /// Deletes what is doomed and that nobody holds.
    pub(super) fn release(&mut self) {
        let layer = Arc::clone(&self.shared.layer);
        let doomed = std::mem::take(&mut self.doomed);
        for segment in doomed {
            let path = self.path(FileName::Doomed(segment.number));
            let is_gone = Arc::strong_count(&segment) == 1
                && match layer.remove(&path) {
                    Ok(()) => true,
                    Err(error) => error.kind() == io::ErrorKind::NotFound,
                };
            if !is_gone {
                self.doomed.push(segment);
            }
        }
    }
}
