//! An edge's machine: its clock and its disk, and the program that runs on it or does not.

use super::{
    Process,
    port::Port,
    process::{Dial, DialFace},
};
use crate::{
    disk::Disk,
    event::{Event, Run},
    lies::Lie,
    saving::Saving,
    world::World,
};
use latencify_cache::{MarkBounds, Marks, rules::Rules};
use latencify_conf::{
    change::{Position, ProcessId},
    link::{edge::Introduction, message::WhenIsolated},
};
use latencify_gateway::fleet::obey::{Obedience, Wanted};
use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime},
};
use uuid::Uuid;

/// When worlds begin, by the wall clock.
pub const EPOCH: Duration = Duration::from_hours(500_000);

/// An edge's machine.
pub struct Machine<R: Rules> {
    /// What it does with stored objects when isolated.
    pub when_isolated: WhenIsolated,
    /// How far its wall clock is ahead of when the world began.
    pub wall: Duration,
    /// Until then it stands still.
    pub paused_until: Duration,
    /// Its disk: the last policy that it ran.
    pub saved_policy: Option<Wanted>,
    /// Its disk: the marks.
    pub disk: Rc<RefCell<Disk>>,
    /// What its program believes to be on that disk.
    pub claimed: Option<Position>,
    /// What it was writing last.
    pub attempted: Option<Position>,
    /// Something happened to the disk that no program can hold against.
    pub is_damaged: bool,
    /// A program that ran had widened marks, which the next one may have read from the disk.
    pub has_widened: bool,
    /// The program; none: it is down.
    pub running: Option<Process<R>>,
}

impl<R: Rules> Machine<R> {
    /// A machine whose program has never run.
    pub fn new(when_isolated: WhenIsolated) -> Self {
        Self {
            when_isolated,
            wall: EPOCH,
            paused_until: Duration::ZERO,
            saved_policy: None,
            disk: Rc::default(),
            claimed: None,
            attempted: None,
            is_damaged: false,
            has_widened: false,
            running: None,
        }
    }

    /// The program, if that run of it is on.
    pub fn run(&mut self, run: Run) -> Option<&mut Process<R>> {
        self.running.as_mut().filter(|running| running.run == run)
    }
}

impl<R: Rules> World<R> {
    /// The program of an edge, if that run of it is on.
    pub fn process(&mut self, edge: usize, run: Run) -> Option<&mut Process<R>> {
        self.edges.get_mut(edge)?.run(run)
    }

    /// What an edge's wall clock shows.
    pub fn wall(&self, edge: usize) -> SystemTime {
        let wall = self.edges.get(edge).map_or(EPOCH, |machine| machine.wall);
        SystemTime::UNIX_EPOCH + wall + self.now
    }

    /// An edge's machine starts its program.
    pub fn edge_start(&mut self, edge: usize) {
        if self
            .edges
            .get(edge)
            .is_none_or(|machine| machine.running.is_some())
            || self.lies(Lie::NeverStarts)
        {
            return;
        }
        let run = self.new_run();
        let clock = Dial::at(self.wall(edge));
        let bounds = if self.plan.narrow_marks {
            MarkBounds {
                marks_per_site: 8,
                sites: 2,
                ..MarkBounds::default()
            }
        } else {
            MarkBounds::default()
        };
        let marks = Marks::<R>::open(Arc::new(DialFace(clock.clone())), bounds);
        let (now, saves_marks) = (self.now, self.plan.saves == Some(true));
        let (bytes_max, breaks, lease) = (self.plan.cache_bytes, self.plan.breaks, self.plan.lease);
        let port = Port::new(marks.clone(), breaks.ack_before_publish);
        let Saving {
            marks: obeyed,
            saver,
            resumed,
        } = self.begin_saving(edge, &port);
        let Some(machine) = self.edges.get_mut(edge) else {
            return;
        };
        let introduction = Introduction {
            edge: format!("edge-{edge}"),
            process: ProcessId(Uuid::from_u128(run.into())),
            version: "simulated".into(),
            about: Vec::new(),
            when_isolated: machine.when_isolated,
            saves_marks,
        };
        let obedience = match resumed {
            Some(position) => Obedience::resuming(introduction, position, obeyed),
            None => Obedience::new(introduction, obeyed),
        };
        let floor_at = resumed.map_or(Duration::ZERO, |_| now);
        let mut process = Process::new(run, clock, marks, bytes_max, port, obedience);
        process.saver = saver;
        process.floor_at = floor_at;
        let saved_policy = machine.saved_policy.clone();
        process.policy = saved_policy.map(|saved| saved.of_saved(process.marks.history()));
        if breaks.lease_from_answer {
            process.session.borrow_mut().lease_from_answer = Some(lease);
        }
        process.session.borrow().follow(now);
        machine.running = Some(process);
        self.tell("edge starts", &[edge as u64, run], || {
            format!("edge {edge}, process {run}")
        });
        self.put(Duration::ZERO, Event::Connect(edge, run));
        let sweeps = self.random.millis(200..4000);
        self.put(sweeps, Event::Sweep(edge, run));
    }

    /// An edge's program ends; its kernel says so where packets pass.
    pub fn edge_die(&mut self, edge: usize) {
        let Some(machine) = self.edges.get_mut(edge) else {
            return;
        };
        let Some(process) = machine.running.take() else {
            return;
        };
        machine.has_widened |= process.marks.count().widened > 0;
        self.tell("edge ends", &[edge as u64, process.run], || {
            format!("edge {edge}, process {}", process.run)
        });
        if let Some(stream) = process.stream {
            self.close_from_edge(stream);
        }
    }
}
