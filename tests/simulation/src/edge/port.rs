//! The edge's marks behind the shipped port, and what was published through it.

use latencify_cache::{
    History, Marks,
    marks::{LocalMarks, MarksSnapshot},
    rules::Rules,
};
use latencify_conf::change::{Epoch, Mode, Position, Target};
use latencify_gateway::fleet::{KeptMarks, MarksPort};
use parking_lot::Mutex;
use std::{sync::Arc, time::SystemTime};

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
    pending: Vec<(Vec<Target>, Mode, Epoch, SystemTime)>,
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
        for (targets, mode, epoch, at) in pending {
            self.marks.apply_at(&targets, mode, epoch, at);
        }
    }
}

impl<R: Rules> MarksPort for Port<R> {
    fn reset(&self, start: &Position) {
        self.publish_late();
        self.marks.raise_floor(start);
    }

    fn history(&self) -> History {
        self.marks.history()
    }

    fn purge(&self, targets: &[Target], mode: Mode, epoch: Epoch) {
        self.purge_at(targets, mode, epoch, self.now());
    }

    fn obey(&self, position: &Position) {
        self.marks.obey(position);
    }
}

impl<R: Rules> KeptMarks for Port<R> {
    fn now(&self) -> SystemTime {
        self.marks.now()
    }

    fn purge_at(&self, targets: &[Target], mode: Mode, epoch: Epoch, at: SystemTime) {
        self.publish_late();
        if self.late {
            self.noted
                .lock()
                .pending
                .push((targets.to_vec(), mode, epoch, at));
        } else {
            self.marks.apply_at(targets, mode, epoch, at);
        }
        self.noted.lock().purges.push(epoch);
    }

    fn snapshot(&self) -> MarksSnapshot {
        self.marks.snapshot()
    }

    fn restore(&self, snapshot: MarksSnapshot, locals: LocalMarks) {
        self.marks.restore(snapshot, locals);
    }

    fn resumed(&self) {
        self.marks.begin_run();
    }
}
