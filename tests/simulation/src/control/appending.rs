//! The way into the log. With a broker nobody may know what became of an append, and one of which nobody knows may come to the
//! log later, behind others, when its writer is long gone: never behind a later one of the same run, whose producer numbers them.

use super::Waiter;
use crate::{
    event::{AppendResult, Event, Run},
    faults::Fault,
    focus::Focus,
    log::{InDoubt, Kind},
    plan::Trouble,
    world::World,
};
use bytes::Bytes;
use latencify_cache::rules::Rules;
use latencify_conf::change::Entry;
use uuid::Uuid;

/// Where replicas die, of a thousand appends to their own disk so many are their last.
const DIES_APPENDING: u64 = 10;

/// An append on its way.
#[derive(Debug)]
pub struct Appended {
    /// The entry's name.
    pub id: Uuid,
    /// Its bytes.
    pub bytes: Bytes,
    /// The broker's answer will be lost.
    pub answer_lost: bool,
    /// And the entry comes to the log later.
    pub is_in_doubt: bool,
}

impl<R: Rules> World<R> {
    /// Appends an entry. Its writer hears when it is folded, or of what became of the append.
    pub fn append(&mut self, entry: &Entry, waiter: Waiter) {
        let Some(running) = &mut self.replica.running else {
            return;
        };
        let Ok(bytes) = entry.encode() else { return };
        let (id, run) = (entry.id, running.run);
        let focus = self.plan.breaks.focus;
        // Of removals and announcements, few as they are, more come to be in doubt than of others.
        let doubted = match waiter {
            _ if self.calm => None,
            Waiter::Removal(_) if matches!(focus, None | Some(Focus::LateWords)) => Some(600),
            Waiter::Announcement if matches!(focus, None | Some(Focus::LateAnnouncements)) => {
                Some(300)
            }
            _ => None,
        };
        running.waiters.insert(id, waiter);
        let mut is_in_doubt = false;
        let (reaches, answer_lost) = match self.log.kind {
            Kind::Embedded => (self.random.millis(0..8), false),
            Kind::Broker => {
                let rate = doubted.unwrap_or(self.plan.rates.append_unknown);
                let lost = self.random.permille(rate);
                is_in_doubt = doubted.is_some() && lost;
                (self.random.millis(1..20), lost)
            }
        };
        let appended = Appended {
            id,
            bytes: Bytes::from(bytes),
            answer_lost,
            is_in_doubt,
        };
        self.put(reaches, Event::Commit(run, appended));
        let may_die = !self.calm && self.plan.troubles.contains(&Trouble::ReplicaCrash);
        if may_die && self.log.kind == Kind::Embedded && self.random.permille(DIES_APPENDING) {
            self.put(reaches / 2, Event::ReplicaDies(run));
        }
    }

    /// The append takes effect, or does not.
    pub fn commit(&mut self, run: Run, append: Appended) {
        let Appended {
            id,
            bytes,
            answer_lost,
            is_in_doubt,
        } = append;
        let is_alive = self.replica.run(run).is_some();
        let result = match self.log.kind {
            // The transaction dies with the replica.
            Kind::Embedded if !is_alive => return self.fault(Fault::AppendLost),
            Kind::Broker if !self.log_takes() => {
                if self.random.permille(500) {
                    AppendResult::Refused
                } else {
                    self.may_land_later(run, bytes);
                    AppendResult::Unknown
                }
            }
            Kind::Broker if answer_lost => {
                if is_in_doubt {
                    self.lands_later(run, bytes);
                } else if self.random.permille(700) {
                    self.keep_record(run, bytes);
                } else {
                    self.may_land_later(run, bytes);
                }
                AppendResult::Unknown
            }
            _ => {
                self.keep_record(run, bytes);
                AppendResult::Done
            }
        };
        if result == AppendResult::Unknown {
            self.fault(Fault::AppendUnknown);
        }
        self.put(self.plan.blink, Event::Heard(run, id, result));
        self.all_fold_soon();
    }

    /// An append of which nobody knows sits in a socket, or in a broker that stands still.
    fn may_land_later(&mut self, run: Run, bytes: Bytes) {
        if !self.calm && !self.random.permille(400) {
            self.lands_later(run, bytes);
        }
    }

    fn lands_later(&mut self, run: Run, bytes: Bytes) {
        let seen = self.log.head();
        self.log.in_doubt.push(InDoubt { run, bytes, seen });
        let later = self.random.span(self.plan.lease / 20, self.plan.lease * 2);
        self.put(later, Event::Lands(self.branch));
    }

    /// What was in doubt comes to the log.
    pub fn lands(&mut self, branch: u32) {
        if branch != self.branch || self.log.in_doubt.is_empty() {
            return;
        }
        if self.log.kind == Kind::Broker && self.now < self.log.away_until {
            let later = self.log.away_until.saturating_sub(self.now);
            return self.put(later, Event::Lands(branch));
        }
        let next = self.next_to_land();
        let landed = self.log.in_doubt.remove(next);
        let is_over = self.machine_of(landed.run).is_none();
        if is_over && self.log.head() > landed.seen {
            self.fault(Fault::AppendLate);
        }
        self.write_record(landed.bytes);
        self.all_fold_soon();
    }

    /// What a run wrote keeps its order, and that of one run to another is anybody's guess.
    fn next_to_land(&mut self) -> usize {
        let run = |place: usize| self.log.in_doubt.get(place).map(|doubt| doubt.run);
        let first = (0..self.log.in_doubt.len()).filter(|place| run(*place) != run(0));
        let Some(other) = first.min() else { return 0 };
        if self.random.permille(500) { other } else { 0 }
    }

    /// Everything that is in doubt comes to the log now.
    pub fn all_land(&mut self) {
        for _ in 0..self.log.in_doubt.len() {
            self.lands(self.branch);
        }
    }

    /// The log takes a record of a run; first what of that run was in doubt, unless it is gone for good.
    pub fn keep_record(&mut self, run: Run, bytes: Bytes) {
        let in_doubt = std::mem::take(&mut self.log.in_doubt);
        let (of_run, others): (Vec<_>, Vec<_>) =
            in_doubt.into_iter().partition(|other| other.run == run);
        self.log.in_doubt = others;
        for earlier in of_run {
            if self.random.permille(500) {
                self.write_record(earlier.bytes);
            }
        }
        self.write_record(bytes);
    }

    fn write_record(&mut self, bytes: Bytes) {
        let gap = if self.random.permille(100) {
            self.random.of(1..4)
        } else {
            0
        };
        let epoch = self.log.append(bytes.clone(), gap);
        if epoch <= self.passes {
            self.fault(Fault::Fork);
        }
        self.oracle.appended(epoch, &bytes, self.now, self.branch);
        self.tell("appended", &[epoch.0], || format!("epoch {epoch}"));
    }

    /// The replica hears what became of an append.
    pub fn heard(&mut self, run: Run, id: Uuid, result: AppendResult) {
        if result == AppendResult::Done {
            return;
        }
        let Some(running) = self.replica.run(run) else {
            return;
        };
        match running.waiters.remove(&id) {
            Some(Waiter::Announcement) => self.announcement_failed(run, result),
            Some(Waiter::Join(stream)) => self.session_fails(stream),
            Some(Waiter::Writer { writer, attempt }) => self.write_failed(writer, attempt),
            Some(Waiter::Removal(process)) => self.removal_failed(run, process, result),
            Some(Waiter::Nobody) | None => {}
        }
    }
}
