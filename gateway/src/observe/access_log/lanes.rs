//! Where records gather until the writer takes them: a buffer for each of a few threads.

use latencify_conf::record::AccessRecord;
use parking_lot::Mutex;
use std::{
    num::NonZero,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{Thread, available_parallelism},
};

/// More buffers than this gain nothing.
const LANES_MAX: usize = 64;
/// The most bytes that wait in one buffer.
pub(super) const LANE_BYTES_MAX: usize = 4 << 20;
/// So many bytes wake the writer before its time.
const WAKING_BYTES: usize = 256 << 10;

/// The buffers. Threads share them evenly.
pub(super) struct Lanes {
    all: Box<[Lane]>,
    closed: AtomicBool,
    writer: OnceLock<Thread>,
}

/// Whole lines, on a cache line of their own, so that threads that have nothing to do with each other don't slow each other down.
#[repr(align(128))]
#[derive(Default)]
struct Lane(Mutex<Vec<u8>>);

impl Lanes {
    pub(super) fn new() -> Self {
        let threads = available_parallelism().map_or(1, NonZero::get);
        Self {
            all: (0..threads.min(LANES_MAX))
                .map(|_| Lane::default())
                .collect(),
            closed: AtomicBool::new(false),
            writer: OnceLock::new(),
        }
    }

    /// Whom to wake when much has gathered.
    pub(super) fn written_by(&self, writer: Thread) {
        let _ = self.writer.set(writer);
    }

    /// Adds a record; false: there is no room, or nobody writes any more.
    pub(super) fn add(&self, record: &AccessRecord<'_>) -> bool {
        let Some(lane) = self.all.get(own_number() % self.all.len().max(1)) else {
            return false;
        };
        let mut lines = lane.0.lock();
        let before = lines.len();
        // Asked under the lock: what is added before the last time that the writer takes it is written.
        if before >= LANE_BYTES_MAX || self.closed.load(Ordering::Acquire) {
            return false;
        }
        if record.write_json(&mut lines).is_err() {
            lines.truncate(before);
            return false;
        }
        lines.push(b'\n');
        let is_much = before < WAKING_BYTES && lines.len() >= WAKING_BYTES;
        drop(lines);
        if is_much && let Some(writer) = self.writer.get() {
            writer.unpark();
        }
        true
    }

    /// Takes no more records.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whether that is so.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// What has gathered in each buffer, in turn. `spare` is empty and lends its room.
    pub(super) fn drain(&self, spare: &mut Vec<u8>, mut take: impl FnMut(&[u8])) {
        for lane in &self.all {
            std::mem::swap(&mut *lane.0.lock(), spare);
            if !spare.is_empty() {
                take(spare);
            }
            spare.clear();
        }
    }
}

/// A number of this thread, given in turn.
fn own_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}
