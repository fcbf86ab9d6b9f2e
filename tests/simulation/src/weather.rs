//! What goes wrong, and when.

use crate::{
    control::store::Store,
    event::Event,
    faults::Fault,
    log::{Kind, Log},
    network::StreamId,
    plan::Trouble,
    world::World,
};
use bytes::Bytes;
use latencify_cache::rules::Rules;
use latencify_conf::{
    change::{Change, Entry, Epoch, LogId, ProcessId},
    link::message::{self, FromEdge, ToEdge, to_edge::Message as To},
};
use latencify_control::fleet::contact::DRIFT_PART;
use std::time::Duration;
use uuid::Uuid;

/// The log and the store as they were.
#[derive(Debug, Clone)]
pub struct Copy {
    log: Log,
    store: Store,
}

impl<R: Rules> World<R> {
    /// Something goes wrong.
    pub fn weather(&mut self) {
        let pause = self
            .random
            .span(self.plan.trouble_pause.0, self.plan.trouble_pause.1);
        if self.calm {
            return;
        }
        self.put(pause, Event::Weather);
        if self.random.permille(200) {
            self.copy = Some(Copy {
                log: self.log.clone(),
                store: self.replica.store.clone(),
            });
        }
        let Some(trouble) = self.random.pick(&self.plan.troubles.clone()).copied() else {
            return;
        };
        let edge = self.random.index(self.edges.len());
        match trouble {
            Trouble::Break => self.break_stream(edge),
            Trouble::Partition => self.partition(edge),
            Trouble::LateAnswer => self.ambush = Some(edge),
            Trouble::DiskFull if self.plan.saves.is_some() => {
                let until = self.now + self.pause_length();
                if let Some(machine) = self.edges.get_mut(edge) {
                    machine.disk_full_until = until;
                }
                self.fault(Fault::DiskFull);
            }
            Trouble::DiskFull => {}
            Trouble::EdgeCrash => self.crash_edge(edge),
            Trouble::EdgeLeave => {
                if let Some(run) = self.edge_run(edge) {
                    self.put(Duration::ZERO, Event::Gone(edge, run));
                }
            }
            Trouble::Remove => self.remove_somebody(),
            Trouble::EdgePause => {
                let until = self.now + self.pause_length();
                if let Some(machine) = self.edges.get_mut(edge) {
                    machine.paused_until = until;
                }
                self.fault(Fault::EdgePause);
                self.tell("edge paused", &[edge as u64], || {
                    format!("edge {edge} until {until:?}")
                });
            }
            Trouble::ClockJump => self.jump(edge),
            Trouble::ReplicaCrash => self.stop_replica(false),
            Trouble::ReplicaStop => self.stop_replica(true),
            Trouble::ReplicaPause => {
                self.replica.paused_until = self.now + self.pause_length();
                self.fault(Fault::ReplicaPause);
                self.tell("replica paused", &[], String::new);
            }
            Trouble::BrokerAway if self.log.kind == Kind::Broker => {
                self.log.away_until = self.now + self.pause_length();
                self.fault(Fault::BrokerAway);
            }
            Trouble::Rewind => self.rewind(),
            Trouble::NewLog => self.new_log(),
            Trouble::OriginDown => self.origin.down_until = self.now + self.pause_length(),
            Trouble::BrokerAway => {}
        }
    }

    fn pause_length(&mut self) -> Duration {
        let lease = self.plan.lease;
        self.random.span(Duration::from_millis(20), lease * 2)
    }

    fn edge_run(&self, edge: usize) -> Option<u64> {
        Some(self.edges.get(edge)?.running.as_ref()?.run)
    }

    fn jump(&mut self, edge: usize) {
        let (ahead, by) = (self.random.permille(500), self.random.millis(1..3_600_000));
        if let Some(machine) = self.edges.get_mut(edge) {
            machine.wall = if ahead {
                machine.wall + by
            } else {
                machine.wall.saturating_sub(by)
            };
        }
        self.fault(Fault::ClockJump);
    }

    fn crash_edge(&mut self, edge: usize) {
        if self.edge_run(edge).is_none() {
            return;
        }
        self.edge_die(edge);
        if self.random.permille(200) {
            if let Some(machine) = self.edges.get_mut(edge) {
                machine.saved_policy = None;
                machine.saved_marks = None;
            }
            self.fault(Fault::EdgeCrashDiskLost);
        } else {
            self.fault(Fault::EdgeCrash);
            let is_torn = self.random.permille(300);
            let machine = self.edges.get_mut(edge).filter(|_| is_torn);
            if let Some(saved) = machine.and_then(|machine| machine.saved_marks.as_mut()) {
                let kept = saved.bytes.len() / 2;
                saved.bytes.truncate(kept);
                self.fault(Fault::JournalTorn);
            }
        }
        let back = self.random.millis(50..10_000);
        self.put(back, Event::EdgeStart(edge));
    }

