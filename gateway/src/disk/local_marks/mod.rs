//! What this edge purges alone (a PURGE without a fleet, unsafe methods, cache groups), on disk beside what it would otherwise
//! find there again after a restart. What the fleet purges is kept with the edge's position ([`saved`](crate::fleet::saved)).
//!
//! # Characters
//! - [`Keeper`]: a thread that waits for the disk so that nobody else has to. One write takes whatever has come since the last.
//! - [`MarksFile`]: the file; [`head`] and [`record`]: its lines.
//!
//! Whoever purges obeys at once, and then waits until the mark is on disk before it is acknowledged, for a while at most:
//! a folder that can't be written keeps no client waiting for longer. Then it is counted, tried again until it succeeds,
//! and only a process that is killed before forgets it.

mod file;
mod head;
mod record;

pub use file::MarksFile;
pub use record::{Began, Run};

use latencify_cache::{Earlier, LocalMark, Marks};
use parking_lot::{Condvar, Mutex};
use record::Line;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::timeout};
use tracing::{error, info, warn};

/// The most bytes of marks that wait. Of more, none are kept: then what was stored before is dead after a restart.
pub const WAITING_BYTES_MAX: usize = 8 << 20;
/// After a failure it is tried again so long after, whatever is purged meanwhile: each attempt writes out all that waits. After each
/// further one twice as long …
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// … up to this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(4);

/// Hands the keeper what the tier's folder did not take when it was opened.
#[derive(Clone)]
pub struct Later(Arc<Shared>);

/// What is to be on disk.
pub struct Keeper {
    shared: Arc<Shared>,
    save_within: Duration,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    file: MarksFile,
    state: Mutex<State>,
    news: Condvar,
    /// What was noted up to here is on disk.
    saved: watch::Sender<u64>,
    failures: AtomicU64,
    late: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: Vec<Line>,
    /// Of those.
    bytes: usize,
    /// No mark that was noted has a higher number.
    highest: u64,
    noted: u64,
    /// Attempts that failed since the last that did not.
    failed: u32,
    is_stopping: bool,
}

/// What is written in one go.
struct Taken {
    lines: Vec<Line>,
    noted: u64,
    highest: u64,
    is_last: bool,
}

