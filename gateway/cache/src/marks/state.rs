//! What stands under one lock: marks, floor and what is obeyed; and the rule that reads them.

use super::{bounds::MarkBounds, index::Index, kept::Kept};
use crate::{
    identity::Identified,
    liveness::{Checked, Death, Liveness},
    stamp::{Floor, Stamp},
};
use latencify_conf::change::{Position, SiteId};

#[derive(Debug)]
pub(super) struct State {
    /// What a fetch that begins now is stamped with.
    pub(super) now: Stamp,
    /// What is obeyed, of a log.
    pub(super) obeyed: Option<Position>,
    /// What is stamped lower is dead. Sweeps raise it, from where a reset left it.
    pub(super) floor: Floor,
    /// Where the last reset was: a fetch of before it is of no use to a reader of after it.
    pub(super) reset: Floor,
    /// How often everything of before was given up.
    pub(super) resets: u64,
    pub(super) index: Index,
    /// Of a tier that outlives the process; none: there is none.
    pub(super) kept: Option<Kept>,
    /// Forgotten by sweeps, so far.
    pub(super) forgotten: u64,
    /// Sites whose marks are to be forgotten up to the floor.
    pub(super) to_forget: Vec<SiteId>,
}

impl State {
    /// Nothing is obeyed, and there are no marks.
    pub(super) fn new(bounds: MarkBounds) -> Self {
        Self {
            now: Stamp::default(),
            obeyed: None,
            floor: Floor::default(),
            reset: Floor::default(),
            resets: 0,
            index: Index::new(bounds),
            kept: None,
            forgotten: 0,
            to_forget: Vec::new(),
        }
    }

    /// The one rule, for what may be settled.
    pub(super) fn judge_checked(
        &self,
        identity: &impl Identified,
        stamp: &Stamp,
        checked: &Checked,
    ) -> Liveness {
        // Asked under the lock: a sweep settles an object before the floor rises above its stamp.
        self.judge(identity, &stamp.lifted(checked.settled()))
    }

    /// The one rule.
    pub(super) fn judge(&self, identity: &impl Identified, stamp: &Stamp) -> Liveness {
        if stamp.log != self.now.log {
            return Liveness::Dead(Death::OtherLog);
        }
        if self.floor.is_above(stamp) {
            return Liveness::Dead(Death::BelowFloor);
        }
        self.index.check(identity, stamp)
    }
}
