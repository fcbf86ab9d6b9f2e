//! What this edge obeys, on disk: the marks and the position that they stand for. An edge that starts again says hello with
//! that position and goes on from there; what a disk keeps across the restart is judged as if there had been none.
//!
//! # Characters
//! - [`SavedMarks`]: stands before the marks, in the link's way: obeys first, then notes for the disk. Never waits.
//! - [`Queue`]: what is obeyed and not on disk yet, bounded. What does not fit is forgotten, because the marks themselves still
//!   have it.
//! - [`Saver`]: a thread of its own, which waits for the disk so that nobody else has to. Group commit: one record takes
//!   whatever has come since the last. [`Keeper`] is its mind: what is written next, and what may be claimed then.
//! - [`image`] and [`record`]: what two [`files`] hold, `marks.snapshot` (all marks at one moment) and `marks.journal` (what
//!   came after it).
//!
//! # What may be claimed
//! A position is claimed, in an ack of an edge that says `saves_marks` or in the hello after a restart, only when its marks are
//! on disk, files and folder synced. A file that is not what was written is told and believed in nothing: the edge then
//! obeys nothing yet, and starts over at control's head. Only a journal's last record may be torn: it was never claimed.
//!
//! # A disk that is full, read-only or broken
//! Purges are obeyed all the same. The state on disk stays the last good one; the saver tries again, with all marks at once,
//! until it succeeds. Acks that mean saved marks wait as long.
//!
//! # To know for a disk tier
//! What this edge purged alone is not here but beside what the tier stored ([`local_marks`](crate::disk::local_marks)); without a
//! tier nothing outlives the process that such a mark could name ([`LocalMarks::Lost`]). What is saved here, snapshot and journal
//! together, is what is known of the run before: what the tier stored up to that position is judged as if there had been no
//! restart, and what lies beyond it is dead, because control may have lost those epochs and given their numbers to others.

mod files;
pub mod image;
mod keeper;
mod queue;
pub mod record;
mod saver;

pub use files::load;
pub use image::{Loaded, Unfit};
pub use keeper::Keeper;
pub use queue::Taken;
pub use saver::{Saver, Saving};

use super::ports::{KeptMarks, MarksPort};
use latencify_cache::{History, marks::LocalMarks};
use latencify_conf::change::{Epoch, Mode, Position, Target};
use queue::Queue;
use record::Purge;
use std::sync::Arc;

/// The marks, and what of them is to be saved.
pub struct SavedMarks {
    marks: Arc<dyn KeptMarks>,
    queue: Arc<Queue>,
}

impl SavedMarks {
    /// What was loaded is obeyed; from now on, what is obeyed is noted. Returns the position to go on from.
    pub fn new(marks: Arc<dyn KeptMarks>, loaded: Option<Loaded>) -> (Self, Option<Position>) {
        let resumed = loaded.and_then(|loaded| resume(&*marks, loaded));
        let queue = Arc::new(Queue::default());
        (Self { marks, queue }, resumed)
    }

    /// What its saver takes from.
    pub(super) fn queue(&self) -> Arc<Queue> {
        self.queue.clone()
    }

    /// The marks themselves.
    pub(super) fn marks(&self) -> Arc<dyn KeptMarks> {
        self.marks.clone()
    }
}

fn resume(marks: &dyn KeptMarks, loaded: Loaded) -> Option<Position> {
    let Loaded {
        snapshot, records, ..
    } = loaded;
    let mut obeyed = snapshot.obeyed();
    marks.restore(snapshot, LocalMarks::Lost);
    for record in records {
        if let Some(start) = record.reset {
            marks.reset(&start);
        }
        for purge in &record.purges {
            marks.purge_at(&purge.targets, purge.mode, purge.epoch, purge.at());
        }
        marks.obey(&record.obeyed);
        obeyed = Some(record.obeyed);
    }
    marks.resumed();
    obeyed
}

impl MarksPort for SavedMarks {
    fn reset(&self, start: &Position) {
        self.queue.reset(|| self.marks.reset(start));
    }

    fn history(&self) -> History {
        self.marks.history()
    }

    fn purge(&self, targets: &[Target], mode: Mode, epoch: Epoch) {
        let at = self.marks.now();
        self.marks.purge_at(targets, mode, epoch, at);
        self.queue.purge(Purge::new(targets, mode, epoch, at));
    }

    fn obey(&self, position: &Position) {
        self.marks.obey(position);
        self.queue.obey(*position);
    }
}

#[cfg(test)]
mod tests;