    fn stop_replica(&mut self, cleanly: bool) {
        if self.replica.running.is_none() {
            return;
        }
        self.fault(if cleanly {
            Fault::ReplicaStop
        } else {
            Fault::ReplicaCrash
        });
        self.replica_die(cleanly);
        let back = self.random.millis(50..6000);
        self.put(back, Event::ReplicaStart);
    }

    fn remove_somebody(&mut self) {
        let roster: Vec<ProcessId> = self.replica.store.state.roster.keys().copied().collect();
        if let Some(process) = self.random.pick(&roster).copied() {
            self.remove(process);
        }
    }

    /// The operator puts an older copy of everything in place: the same identity, fewer entries. Nothing in the copy tells of
    /// processes that joined after it was made, so he lets their leases run out before he starts the replica; and he starts
    /// it when its log can be read, for the copy of the store may be older than that of the log.
    fn rewind(&mut self) {
        let Some(copy) = self.copy.clone() else {
            return;
        };
        if copy.log.id != self.log.id || copy.log.head() >= self.log.head() {
            return;
        }
        self.replica_die(false);
        let kept = copy.log.head();
        self.passes = self.passes.max(self.log.head());
        self.branch += 1;
        self.oracle.rewound(kept, self.branch);
        self.log = copy.log;
        self.replica.store = copy.store;
        self.shadow = Store::new(self.log.id);
        self.fault(Fault::Rewind);
        self.tell("rewound", &[kept.0], || format!("to epoch {kept}"));
        let lease = if self.plan.breaks.restores_at_once {
            Duration::ZERO
        } else {
            self.plan.lease
        };
        let back = lease + lease / DRIFT_PART + self.random.millis(50..4000);
        self.replica.restored = Some(self.now + lease + lease / DRIFT_PART);
        self.put(back, Event::ReplicaStart);
    }

    /// The log moves: a new one gets every entry of the old one, and the store follows it.
    fn new_log(&mut self) {
        self.replica_die(true);
        self.fault(Fault::NewLog);
        self.next_log += 1;
        let id = LogId(Uuid::from_u128(u128::from(self.next_log)));
        let mut log = Log::new(self.log.kind, id);
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
        let back = self.random.millis(50..4000);
        self.put(back, Event::ReplicaStart);
    }

    /// A stream breaks, in one of the ways in which they do.
    fn break_stream(&mut self, edge: usize) {
        let Some(stream) = self
            .edges
            .get(edge)
            .and_then(|machine| machine.running.as_ref()?.stream)
        else {
            return;
        };
        let loses = self.random.permille(600);
        if let Some(known) = self.network.streams.get_mut(&stream) {
            known.lost |= loses;
        }
        self.fault(Fault::Drop);
        self.tell("stream breaks", &[stream], || {
            format!("stream {stream}, what is under way is lost: {loses}")
        });
        let half = self.random.below(4);
        if half == 0 {
            self.fault(Fault::HalfOpen);
        } else {
            let notices = self.random.millis(0..50);
            self.put(notices, Event::EdgeNotices(stream));
        }
        if half == 1 {
            self.fault(Fault::HalfOpen);
        } else {
            let notices = self.random.millis(0..1500);
            self.put(notices, Event::ReplicaNotices(stream));
        }
    }

    /// Nothing passes, one way or both.
    fn partition(&mut self, edge: usize) {
        let (up, down, fault) = match self.random.below(3) {
            0 => (true, false, Fault::PartitionUp),
            1 => (false, true, Fault::PartitionDown),
            _ => (true, true, Fault::PartitionBoth),
        };
        if let Some(cut) = self.network.cut.get_mut(edge) {
            *cut = (up, down);
        }
        self.fault(fault);
        let lasts = self.pause_length() * 2;
        self.tell("partition", &[edge as u64], || {
            format!("edge {edge}, up {up}, down {down}, for {lasts:?}")
        });
        self.put(lasts, Event::Heal(edge));
    }

    /// The partition is over: what was held back arrives.
    pub fn heal(&mut self, edge: usize) {
        if let Some(cut) = self.network.cut.get_mut(edge) {
            *cut = (false, false);
        }
        let of_edge = self
            .network
            .streams
            .iter_mut()
            .filter(|(_, stream)| stream.edge == edge);
        let held: Vec<_> = of_edge
            .map(|(id, stream)| {
                (
                    *id,
                    std::mem::take(&mut stream.up.held),
                    std::mem::take(&mut stream.down.held),
                )
            })
            .collect();
        for (stream, up, down) in held {
            for message in up {
                self.send_up(stream, message);
            }
            for message in down {
                self.send_down(stream, message);
            }
        }
    }

