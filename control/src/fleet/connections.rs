//! Which process has a stream to this replica.

use latencify_conf::change::ProcessId;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio_util::sync::CancellationToken;

/// The open streams. A clone sees the same.
#[derive(Clone, Default)]
pub struct Connections {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    open: Mutex<HashMap<ProcessId, (u64, CancellationToken)>>,
    next: AtomicU64,
}

/// An open stream; it is closed when this is dropped.
pub struct Connection {
    connections: Connections,
    process: ProcessId,
    number: u64,
    /// Cancelled when a newer stream of the same process takes over.
    pub replaced: CancellationToken,
}

impl Connections {
    /// Notes a stream. An older one of the same process ends: the edge has given it up, whether we noticed or not.
    pub fn open(&self, process: ProcessId) -> Connection {
        let number = self.inner.next.fetch_add(1, Ordering::Relaxed);
        let replaced = CancellationToken::new();
        let mut open = self.inner.open.lock();
        if let Some((_, older)) = open.insert(process, (number, replaced.clone())) {
            older.cancel();
        }
        drop(open);
        Connection {
            connections: self.clone(),
            process,
            number,
            replaced,
        }
    }

    /// Whether a process has a stream here.
    pub fn is_open(&self, process: ProcessId) -> bool {
        self.inner.open.lock().contains_key(&process)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.connections.inner.open.lock();
        if open
            .get(&self.process)
            .is_some_and(|(number, _)| *number == self.number)
        {
            open.remove(&self.process);
        }
    }
}
