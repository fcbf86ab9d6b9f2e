//! Which marks may be forgotten, and when.
//!
//! A sweep goes over everything that is stored, in *rounds*. A round begins at a place in the order of marks: what is
//! obeyed then. Whatever it meets is dead and taken out, or alive, and then *settled*: all marks up to that place have
//! been asked and need not be asked again. What is stored behind the sweep's back was fetched meanwhile: its stamp is no
//! older than the oldest fetch that was under way when the round began, or it began later.
//!
//! So at the end of a round nothing that lives asks for marks up to the lower of both places. The floor rises there, and
//! marks below it say nothing any more: they are forgotten piece by piece. Had something slipped through, the floor
//! would kill it: too much may go, never too little.

use super::{Marks, Rules};
use crate::{
    identity::Identified,
    liveness::Checked,
    rules::Point,
    stamp::{Floor, Stamp},
};
use std::time::Duration;

/// A fetch that is under way for longer is not waited for: what it brings at last is dead, if marks that it may need have
/// been forgotten.
pub const UNDER_WAY_MAX: Duration = Duration::from_hours(1);
/// The most marks that are looked at under one lock, but for those of one site.
const MARKS_PER_LOCK: usize = 10_000;

/// One round of a sweep.
#[derive(Debug)]
pub(crate) struct Round {
    /// What was obeyed when it began.
    begun: Stamp,
    /// Nothing that was under way then is stamped lower.
    oldest: Floor,
    resets: u64,
    /// The counter when it began.
    counter: u64,
}

impl Round {
    /// Nothing that was under way when it began is stamped lower.
    pub(super) fn oldest(&self) -> Floor {
        self.oldest
    }

    /// How often everything had been given up by then.
    pub(super) fn resets(&self) -> u64 {
        self.resets
    }
}

impl<R: Rules> Marks<R> {
    /// Begins a round.
    pub(crate) fn begin_round(&self) -> Round {
        let counter = self.counter();
        // Under the lock nobody stands between taking a stamp and being registered.
        let state = self.state.write();
        let (begun, resets) = (state.now, state.resets);
        drop(state);
        let since = self.clock.now().checked_sub(UNDER_WAY_MAX);
        let oldest = self.under_way.oldest(begun.log, since);
        Round {
            begun,
            oldest: oldest.map_or(begun.place(), |oldest| oldest.min(begun.place())),
            resets,
            counter,
        }
    }

    /// Asks the marks about a stored object for the round: if it lives, they need not be asked for it again up to where
    /// the round began. False: it is dead.
    pub(crate) fn settle(
        &self,
        round: &Round,
        identity: &impl Identified,
        stamp: &Stamp,
        checked: &Checked,
    ) -> bool {
        if !R::LIVE {
            return true;
        }
        // Not what the object remembers: a mark may be published whose counter has not been bumped yet.
        let state = self.state.read();
        let verdict = state.judge_checked(identity, stamp, checked);
        // Epochs of before a reset say nothing of what was stored after it.
        let is_of_round = state.resets == round.resets;
        drop(state);
        R::reach(Point::LookAndSettle);
        if is_of_round && !verdict.is_dead() {
            checked.settle(verdict, round.begun.place());
        }
        !verdict.is_dead()
    }

    /// Everything that was stored has been swept since that round began: the floor rises to what it proved.
    pub(crate) fn end_round(&self, round: &Round) {
        let mut state = self.state.write();
        // Since another start, everything of before is dead, and its epochs may belong to another history.
        if state.resets == round.resets {
            state.floor = state.floor.max(round.oldest);
            state.to_forget = state.index.sites();
        }
    }

    /// Forgets some of the marks that lie below the floor. False: there are none left that are known to.
    pub(crate) fn forget_some(&self) -> bool {
        let mut state = self.state.write();
        let state = &mut *state;
        let passed = state.passed();
        state.index.forget_all(passed);
        let mut left = MARKS_PER_LOCK;
        while left > 0 {
            let Some(site) = state.to_forget.pop() else {
                return false;
            };
            let (looked_at, forgotten) = state.index.forget_site(site, passed);
            left = left.saturating_sub(looked_at);
            state.forgotten += forgotten as u64;
        }
        true
    }

    /// Whether a round would find or prove what the last one could not: something was purged since, or what held marks
    /// back is no longer under way.
    pub(crate) fn is_worth_a_round(&self, last: &Round, next: &Round) -> bool {
        next.counter != last.counter
            || next.oldest != last.oldest && !self.state.read().index.is_empty()
    }
}