    /// The answer to this heartbeat will be late, and nothing that the edge says arrives any more.
    pub fn spring_ambush(&mut self, stream: StreamId) {
        let (now, lease) = (self.now, self.plan.lease);
        let late = self.random.span(lease / 4, lease * 9 / 10);
        let Some(known) = self.network.streams.get_mut(&stream) else {
            return;
        };
        if self.ambush != Some(known.edge) {
            return;
        }
        self.ambush = None;
        known.down.arrival(now, late);
        let edge = known.edge;
        if let Some(cut) = self.network.cut.get_mut(edge) {
            cut.0 = true;
        }
        self.fault(Fault::LateAnswer);
        self.tell("late answer", &[edge as u64], || {
            format!("edge {edge}: by {late:?}")
        });
        let lasts = self.random.span(lease * 2, lease * 3);
        self.put(lasts, Event::Heal(edge));
    }

    fn message_delay(&mut self) -> Duration {
        if !self.calm && self.random.permille(self.plan.rates.delay) {
            self.fault(Fault::Delay);
            let most = self.plan.lease * 3 / 2;
            return self.random.span(Duration::from_millis(20), most);
        }
        self.network.delay(&mut self.random)
    }

    /// An edge sends.
    pub fn send_up(&mut self, stream: StreamId, message: FromEdge) {
        let (now, delay) = (self.now, self.message_delay());
        let Some(known) = self.network.streams.get_mut(&stream) else {
            return;
        };
        if self.network.cut.get(known.edge).is_some_and(|cut| cut.0) {
            return known.up.held.push(message);
        }
        let at = known.up.arrival(now, delay);
        self.put(at.saturating_sub(now), Event::ToReplica(stream, message));
    }

    /// The replica sends; a forging one sends something else.
    pub fn send_down(&mut self, stream: StreamId, message: ToEdge) {
        let mut messages = vec![message];
        if !self.calm && self.random.permille(self.plan.rates.forge) {
            self.forge(stream, &mut messages);
        }
        for message in messages {
            let (now, delay) = (self.now, self.message_delay());
            let Some(known) = self.network.streams.get_mut(&stream) else {
                return;
            };
            if self.network.cut.get(known.edge).is_some_and(|cut| cut.1) {
                known.down.held.push(message);
                continue;
            }
            let at = known.down.arrival(now, delay);
            self.put(at.saturating_sub(now), Event::ToEdge(stream, message));
        }
    }

    fn forge(&mut self, stream: StreamId, messages: &mut Vec<ToEdge>) {
        let Some(Some(first)) = messages.first().map(|first| first.message.clone()) else {
            return;
        };
        let how = self.random.below(4);
        let fault = match first {
            To::Delivery(delivery) if how == 0 => {
                let twice = messages.first().cloned();
                messages.extend(twice);
                drop(delivery);
                Fault::ForgedDuplicate
            }
            To::Delivery(_) if how == 1 => {
                messages.clear();
                Fault::ForgedDrop
            }
            To::Delivery(_) if how == 2 => {
                // It comes after the next one.
                self.held_back.insert(stream, std::mem::take(messages));
                Fault::ForgedReorder
            }
            To::Delivery(mut delivery) => {
                let mut entry = delivery.entry.to_vec();
                let at = self.random.index(entry.len());
                if let Some(byte) = entry.get_mut(at) {
                    *byte ^= 1;
                }
                delivery.entry = Bytes::from(entry);
                *messages = vec![ToEdge {
                    message: Some(To::Delivery(delivery)),
                }];
                Fault::ForgedAltered
            }
            To::Welcome(mut welcome) if !welcome.reset => {
                let start = welcome.start.get_or_insert_with(message::Position::default);
                start.epoch += 1 + self.random.below(3);
                *messages = vec![ToEdge {
                    message: Some(To::Welcome(welcome)),
                }];
                Fault::ForgedStart
            }
            _ => return,
        };
        self.fault(fault);
        self.tell("forged", &[stream], || {
            format!("stream {stream}: {}", fault.name())
        });
        if fault != Fault::ForgedReorder
            && let Some(late) = self.held_back.remove(&stream)
        {
            messages.extend(late);
        }
    }

    /// An edge closes its end of a stream: the replica hears of it behind what was sent, if it hears of it.
    pub fn close_from_edge(&mut self, stream: StreamId) {
        let (now, delay) = (self.now, self.message_delay());
        let Some(known) = self.network.streams.get_mut(&stream) else {
            return;
        };
        if self.network.cut.get(known.edge).is_some_and(|cut| cut.0) {
            return;
        }
        let at = known.up.arrival(now, delay);
        self.put(at.saturating_sub(now), Event::ReplicaNotices(stream));
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
