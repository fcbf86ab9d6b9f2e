//! The thread that waits for the disk.

use super::{
    SavedMarks,
    files::Files,
    keeper::Keeper,
    queue::{Queue, Taken},
};
use crate::fleet::state::StateFolder;
use latencify_conf::change::Position;
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
    files: Files,
    keeper: Keeper,
    saving: Arc<Saving>,
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
        let work = Work {
            files: Files::new(folder),
            keeper: Keeper::new(marks),
            saving: saving.clone(),
        };
        let thread = thread::Builder::new()
            .name("marks".into())
            .spawn(move || work.run())?;
        Ok(Self {
            queue: marks.queue(),
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
            let is_ours = *self.files.folder().is_ours().borrow();
            let wait = if is_ours && !self.keeper.owes() {
                WAIT_MAX
            } else {
                RETRY_EVERY
            };
            let taken = self.keeper.take(wait);
            let stopping = taken.stopping;
            match self.files.folder().own() {
                Ok(true) => self.save(taken),
                Ok(false) => self.keeper.missed(&taken),
                Err(why) => {
                    self.keeper.missed(&taken);
                    if self.keeper.owes() {
                        self.failed(&why);
                    }
                }
            }
            if stopping {
                return;
            }
        }
    }

    fn save(&mut self, taken: Taken) {
        if !taken.is_something() && !self.keeper.owes() {
            return;
        }
        match self.keeper.save(&mut self.files, taken) {
            Ok(position) => self.succeeded(position),
            Err(why) => self.failed(&why),
        }
    }

    fn succeeded(&self, position: Option<Position>) {
        if self.saving.is_failing.swap(false, Relaxed) {
            info!("what this edge obeys is saved again");
        }
        if let Some(position) = position {
            self.saving.saved.send_replace(Some(position));
        }
    }

    fn failed(&self, why: &io::Error) {
        self.saving.failures.fetch_add(1, Relaxed);
        if !self.saving.is_failing.swap(true, Relaxed) {
            error!(
                error = %why, folder = %self.files.folder().path().display(),
                "what this edge obeys can't be saved: purges are obeyed, but after a restart it would start over; make \
                 room, or the folder writable; it is tried again until it succeeds"
            );
        }
    }
}
