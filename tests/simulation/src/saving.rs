//! How an edge saves its marks, and what it finds when it starts again: the shipped queue, keeper and reader over a
//! [disk](crate::disk) that lies, tears and flips bits.

use crate::{
    disk::Disk,
    edge::port::Port,
    event::{Event, Run},
    faults::Fault,
    lies::Lie,
    plan::Trouble,
    world::World,
};
use latencify_cache::rules::Rules;
use latencify_conf::change::{Epoch, Position};
use latencify_gateway::fleet::{
    KeptMarks, MarksPort,
    saved::{Keeper, Loaded, SavedMarks},
};
use std::{cell::RefCell, io, rc::Rc, sync::Arc, time::Duration};

/// A save that failed is tried again so much later.
const AGAIN: Duration = Duration::from_millis(200);
/// Where edges die, of a thousand saves so many are their last.
const DIES_WHILE_SAVING: u64 = 10;

/// How a machine dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// At any time, of anything.
    Any,
    /// While it writes what it saves.
    WhileSaving,
    /// With the power.
    WithThePower,
}

/// The marks as an edge's link obeys them, and who saves them.
pub struct Saving {
    /// What the link obeys.
    pub marks: Arc<dyn MarksPort>,
    /// Who saves; none: nobody.
    pub saver: Option<Rc<RefCell<Saver>>>,
    /// What an earlier run obeyed.
    pub resumed: Option<Position>,
}

/// The thread that saves.
pub struct Saver {
    keeper: Keeper,
    disk: Rc<RefCell<Disk>>,
    marks: Arc<dyn KeptMarks>,
    /// Broken on purpose: it says that it has saved what it has not.
    only_says_so: bool,
}

impl Saver {
    /// Saves what there is to save.
    pub fn save(&mut self, now: Duration) -> io::Result<Option<Position>> {
        let taken = self.keeper.take(Duration::ZERO);
        if self.only_says_so {
            return Ok(self.marks.snapshot().obeyed());
        }
        let mut disk = self.disk.borrow_mut();
        disk.turn(now);
        self.keeper.save(&mut *disk, taken)
    }

    /// The machine dies within the write after so many, if there is something to write. Says what was being written.
    fn dies(&mut self, after: u64) -> Option<Position> {
        let taken = self.keeper.take(Duration::ZERO);
        if !taken.is_something() || self.only_says_so {
            return None;
        }
        let mut disk = self.disk.borrow_mut();
        disk.dies_after(after);
        let _ = self.keeper.save(&mut *disk, taken);
        self.marks.snapshot().obeyed()
    }
}

impl<R: Rules> World<R> {
    /// An edge takes over what it finds on its disk, and will save what it obeys.
    pub fn begin_saving(&mut self, edge: usize, port: &Arc<Port<R>>) -> Saving {
        let machine = self.edges.get(edge);
        let disk = machine.map(|machine| machine.disk.clone());
        let Some(disk) = disk.filter(|_| self.plan.saves.is_some()) else {
            return Saving {
                marks: port.clone(),
                saver: None,
                resumed: None,
            };
        };
        let forgets = self.lies(Lie::MarksForgotten);
        let loaded = self.load_marks(edge, &disk).filter(|_| !forgets);
        let (saved, resumed) = SavedMarks::new(port.clone(), loaded);
        // What it obeyed in an earlier life bound that one.
        drop(port.take());
        self.resumes(edge, resumed);
        let saver = Saver {
            keeper: Keeper::new(&saved),
            disk,
            marks: port.clone(),
            only_says_so: self.plan.breaks.claims_unsaved,
        };
        Saving {
            marks: Arc::new(saved),
            saver: Some(Rc::new(RefCell::new(saver))),
            resumed,
        }
    }

    fn load_marks(&mut self, edge: usize, disk: &RefCell<Disk>) -> Option<Loaded> {
        disk.borrow_mut().revives();
        let loaded = disk.borrow().load();
        match &loaded {
            Err(unfit) => {
                self.faults.add(Fault::MarksUnfit);
                let why = unfit.to_string();
                self.tell("marks unfit", &[edge as u64], || {
                    format!("edge {edge}: {why}")
                });
            }
            Ok(Some(loaded)) if loaded.is_torn => self.faults.add(Fault::TornRecord),
            Ok(_) => {}
        }
        loaded.ok().flatten()
    }

