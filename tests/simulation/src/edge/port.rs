//! The edge's marks behind the shipped port, and what was published through it.

use latencify_cache::{Marks, rules::Rules};
use latencify_conf::change::{Epoch, Mode, Position, Target};
use latencify_gateway::fleet::MarksPort;
use parking_lot::Mutex;
use std::sync::Arc;

/// Obeys, and notes what.
pub struct Port<R> {
    marks: Arc<Marks<R>>,
    noted: Mutex<Noted>,
    /// Broken on purpose: what is obeyed and acked now is published with the next message.
    late: bool,
}

/// What has been obeyed since the last look.
#[derive(Debug, Default)]
pub struct Noted {
    /// Purges.
    pub purges: Vec<Epoch>,
    pending: Vec<(Vec<Target>, Mode, Epoch)>,
}

impl<R: Rules> Port<R> {
    /// In front of these marks.
    pub fn new(marks: Arc<Marks<R>>, late: bool) -> Arc<Self> {
        Arc::new(Self {
            marks,
            noted: Mutex::default(),
            late,
        })
    }

    /// What has been obeyed since the last look.
    pub fn take(&self) -> Vec<Epoch> {
        std::mem::take(&mut self.noted.lock().purges)
    }

    fn publish_late(&self) {
        let pending = std::mem::take(&mut self.noted.lock().pending);
        for (targets, mode, epoch) in pending {
            self.marks.apply_all(&targets, mode, epoch);
        }
    }
}

impl<R: Rules> MarksPort for Port<R> {
    fn reset(&self, start: &Position) {
        self.publish_late();
        self.marks.raise_floor(start);
    }

    fn purge(&self, targets: &[Target], mode: Mode, epoch: Epoch) {
        self.publish_late();
        if self.late {
            self.noted
                .lock()
                .pending
                .push((targets.to_vec(), mode, epoch));
        } else {
            self.marks.apply_all(targets, mode, epoch);
        }
        self.noted.lock().purges.push(epoch);
    }

    fn obey(&self, position: &Position) {
        self.marks.obey(position);
    }
}
