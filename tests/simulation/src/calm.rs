//! After the last fault: calm, quiet, and then the questions that are asked at the end.

use crate::{event::Event, world::World};
use latencify_cache::rules::Rules;
use std::time::Duration;

/// When nothing goes wrong any more, everything must be well again after so long.
const WELL_WITHIN: Duration = Duration::from_mins(1);
/// After so long nobody asks any more, so that what is under way ends.
const QUIET_FOR: Duration = Duration::from_secs(25);

impl<R: Rules> World<R> {
    /// From here on nothing goes wrong any more.
    pub fn calm_down(&mut self) {
        self.calm = true;
        self.ambush = None;
        self.tell("calm", &[], String::new);
        self.plan.rates = crate::plan::Rates::default();
        self.machines_are_well();
        self.log.away_until = self.log.away_until.min(self.now);
        self.origin.down_until = self.origin.down_until.min(self.now);
        for edge in 0..self.edges.len() {
            if let Some(machine) = self.edges.get_mut(edge) {
                machine.paused_until = machine.paused_until.min(self.now);
                let mut disk = machine.disk.borrow_mut();
                disk.full_until = disk.full_until.min(self.now);
                disk.lies_until = disk.lies_until.min(self.now);
            }
            self.heal(edge);
        }
        self.all_land();
        self.put(WELL_WITHIN, Event::Judge);
    }

    /// First nobody asks any more, then everything must be well.
    pub fn judge_or_quieten(&mut self) {
        if self.quiet {
            return self.judge();
        }
        self.remove_the_dead();
        self.quiet = true;
        self.put(QUIET_FOR, Event::Judge);
    }

    /// The operator takes out whoever is dead, so that receipts come to an end.
    fn remove_the_dead(&mut self) {
        let alive = |id| {
            self.edges
                .iter()
                .filter_map(|machine| machine.running.as_ref())
                .any(|edge| edge.id == id)
        };
        let roster = self.replica.store.state.roster.keys();
        let dead: Vec<_> = roster.copied().filter(|id| !alive(*id)).collect();
        for process in dead {
            self.remove(process);
        }
    }
}