impl Keeper {
    /// Keeps the marks of a run in that file. Whoever purges waits so long for that.
    pub fn start(file: MarksFile, save_within: Duration) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            file,
            state: Mutex::default(),
            news: Condvar::new(),
            saved: watch::Sender::new(0),
            failures: AtomicU64::new(0),
            late: AtomicU64::new(0),
        });
        let keeping = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("local-marks".into())
            .spawn(move || keeping.run())?;
        Ok(Self {
            shared,
            save_within,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Whoever opens the folder leaves here what it did not take.
    pub fn later(&self) -> Later {
        Later(Arc::clone(&self.shared))
    }

    /// A mark was made. Returns what to [wait](Self::saved) for.
    pub fn note(&self, mark: &LocalMark) -> u64 {
        self.shared
            .note(Line::mark(self.shared.file.run().number, mark))
    }

    /// What is stamped lower is dead from now on.
    pub fn note_floor(&self, floor: u64) {
        self.shared
            .note(Line::floor(self.shared.file.run().number, floor));
    }

    /// Waits until what was noted is on disk. False: that takes too long.
    pub async fn saved(&self, noted: u64) -> bool {
        let mut saved = self.shared.saved.subscribe();
        let waited = timeout(self.save_within, saved.wait_for(|saved| *saved >= noted)).await;
        let is_saved = matches!(waited, Ok(Ok(_)));
        if !is_saved {
            self.is_late();
        }
        is_saved
    }

    /// A purge is acknowledged before it is on disk.
    pub fn is_late(&self) {
        self.shared.late.fetch_add(1, Relaxed);
    }

    /// Attempts that failed since the start.
    pub fn failures(&self) -> u64 {
        self.shared.failures.load(Relaxed)
    }

    /// Purges that were acknowledged before they were on disk.
    pub fn late(&self) -> u64 {
        self.shared.late.load(Relaxed)
    }

    /// Writes what waits, and ends; blocks the calling thread until then, for so long at most. False: the disk hangs, and is left
    /// to itself.
    pub fn finish(&self, limit: Duration) -> bool {
        self.shared.stop();
        let deadline = Instant::now() + limit;
        let Some(thread) = self.thread.lock().take() else {
            return true;
        };
        while !thread.is_finished() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
        let _ = thread.join();
        true
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl State {
    /// How long nothing is tried.
    fn retry_after(&self) -> Option<Duration> {
        let doublings = self.failed.checked_sub(1)?;
        let after = RETRY_AFTER.saturating_mul(1 << doublings.min(16));
        Some(after.min(RETRY_AFTER_MAX))
    }

    /// What could not be written waits again, before what came since.
    fn put_back(&mut self, lines: Vec<Line>, run: Run) {
        self.bytes += lines.iter().map(Line::bytes).sum::<usize>();
        self.waiting.splice(0..0, lines);
        self.bound(run);
    }

    fn bound(&mut self, run: Run) {
        if self.bytes > WAITING_BYTES_MAX {
            self.waiting = record::compact(&self.waiting, run.number, 0);
            self.bytes = self.waiting.iter().map(Line::bytes).sum();
        }
    }
}

impl Shared {
    fn note(&self, line: Line) -> u64 {
        let noted = {
            let mut state = self.state.lock();
            state.highest = state.highest.max(line.number());
            state.bytes += line.bytes();
            state.waiting.push(line);
            state.bound(self.file.run());
            state.noted += 1;
            state.noted
        };
        self.news.notify_one();
        noted
    }

    fn stop(&self) {
        self.state.lock().is_stopping = true;
        self.news.notify_one();
    }

    fn run(&self) {
        loop {
            let taken = self.take();
            let written = if taken.lines.is_empty() {
                Ok(())
            } else {
                self.file.append(&taken.lines, taken.highest)
            };
            let is_ok = written.is_ok();
            self.told(written);
            if is_ok {
                self.saved.send_replace(taken.noted);
            } else {
                self.state.lock().put_back(taken.lines, self.file.run());
            }
            if taken.is_last {
                return;
            }
        }
    }

    fn take(&self) -> Taken {
        let mut state = self.state.lock();
        if let Some(after) = state.retry_after() {
            let until = Instant::now() + after;
            while !state.is_stopping && !self.news.wait_until(&mut state, until).timed_out() {}
        }
        while state.waiting.is_empty() && !state.is_stopping {
            self.news.wait(&mut state);
        }
        state.bytes = 0;
        Taken {
            lines: std::mem::take(&mut state.waiting),
            noted: state.noted,
            highest: state.highest,
            is_last: state.is_stopping,
        }
    }

    fn told(&self, written: io::Result<()>) {
        let was_failing = {
            let mut state = self.state.lock();
            let failed = match &written {
                Ok(()) => 0,
                Err(_) => state.failed.saturating_add(1),
            };
            std::mem::replace(&mut state.failed, failed) > 0
        };
        match written {
            Ok(()) if was_failing => info!("what this edge purges alone is on disk again"),
            Ok(()) => {}
            Err(why) => {
                self.failures.fetch_add(1, Relaxed);
                if !was_failing {
                    error!(
                        error = %why,
                        "what this edge purges alone can't be written to the disk tier's folder: it is obeyed, but if this \
                         process is killed before it succeeds, the next one may serve from disk what was purged; it is tried again"
                    );
                }
            }
        }
    }
}

/// Takes over what earlier runs purged. An error: the folder can't be used now. That this run began is written, now or later: it bars
/// for those after it what earlier ones stored behind the position that this one knew.
pub fn inherit(file: &MarksFile, marks: &Marks, later: &Later) -> io::Result<()> {
    let run = file.run();
    let (rises, replaced) = file.renew(|read| {
        if let Some(Err(why)) = &read {
            warn!(%why, "what this edge had purged alone can't be read: nothing that is on disk is used");
        }
        let read = read.and_then(Result::ok);
        let is_known = read.is_some();
        let mut lines = read.unwrap_or_default();
        let known = record::known(&lines, run.number);
        let changes = record::changes_role(&lines, run.began.in_fleet);
        if changes {
            warn!(
                "the folder of the disk tier was used alone and in a fleet: nothing that is on disk is used"
            );
        }
        let earlier = Earlier {
            marks: &known.marks,
            // As if it were not known which came later.
            last: known.last.max(if changes { run.number } else { 0 }),
            floor: known.floor,
            runs: &known.runs,
        };
        let floor = marks.inherit(is_known.then_some(earlier));
        let rises = floor > known.floor;
        if rises {
            lines.push(Line::floor(run.number, floor));
        }
        (lines, rises)
    })?;
    match replaced {
        // The next run would not know it.
        Err(error) if rises => Err(error),
        // What was read holds; the keeper tells of a folder that can't be written.
        Err(error) => {
            warn!(%error, "the file of what this edge purges alone can't be renewed");
            later.0.note(Line::begun(run));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
