//! The thread that writes: it alone appends, evicts, saves and opens. If the folder is lost, it forgets everything and tries
//! again until the folder is back.

mod apply;
mod log;
mod open;
mod room;
mod save;

pub use room::{DOOMED_SHARE, REWRITE_SHARE};

use crate::{
    format::head::Removal,
    outcome::{Fault, Refusal},
    queue::Operation,
    shared::Shared,
};
use log::{Log, Stop};
use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// How long the thread sleeps if nothing happens.
const TICK: Duration = Duration::from_millis(500);

/// Runs until the tier is closed.
pub(crate) fn run(shared: &Arc<Shared>) {
    let _last = Last(shared);
    loop {
        match open::open(shared) {
            Ok(log) => {
                shared.numbers.openings.fetch_add(1, Ordering::Relaxed);
                shared.numbers.trouble.store(0, Ordering::Relaxed);
                make_ready(shared);
                let lost = serve(shared, log);
                shut(shared);
                match lost {
                    None => return,
                    Some(fault) => shared.is_lost(fault),
                }
            }
            Err(fault) => shared.is_lost(fault),
        }
        shared.index.clear();
        shared.segments.clear();
        if shared.queue.wait_closed(shared.settings.retry) {
            return;
        }
    }
}

/// From now on look-ups believe the index. What was to be removed while nobody could is removed first.
fn make_ready(shared: &Shared) {
    let mut removed = Vec::new();
    while let Err(missed) = shared.queue.open() {
        let there = |removal: Removal| shared.index.remove_up_to(removal.hash, removal.order);
        removed.extend(missed.into_iter().filter_map(there));
    }
    for entry in &removed {
        shared.write_removal(entry);
    }
}

/// Until it is closed (none) or the folder is lost.
fn serve(shared: &Arc<Shared>, mut log: Log) -> Option<Fault> {
    loop {
        let batch = shared.queue.next(TICK.min(shared.settings.snapshot_period));
        let is_last = batch.is_last;
        match log.apply(batch).and_then(|()| log.tidy(is_last)) {
            Ok(()) | Err(Stop::Refused(_)) => {}
            Err(Stop::Lost(fault)) => {
                log.abandon();
                return Some(fault);
            }
        }
        if is_last {
            return None;
        }
    }
}

/// What waits will not be written.
fn shut(shared: &Shared) {
    for operation in shared.queue.shut() {
        refuse(shared, operation);
    }
}

/// It will not be written, because there is no folder.
fn refuse(shared: &Shared, operation: Operation) {
    match operation {
        Operation::Chunk(fill, _) => fill.give_up(shared, Refusal::NotReady),
        Operation::Commit(fill, promise) => {
            fill.give_up(shared, Refusal::NotReady);
            promise.keep(Err(Refusal::NotReady));
        }
        Operation::Renew(renewal) => {
            shared.counters.add(Refusal::NotReady);
            renewal.promise.keep(Err(Refusal::NotReady));
        }
    }
}

/// However the thread ends, nobody goes on waiting for it.
struct Last<'a>(&'a Shared);

impl Drop for Last<'_> {
    fn drop(&mut self) {
        self.0.queue.close();
        shut(self.0);
    }
}

/// What an error of writing means for the folder.
fn fault_of(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Fault::MissingFolder,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Fault::ReadOnly,
        io::ErrorKind::WouldBlock => Fault::Locked,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::DiskFull,
        _ => Fault::WriteFailed,
    }
}
