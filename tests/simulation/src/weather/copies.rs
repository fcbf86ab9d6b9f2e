//! The log and the store are put back to older copies, or move.

use crate::{
    control::store::Store,
    faults::Fault,
    focus::Focus,
    log::{Kind, Log},
    world::World,
};
use bytes::Bytes;
use latencify_cache::rules::Rules;
use latencify_conf::change::{Change, Entry, Epoch, LogId, Moved};
use latencify_control::fleet::contact::DRIFT_PART;
use uuid::Uuid;

/// The log and the store as they were.
#[derive(Debug, Clone)]
pub struct Copy {
    /// The log.
    pub log: Log,
    /// The store.
    pub store: Store,
}

impl<R: Rules> World<R> {
    /// A copy is made of everything.
    pub fn make_copy(&mut self) {
        self.copy = Some(Copy {
            log: self.log.clone(),
            store: self.replica.store.clone(),
        });
    }

    /// Where sites shall get other ids again and again, the copy is from before they have any.
    pub fn make_first_copy(&mut self) {
        if self.copy.is_none() && self.plan.breaks.focus == Some(Focus::Histories) {
            self.make_copy();
        }
    }

    /// The operator puts an older copy of the store in place, beside a broker that has the whole log, and perhaps is away. The
    /// replica has to see for itself that its store is older than receipts that were given.
    pub fn restore_store(&mut self) {
        let Some(copy) = self.copy.clone() else {
            return;
        };
        let is_older = copy.log.id == self.log.id
            && copy.store.state.applied < self.replica.store.state.applied;
        if self.log.kind != Kind::Broker || !is_older {
            return;
        }
        self.replica_die(false);
        let applied = copy.store.state.applied.0;
        self.replica.store = copy.store;
        self.fault(Fault::StoreRestored);
        self.tell("store restored", &[applied], || {
            format!("to where epoch {applied} was folded")
        });
        if self.random.permille(600) {
            self.log.away_until = self.now + self.pause_length();
            self.fault(Fault::BrokerAway);
        }
        self.starts_again(50..4000);
    }

    /// The operator puts an older copy of everything in place: the same identity, fewer entries. Nothing in the copy tells of
    /// processes that joined after it was made. With the log in the data folder, the replica holds its receipts for that long;
    /// of a broker's log it can't know, and the operator lets their leases run out before he starts it.
    pub fn rewind(&mut self) {
        let Some(copy) = self.copy.clone() else {
            return;
        };
        if copy.log.id != self.log.id || copy.log.head() >= self.log.head() {
            return;
        }
        self.end_elders();
        self.replica_die(false);
        let kept = copy.log.head();
        self.passes = self.passes.max(self.log.head());
        self.branch += 1;
        self.oracle.rewound(kept, self.branch);
        let away_until = self.log.away_until;
        self.log = copy.log;
        self.log.away_until = away_until;
        self.log.in_doubt.clear();
        self.replica.store = copy.store;
        self.shadow = Store::new(self.log.id);
        self.fault(Fault::Rewind);
        self.tell("rewound", &[kept.0], || format!("to epoch {kept}"));
        if self.log.kind == Kind::Broker {
            let lease = self.plan.lease;
            self.replica.waits_until = self.now + lease + lease / DRIFT_PART;
        }
        self.starts_again(50..4000);
    }

    /// The log moves: a new one gets every entry of the old one, and the store follows it.
    pub fn new_log(&mut self) {
        self.end_elders();
        self.replica_die(true);
        self.fault(Fault::NewLog);
        self.next_log += 1;
        let id = LogId(Uuid::from_u128(u128::from(self.next_log)));
        let mut log = Log::new(self.log.kind, id);
        log.from = Some(Moved {
            log: self.log.id,
            entries: self.log.records().len() as u64,
        });
        if self.random.permille(500) {
            log.kind = if log.kind == Kind::Broker {
                Kind::Embedded
            } else {
                Kind::Broker
            };
        }
        let mut epochs = Vec::new();
        for record in self.log.records() {
            let first = Entry::decode(&record.bytes)
                .ok()
                .filter(|entry| matches!(entry.change, Change::LogCreated { .. }));
            let bytes = match first {
                Some(_) => first_entry(id),
                None => record.bytes.clone(),
            };
            epochs.push((record.epoch, log.append(bytes, 0)));
        }
        self.log = log;
        self.passes = Epoch(0);
        self.branch += 1;
        self.oracle.moved(self.branch, &epochs);
        self.replica.store = Store::new(id);
        self.shadow = Store::new(id);
        self.copy = None;
        // The move ends when the new log is folded.
        let records = self.log.records().to_vec();
        for settled in self.replica.store.fold(&records) {
            self.oracle.folded(&settled, self.branch);
        }
        self.tell("new log", &[self.next_log], || format!("log {id}"));
        self.starts_again(50..4000);
    }
}

/// The entry that begins a log.
pub fn first_entry(id: LogId) -> Bytes {
    let entry = Entry {
        id: id.0,
        key: None,
        request: None,
        by: "control".into(),
        at: time::OffsetDateTime::UNIX_EPOCH,
        change: Change::LogCreated {
            log: id,
            from: None,
        },
    };
    entry.encode().map(Bytes::from).unwrap_or_default()
}
