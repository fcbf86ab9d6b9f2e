//! The thread that waits for the disk.

use super::{
    SavedMarks,
    files::{Journal, write_snapshot},
    queue::{Queue, Taken},
    record::Record,
};
use crate::fleet::{ports::KeptMarks, state::StateFolder};
use latencify_cache::marks::MarksSnapshot;
use latencify_conf::change::{Epoch, Position};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::sync::watch;
use tracing::{error, info};

/// After a failure, and while another process has the folder, it is tried again this often.
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// Otherwise it only waits for news; this long, so that a lost wake-up costs no more.
const WAIT_MAX: Duration = Duration::from_mins(1);
/// Snapshots that meet a start-over are taken again so often at once.
const SNAPSHOT_TRIES_MAX: usize = 8;

/// The thread, as the rest of the edge holds it.
pub struct Saver {
    queue: Arc<Queue>,
    saving: Arc<Saving>,
    thread: Option<JoinHandle<()>>,
}

/// How saving goes.
#[derive(Debug)]
pub struct Saving {
    saved: watch::Sender<Option<Position>>,
    failures: AtomicU64,
    is_failing: AtomicBool,
}

struct Work {
    folder: StateFolder,
    queue: Arc<Queue>,
    marks: Arc<dyn KeptMarks>,
    saving: Arc<Saving>,
    journal: Option<Journal>,
    /// What the last snapshot has: its history and epoch.
    has: (u64, Epoch),
    /// Something was obeyed that is not on disk, and not in a record either.
    owes: bool,
}

impl Saving {
    /// The last position that is on disk.
    pub fn saved(&self) -> watch::Receiver<Option<Position>> {
        self.saved.subscribe()
    }

    /// Attempts that failed since the start.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Whether what is obeyed can't be saved now.
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Relaxed)
    }
}

impl Saver {
    /// Begins to save what these marks obey.
    pub fn start(
        marks: &SavedMarks,
        folder: StateFolder,
        resumed: Option<Position>,
    ) -> io::Result<Self> {
        let saving = Arc::new(Saving {
            saved: watch::Sender::new(resumed),
            failures: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
        });
        let queue = marks.queue();
        let work = Work {
            folder,
            queue: queue.clone(),
            marks: marks.marks(),
            saving: saving.clone(),
            journal: None,
            has: (0, Epoch(0)),
            owes: false,
        };
        let thread = thread::Builder::new()
            .name("marks".into())
            .spawn(move || work.run())?;
        Ok(Self {
            queue,
            saving,
            thread: Some(thread),
        })
    }

    /// How it goes.
    pub fn saving(&self) -> &Arc<Saving> {
        &self.saving
    }

    /// Saves what is left and ends. Waits for the disk.
    pub fn finish(mut self) {
        self.queue.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        self.queue.stop();
    }
}

impl Work {
    fn run(mut self) {
        loop {
            let waits_for_nothing = !self.owes && *self.folder.is_ours().borrow();
            let wait = if waits_for_nothing {
                WAIT_MAX
            } else {
                RETRY_EVERY
            };
            let taken = self.queue.take(wait);
            let stopping = taken.stopping;
            match self.folder.own() {
                Ok(true) => self.save(taken),
                Ok(false) => self.owes |= taken.is_something(),
                Err(why) if self.owes || taken.is_something() => self.failed(&why),
                Err(_) => {}
            }
            if stopping {
                return;
            }
        }
    }

    fn save(&mut self, taken: Taken) {
        let Taken {
            record,
            overflow,
            history,
            ..
        } = taken;
        if record.is_none() && !overflow && !self.owes {
            return;
        }
        let fits = self
            .journal
            .as_ref()
            .is_some_and(|journal| !journal.is_long());
        let saved = match record.filter(|_| fits && !self.owes) {
            Some(record) => self.append(record, history),
            None => self.write_all(),
        };
        match saved {
            Ok(position) => self.succeeded(position),
            Err(why) => self.failed(&why),
        }
    }

    /// Appends what the snapshot does not have.
    fn append(&mut self, record: Record, history: u64) -> io::Result<Option<Position>> {
        let obeyed = record.obeyed;
        let news = match self.has {
            (had, _) if history < had => None,
            (had, epoch) if history == had => record.after(epoch),
            _ => Some(record),
        };
        let (Some(record), Some(journal)) = (news, &mut self.journal) else {
            return Ok(None);
        };
        let appended = journal.append(&record);
        if appended.is_err() {
            // Its end is unknown: the next attempt begins another.
            self.journal = None;
        }
        appended.map(|()| Some(obeyed))
    }

    /// Saves all marks at once.
    fn write_all(&mut self) -> io::Result<Option<Position>> {
        let (history, snapshot) = self
            .snapshot()
            .ok_or_else(|| io::Error::other("the edge starts over again and again"))?;
        let Some(obeyed) = snapshot.obeyed() else {
            return Ok(None);
        };
        self.journal = None;
        self.journal = Some(write_snapshot(&self.folder, &snapshot)?);
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

    fn succeeded(&mut self, position: Option<Position>) {
        self.owes = false;
        if self.saving.is_failing.swap(false, Relaxed) {
            info!("what this edge obeys is saved again");
        }
        if let Some(position) = position {
            self.saving.saved.send_replace(Some(position));
        }
    }

    fn failed(&mut self, why: &io::Error) {
        self.owes = true;
        self.saving.failures.fetch_add(1, Relaxed);
        if !self.saving.is_failing.swap(true, Relaxed) {
            error!(
                error = %why, folder = %self.folder.path().display(),
                "what this edge obeys can't be saved: purges are obeyed, but after a restart it would start over; make \
                 room, or the folder writable; it is tried again until it succeeds"
            );
        }
    }
}
