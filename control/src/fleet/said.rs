//! What edges said last: acks and policy reports, in memory at once, in the store a moment later.

use crate::{
    fold::State,
    store::{Store, StoreError, processes::Said},
};
use latencify_conf::{
    change::{Epoch, ProcessId},
    link::replica::Report,
};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Instant,
};
use tokio::sync::watch;

/// Acks of one process whose time is kept: enough to tell the latency of the last purges.
const TIMES_MAX: usize = 8192;

/// What every process said. A clone sees the same.
#[derive(Clone)]
pub struct SaidByEdges {
    inner: Arc<Inner>,
}

struct Inner {
    processes: Mutex<HashMap<ProcessId, Process>>,
    unsaved: Mutex<HashSet<ProcessId>>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Process {
    said: Said,
    times: VecDeque<(Epoch, Instant)>,
}

impl SaidByEdges {
    /// What the store remembers of the processes of the roster. An ack of what is not folded here is none of this history.
    pub async fn load(store: &Store, state: &State) -> Result<Self, StoreError> {
        let said = store.said(state.roster.keys().copied()).await?;
        let processes = said
            .into_iter()
            .map(|(id, mut said)| {
                if said.acked > state.position.epoch {
                    said.acked = Epoch(0);
                }
                (
                    id,
                    Process {
                        said,
                        times: VecDeque::new(),
                    },
                )
            })
            .collect();
        let inner = Inner {
            processes: Mutex::new(processes),
            unsaved: Mutex::default(),
            changed: watch::Sender::new(0),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// A process is back, or new, with this version.
    pub fn greeted(&self, process: ProcessId, version: &str) {
        self.change(process, |known| {
            version.clone_into(&mut known.said.version);
        });
    }

    /// A process obeys everything up to an epoch.
    pub fn acked(&self, process: ProcessId, epoch: Epoch) {
        let now = Instant::now();
        self.change(process, |known| {
            if epoch > known.said.acked {
                known.said.acked = epoch;
                known.times.push_back((epoch, now));
                if known.times.len() > TIMES_MAX {
                    known.times.pop_front();
                }
            }
        });
    }

    /// A process starts over from the head: what it acked before is no longer what it obeys.
    pub fn reset(&self, process: ProcessId) {
        self.change(process, |known| {
            known.said.acked = Epoch(0);
            known.times.clear();
        });
    }

    /// A process runs this, or can't.
    pub fn reported(&self, process: ProcessId, report: Report) {
        self.change(process, |known| known.said.report = report);
    }

    /// What a process said last.
    pub fn get(&self, process: ProcessId) -> Said {
        self.inner
            .processes
            .lock()
            .get(&process)
            .map(|known| known.said.clone())
            .unwrap_or_default()
    }

    /// The newest epoch that a process has acked.
    pub fn acked_by(&self, process: ProcessId) -> Epoch {
        self.inner
            .processes
            .lock()
            .get(&process)
            .map_or(Epoch(0), |known| known.said.acked)
    }

    /// When a process acked an epoch, on this replica's clock; none when it has not, or not to this run of the replica.
    pub fn acked_at(&self, process: ProcessId, epoch: Epoch) -> Option<Instant> {
        let processes = self.inner.processes.lock();
        let times = &processes.get(&process)?.times;
        let at = times.partition_point(|(acked, _)| *acked < epoch);
        times.get(at).map(|(_, when)| *when)
    }

    /// Wakes when any process has said something.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.inner.changed.subscribe()
    }

    /// Saves what was said since the last time.
    pub async fn save(&self, store: &Store) -> Result<(), StoreError> {
        let unsaved = std::mem::take(&mut *self.inner.unsaved.lock());
        if unsaved.is_empty() {
            return Ok(());
        }
        let said: Vec<_> = unsaved
            .iter()
            .map(|process| (*process, self.get(*process)))
            .collect();
        let saved = store.save_said(&said).await;
        if saved.is_err() {
            self.inner.unsaved.lock().extend(unsaved);
        }
        saved
    }

    /// Only who is in the roster is still in the fleet. What was said since the save is kept, whoever said it.
    pub fn forget_all_but(&self, state: impl FnOnce() -> Arc<State>) {
        let mut processes = self.inner.processes.lock();
        let unsaved = self.inner.unsaved.lock();
        let state = state();
        processes
            .retain(|process, _| state.roster.contains_key(process) || unsaved.contains(process));
    }

    fn change(&self, process: ProcessId, change: impl FnOnce(&mut Process)) {
        // Both under one lock, so that what was said is never forgotten before it is saved.
        let mut processes = self.inner.processes.lock();
        change(processes.entry(process).or_default());
        self.inner.unsaved.lock().insert(process);
        drop(processes);
        self.inner
            .changed
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}
