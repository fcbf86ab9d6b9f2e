//! What goes wrong, and when. [`streams`]: between edges and the replica; [`copies`]: the log and the store are put back, or move.

pub mod copies;
mod streams;

use crate::{
    disk::Disk,
    event::{Event, Run},
    faults::Fault,
    focus::Focus,
    log::Kind,
    plan::Trouble,
    saving::Death,
    world::World,
};
use latencify_cache::rules::Rules;
use latencify_conf::change::ProcessId;
use std::time::Duration;

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
        let is_kept = self.plan.breaks.focus == Some(Focus::Histories);
        if self.random.permille(200) && !is_kept {
            self.make_copy();
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
                    machine.disk.borrow_mut().full_until = until;
                }
                self.fault(Fault::DiskFull);
            }
            Trouble::DiskLies if self.plan.saves.is_some() => {
                let lasts = self.pause_length();
                if let Some(machine) = self.edges.get_mut(edge) {
                    machine.disk.borrow_mut().lies_until = self.now + lasts;
                }
                self.fault(Fault::DiskLies);
                if self.random.permille(300) {
                    let fails = self.random.span(Duration::ZERO, lasts);
                    self.put(fails, Event::PowerFails(edge));
                }
            }
            Trouble::DiskFull | Trouble::DiskLies => {}
            Trouble::EdgeCrash => self.crash_edge(edge, Death::Any),
            Trouble::EdgeLeave => {
                if let Some(run) = self.edge_run(edge) {
                    self.put(Duration::ZERO, Event::Gone(edge, run));
                }
            }
            Trouble::Remove => self.at_some(Self::remove_somebody),
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
            Trouble::ReplicaCrash => self.at_some(|world| world.stop_replica(false)),
            Trouble::ReplicaStop => self.at_some(|world| world.stop_replica(true)),
            Trouble::ReplicaPause => {
                self.replica.paused_until = self.now + self.pause_length();
                self.fault(Fault::ReplicaPause);
                self.tell("replica paused", &[], String::new);
            }
            Trouble::BrokerAway if self.log.kind == Kind::Broker => {
                self.log.away_until = self.now + self.pause_length();
                self.fault(Fault::BrokerAway);
            }
            Trouble::RestoreStore => self.restore_store(),
            Trouble::Rewind => self.rewind(),
            Trouble::NewLog => self.new_log(),
            Trouble::SecondRun => self.second_run(),
            Trouble::LogCut => self.cut_from_log(),
            Trouble::OriginDown => self.origin.down_until = self.now + self.pause_length(),
            Trouble::BrokerAway => {}
        }
    }

    /// How long something lasts that goes wrong.
    pub fn pause_length(&mut self) -> Duration {
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

    /// The power goes while a disk lies: nothing that it says to keep is kept.
    pub fn power_fails(&mut self, edge: usize) {
        if !self.calm {
            self.crash_edge(edge, Death::WithThePower);
        }
    }

    /// An edge dies, and comes back later with what its disk has.
    pub fn crash_edge(&mut self, edge: usize, death: Death) {
        if self.edge_run(edge).is_none() {
            return;
        }
        self.disk_suffers(edge, death);
        self.edge_die(edge);
        if self.random.permille(200) {
            if let Some(machine) = self.edges.get_mut(edge) {
                machine.saved_policy = None;
                *machine.disk.borrow_mut() = Disk::default();
                machine.is_damaged = true;
            }
            self.fault(Fault::EdgeCrashDiskLost);
        } else {
            self.fault(Fault::EdgeCrash);
        }
        let back = self.random.millis(50..10_000);
        self.put(back, Event::EdgeStart(edge));
    }

    /// That run of the replica dies, if it still is on.
    pub fn replica_dies(&mut self, run: Run) {
        if !self.calm && self.replica.run(run).is_some() {
            self.stop_replica(false);
        }
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
        self.starts_again(50..6000);
    }

    fn remove_somebody(&mut self) {
        let roster: Vec<ProcessId> = self.replica.store.state.roster.keys().copied().collect();
        let first = self.random.index(roster.len());
        // Whom he may: most of a roster are connected, or hold a lease.
        let tries = if self.plan.breaks.focus.is_none() {
            roster.len()
        } else {
            1
        };
        let others = roster.iter().cycle().skip(first).take(tries);
        for process in others.copied().collect::<Vec<_>>() {
            if self.remove(process) {
                return;
            }
        }
    }
}