    /// An edge goes on from what it had saved: a position that some log had, and no older one than it has claimed.
    fn resumes(&mut self, edge: usize, resumed: Option<Position>) {
        let Some(machine) = self.edges.get_mut(edge) else {
            return;
        };
        let expected = [machine.claimed, machine.attempted];
        let is_kept = machine.is_damaged || expected.contains(&resumed);
        machine.is_damaged = false;
        machine.claimed = resumed;
        machine.attempted = resumed;
        if let Some(position) = &resumed {
            self.oracle.obeyed(position);
        }
        if !is_kept {
            self.violate("kept_marks", || {
                format!(
                    "edge {edge} finds {resumed:?} on a disk that nothing happened to, and expected one of {expected:?}"
                )
            });
        }
    }

    /// Saves the marks a moment from now, if that is not about to happen: what comes until then is saved with them.
    pub fn save_soon(&mut self, edge: usize, run: Run) {
        let later = self.random.millis(1..60);
        self.save_after(edge, run, later);
    }

    fn save_after(&mut self, edge: usize, run: Run, later: Duration) {
        let Some(process) = self
            .process(edge, run)
            .filter(|process| process.saver.is_some())
        else {
            return;
        };
        if !std::mem::replace(&mut process.save_due, true) {
            self.put(later, Event::Saved(edge, run));
        }
    }

    /// The marks reach the disk, unless it is full.
    pub fn saved(&mut self, edge: usize, run: Run) {
        let now = self.now;
        let may_die = !self.calm && self.plan.troubles.contains(&Trouble::EdgeCrash);
        if may_die && self.random.permille(DIES_WHILE_SAVING) && self.process(edge, run).is_some() {
            return self.crash_edge(edge, Death::WhileSaving);
        }
        let Some(process) = self.process(edge, run) else {
            return;
        };
        process.save_due = false;
        let saver = process.saver.clone();
        if let Some(saver) = saver {
            let saved = saver.borrow_mut().save(now);
            self.note_saved(edge, run, saved);
        }
    }

    /// What came of saving is known.
    pub fn note_saved(&mut self, edge: usize, run: Run, saved: io::Result<Option<Position>>) {
        let (now, only_says_so) = (self.now, self.plan.breaks.claims_unsaved);
        let Some(machine) = self.edges.get_mut(edge) else {
            return;
        };
        let Some(process) = machine.running.as_mut().filter(|edge| edge.run == run) else {
            return;
        };
        match saved {
            Ok(None) => {}
            Ok(Some(position)) => {
                machine.attempted = Some(position);
                if !only_says_so {
                    machine.claimed = Some(position);
                }
                let mut session = process.session.borrow_mut();
                let outcomes = session.obedience.saved(&position);
                session.follow(now);
                drop(session);
                self.carry_out(edge, run, outcomes);
            }
            Err(_) => {
                // All marks may be there whose journal is not.
                machine.attempted = process.marks.snapshot().obeyed();
                self.save_after(edge, run, AGAIN);
            }
        }
    }

    /// The machine dies, perhaps while it saves, perhaps with the power; and its disk may take harm.
    pub fn disk_suffers(&mut self, edge: usize, death: Death) {
        let (is_torn, after) = (self.random.permille(400), self.random.below(2));
        let (power_goes, is_flipped) = (self.random.permille(500), self.random.permille(150));
        let is_torn = is_torn || death == Death::WhileSaving;
        let power_goes = power_goes || death == Death::WithThePower;
        let mut random = self.random.branch();
        let Some(machine) = self.edges.get_mut(edge) else {
            return;
        };
        let saver = machine
            .running
            .as_ref()
            .and_then(|process| process.saver.clone());
        let mut disk = machine.disk.borrow_mut();
        disk.turn(self.now);
        drop(disk);
        if let Some(saver) = saver.filter(|_| is_torn)
            && let Some(position) = saver.borrow_mut().dies(after)
        {
            machine.attempted = Some(position);
        }
        let mut disk = machine.disk.borrow_mut();
        self.faults
            .add_many(Fault::JournalTorn, u64::from(disk.has_died()));
        if power_goes && disk.loses_power() {
            machine.is_damaged = true;
            self.faults.add(Fault::FsyncLost);
        }
        if is_flipped && disk.flips_a_bit(&mut random) {
            machine.is_damaged = true;
            self.faults.add(Fault::BitFlipped);
        }
    }

    /// Up to where an edge's disk holds its marks, as far as its program knows.
    pub fn claimed_by(&self, edge: usize) -> Epoch {
        let machine = self.edges.get(edge);
        machine
            .and_then(|machine| machine.claimed)
            .map_or(Epoch(0), |position| position.epoch)
    }
}
