//! What edges say of the requests that they answered, by the policy that answered. In memory: edges say sums, again and again.

use latencify_conf::{
    change::{ProcessId, Revision},
    link::health::Health,
};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// What every process said last. A clone sees the same.
#[derive(Clone, Default)]
pub struct HealthOfEdges {
    processes: Arc<Mutex<HashMap<ProcessId, Health>>>,
}

impl HealthOfEdges {
    /// A process says this of what it runs.
    pub fn reported(&self, process: ProcessId, health: Health) {
        self.processes.lock().insert(process, health);
    }

    /// What a process answered by a revision, since that is in force there; none: it did not say.
    pub fn of(&self, process: ProcessId, revision: Revision) -> Option<Health> {
        let processes = self.processes.lock();
        let health = processes.get(&process)?;
        (health.revision == revision).then(|| health.clone())
    }

    /// Forgets who is not kept.
    pub fn retain(&self, keep: impl Fn(ProcessId) -> bool) {
        self.processes.lock().retain(|process, _| keep(*process));
    }
}
