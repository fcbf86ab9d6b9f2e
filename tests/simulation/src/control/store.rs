//! What a replica keeps on its disk: the fold's state and what came of it. The fold is the shipped one; the database is a model
//! whose transactions either happen or don't.

use crate::log::Record;
use latencify_conf::{
    change::{Change, Entry, Epoch, LogId, Mode, Position, ProcessId, Target},
    link::replica::Accepted,
};
use latencify_control::{
    fleet::judgement::Stay,
    fold::{Effect, Folded, Original, Outcome, State, fold, repeat_name},
    store::promises::Promise,
};
use std::{collections::BTreeMap, sync::Arc};
use uuid::Uuid;

/// What became of an entry.
#[derive(Debug, Clone)]
pub struct Settled {
    /// Where it stands.
    pub epoch: Epoch,
    /// The entry.
    pub entry: Arc<Entry>,
    /// What became of it.
    pub folded: Arc<Folded>,
    /// The position that it made, if it was accepted.
    pub position: Option<Position>,
    /// The state after it.
    pub state: State,
}

/// A purge that was accepted.
#[derive(Debug, Clone)]
pub struct Purge {
    /// Where it stands.
    pub epoch: Epoch,
    /// Hard or soft.
    pub mode: Mode,
    /// What it names.
    pub targets: Vec<Target>,
}

/// The store.
#[derive(Debug, Clone)]
pub struct Store {
    /// After the newest folded entry.
    pub state: State,
    repeats: BTreeMap<String, Original>,
    accepted: Vec<Arc<Accepted>>,
    /// Who was in the fleet when.
    pub stays: Vec<Stay>,
    /// Purges by their ids.
    pub purges: BTreeMap<Uuid, Purge>,
    /// The newest ack of each process, as it was saved last.
    pub said: BTreeMap<ProcessId, Epoch>,
    /// What each was promised.
    pub promises: BTreeMap<ProcessId, Promise>,
}

impl Store {
    /// Before the first entry.
    pub fn new(log: LogId) -> Self {
        Self {
            state: State::before(log),
            repeats: BTreeMap::new(),
            accepted: Vec::new(),
            stays: Vec::new(),
            purges: BTreeMap::new(),
            said: BTreeMap::new(),
            promises: BTreeMap::new(),
        }
    }

    /// Folds records that follow each other, in one transaction.
    pub fn fold(&mut self, records: &[Record]) -> Vec<Settled> {
        let applied = self.state.applied;
        let new = records.iter().filter(|record| record.epoch > applied);
        new.filter_map(|record| {
            let entry = Entry::decode(&record.bytes).ok()?;
            Some(self.fold_one(record, entry))
        })
        .collect()
    }

    fn fold_one(&mut self, record: &Record, entry: Entry) -> Settled {
        let original = repeat_name(&entry).and_then(|name| self.repeats.get(&name).copied());
        let previous = self.state.position;
        let folded = fold(&self.state, original, record.epoch, &entry);
        self.state.apply(record.epoch, &record.bytes, &folded);
        let is_accepted = folded.outcome == Outcome::Accepted;
        if is_accepted {
            self.accepted.push(Arc::new(Accepted {
                previous,
                position: self.state.position,
                entry: record.bytes.clone(),
            }));
        }
        for effect in &folded.effects {
            self.keep(record.epoch, &entry, effect);
        }
        Settled {
            epoch: record.epoch,
            entry: Arc::new(entry),
            folded: Arc::new(folded),
            position: is_accepted.then_some(self.state.position),
            state: self.state.clone(),
        }
    }

    fn keep(&mut self, epoch: Epoch, entry: &Entry, effect: &Effect) {
        match effect {
            Effect::Purge => {
                if let Change::Purge { mode, targets, .. } = &entry.change {
                    let purge = Purge {
                        epoch,
                        mode: *mode,
                        targets: targets.clone(),
                    };
                    self.purges.insert(entry.id, purge);
                }
            }
            Effect::Joined { process, edge, .. } => self.stays.push(Stay {
                edge: edge.clone(),
                process: *process,
                joined: epoch,
                left: None,
            }),
            Effect::Left { process, .. } => {
                let stay = self
                    .stays
                    .iter_mut()
                    .find(|stay| stay.process == *process && stay.left.is_none());
                if let Some(stay) = stay {
                    stay.left = Some(epoch);
                }
            }
            Effect::Remember { name } => {
                self.repeats.insert(
                    name.clone(),
                    Original {
                        id: entry.id,
                        epoch,
                        request: entry.request,
                    },
                );
            }
            _ => {}
        }
    }

    /// The position that the log has at an epoch.
    pub fn position_at(&self, epoch: Epoch) -> Option<Position> {
        let at = self
            .accepted
            .binary_search_by_key(&epoch, |accepted| accepted.position.epoch)
            .ok()?;
        self.accepted.get(at).map(|accepted| accepted.position)
    }

    /// Whether an accepted entry stands at an epoch.
    pub fn has(&self, epoch: Epoch) -> bool {
        self.position_at(epoch).is_some()
    }

    /// Accepted entries after an epoch.
    pub fn after(&self, epoch: Epoch, most: usize) -> Vec<Arc<Accepted>> {
        let from = self
            .accepted
            .partition_point(|accepted| accepted.position.epoch <= epoch);
        self.accepted
            .iter()
            .skip(from)
            .take(most)
            .cloned()
            .collect()
    }
}
