//! Edges that obey more of the log than this replica has. Their marks and policies are of entries that are not here: the
//! replica lags, or its log was put back to an older copy.

use crate::fold::State;
use latencify_conf::change::{Epoch, ProcessId};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// Who was turned away because of that. A clone sees the same.
#[derive(Clone, Default)]
pub struct Ahead {
    of: Arc<Mutex<BTreeMap<ProcessId, EdgeAhead>>>,
}

/// An edge process that was turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeAhead {
    /// The operator's name for the edge.
    pub edge: String,
    /// What it obeys.
    pub obeys: Epoch,
}

impl Ahead {
    /// A process was turned away. The operator is told once, and again when it obeys still more.
    pub fn turned_away(&self, process: ProcessId, edge: EdgeAhead, state: &State) {
        let mut of = self.of.lock();
        if of.get(&process) != Some(&edge) {
            let why = edge.warning(state);
            tracing::error!(edge = edge.edge, %process, obeys = %edge.obeys, head = %state.position.epoch, "{why}");
            of.insert(process, edge);
        }
    }

    /// A process was welcomed.
    pub fn welcomed(&self, process: ProcessId) {
        let mut of = self.of.lock();
        of.remove(&process);
    }

    /// Only who is in the roster is still in the fleet.
    pub fn forget_all_but(&self, state: impl FnOnce() -> Arc<State>) {
        let mut of = self.of.lock();
        let state = state();
        of.retain(|process, _| state.roster.contains_key(process));
    }

    /// What a process obeys that was turned away.
    pub fn get(&self, process: ProcessId) -> Option<Epoch> {
        self.of.lock().get(&process).map(|edge| edge.obeys)
    }

    /// What an operator has to be told, one line an edge.
    pub fn warnings(&self, state: &State) -> Vec<String> {
        let of = self.of.lock();
        of.values().map(|edge| edge.warning(state)).collect()
    }
}

impl EdgeAhead {
    fn warning(&self, state: &State) -> String {
        format!(
            "the edge {} obeys epoch {} of this log, but this replica's log ends at {}: it lags, and the edge is welcome once \
             it has caught up; or an older copy of the log was restored, and entries that the fleet obeyed are lost: stop \
             this replica and run `latencify-control migrate-log`, which makes a new log of what is left, so that every edge \
             starts over",
            self.edge, self.obeys, state.position.epoch
        )
    }
}
