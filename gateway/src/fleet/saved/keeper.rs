//! What is written next, and what may be claimed then: a record behind the last, or all marks at once. The
//! [saver](super::Saver) drives it with the files, the simulation with a disk of its own.

use super::{
    SavedMarks,
    image::{Disk, Journal, write_snapshot},
    queue::{Queue, Taken},
    record::Record,
};
use crate::fleet::ports::KeptMarks;
use latencify_cache::marks::MarksSnapshot;
use latencify_conf::change::{Epoch, Position};
use std::{io, sync::Arc, time::Duration};

/// Snapshots that meet a start-over are taken again so often at once.
const SNAPSHOT_TRIES_MAX: usize = 8;

/// What of an edge's marks is on disk.
pub struct Keeper {
    queue: Arc<Queue>,
    marks: Arc<dyn KeptMarks>,
    /// None: nothing was written in this run, or its end is unknown. Then all marks are written next.
    journal: Option<Journal>,
    /// What the last snapshot has: its history and epoch.
    has: (u64, Epoch),
    /// Something was obeyed that is not on disk, and not in a record either.
    owes: bool,
}

impl Keeper {
    /// Nothing of these marks was written in this run.
    pub fn new(marks: &SavedMarks) -> Self {
        Self {
            queue: marks.queue(),
            marks: marks.marks(),
            journal: None,
            has: (0, Epoch(0)),
            owes: false,
        }
    }

    /// What was obeyed since the last time, as soon as there is something, or after that long.
    pub fn take(&self, at_most: Duration) -> Taken {
        self.queue.take(at_most)
    }

    /// Whether something has to be written that no record will say.
    pub fn owes(&self) -> bool {
        self.owes
    }

    /// What was taken could not be written: all marks are written next.
    pub fn missed(&mut self, taken: &Taken) {
        self.owes |= taken.is_something();
    }

    /// Writes what was taken. The position is on disk then; none: nothing new is. After an error, all marks are written next.
    pub fn save(&mut self, disk: &mut impl Disk, taken: Taken) -> io::Result<Option<Position>> {
        let Taken {
            record,
            overflow,
            history,
            ..
        } = taken;
        if record.is_none() && !overflow && !self.owes {
            return Ok(None);
        }
        let fits = self
            .journal
            .as_ref()
            .is_some_and(|journal| !journal.is_long());
        let saved = match record.filter(|_| fits && !self.owes) {
            Some(record) => self.append(disk, record, history),
            None => self.write_all(disk),
        };
        self.owes = saved.is_err();
        saved
    }

    /// Appends what the snapshot does not have.
    fn append(
        &mut self,
        disk: &mut impl Disk,
        record: Record,
        history: u64,
    ) -> io::Result<Option<Position>> {
        let obeyed = record.obeyed;
        let news = match self.has {
            (had, _) if history < had => None,
            (had, epoch) if history == had => record.after(epoch),
            _ => Some(record),
        };
        let (Some(record), Some(journal)) = (news, &mut self.journal) else {
            return Ok(None);
        };
        let appended = journal.append(disk, &record);
        if appended.is_err() {
            // Its end is unknown: the next attempt begins another.
            self.journal = None;
        }
        appended.map(|()| Some(obeyed))
    }

    /// Saves all marks at once.
    fn write_all(&mut self, disk: &mut impl Disk) -> io::Result<Option<Position>> {
        let (history, snapshot) = self
            .snapshot()
            .ok_or_else(|| io::Error::other("the edge starts over again and again"))?;
        let Some(obeyed) = snapshot.obeyed() else {
            return Ok(None);
        };
        self.journal = None;
        self.journal = Some(write_snapshot(disk, &snapshot)?);
        self.has = (history, obeyed.epoch);
        Ok(Some(obeyed))
    }

    /// A snapshot that is whole of one history.
    fn snapshot(&self) -> Option<(u64, MarksSnapshot)> {
        (0..SNAPSHOT_TRIES_MAX).find_map(|_| {
            let before = self.queue.history();
            let snapshot = self.marks.snapshot();
            (before.is_multiple_of(2) && before == self.queue.history())
                .then_some((before, snapshot))
        })
    }
}
