//! What a tier that outlives the process is judged by: the same marks, and a floor of its own.
//!
//! **The floor.** A sweep over memory settles whatever it meets and raises memory's floor; what lies on a disk is not settled,
//! for what was taken out may be back after a power cut. A round over that tier says instead how old the oldest of what
//! lives in it is; its floor rises there, and only marks that both floors have passed are forgotten. Snapshots hold this
//! floor: after a restart it is the only one that matters.
//!
//! **Runs.** Local marks are numbered by one run of one edge. The numbers of a run with such a tier begin at the time of its start,
//! so that those of a later run are higher, and a stamp says whether an earlier run gave it. What such a run stored after the
//! last position that is known of it may belong to another history of the log: it is dead, for this run and for those after it.

use super::{Marks, MarksCount, Rules, mark::Order, state::State};
use crate::{
    identity::Identity,
    liveness::{Checked, Death, Liveness},
    stamp::{Fetch, Floor, Stamp},
};
use latencify_conf::change::{Epoch, Mode, Target};
use std::time::{Duration, SystemTime};

/// So many local marks a run may make each millisecond of the time between its start and the next one's.
const NUMBERS_PER_MILLISECOND: u64 = 1 << 20;

#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// What is stamped lower is dead in that tier.
    pub(super) floor: Floor,
    /// Where this run begins: its local numbers, and the epoch up to which earlier runs are known.
    pub(super) run: Floor,
    /// Where earlier runs began, the same way.
    earlier: Vec<Floor>,
}

/// What earlier runs of this edge did alone, and where they began.
#[derive(Debug, Clone, Copy, Default)]
pub struct Earlier<'a> {
    /// What they purged.
    pub marks: &'a [LocalMark],
    /// The highest number that one of them made or began with.
    pub last: u64,
    /// What is stamped lower is dead.
    pub floor: u64,
    /// Where the numbers of each began, and the last epoch that it knew then.
    pub runs: &'a [(u64, Epoch)],
}

/// A mark that an earlier run of this edge made alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalMark {
    /// What it names.
    pub target: Target,
    /// Hard or soft.
    pub mode: Mode,
    /// Its number.
    pub number: u64,
    /// When it was made.
    pub at: SystemTime,
}

/// One round over a tier that outlives the process.
#[derive(Debug)]
pub struct KeptRound {
    /// Nothing that was under way when it began is stamped lower.
    oldest: Floor,
    resets: u64,
}

/// A body on its way to such a tier; until it is dropped, marks that it may need are kept.
#[derive(Debug)]
pub struct Held(#[allow(dead_code, reason = "held for its drop")] super::Registered);

impl<R: Rules> Marks<R> {
    /// From now on a tier that outlives the process is judged by these marks. To be called before anything is fetched,
    /// restored or stored.
    pub fn keep(&self) {
        let number = self.number_of_now();
        self.change(|state| {
            state.now.local = state.now.local.max(number);
            state.kept = Some(Kept {
                floor: Floor::default(),
                run: state.now.place(),
                earlier: Vec::new(),
            });
        });
    }

    /// All that is known of earlier runs is obeyed, after [`restore`](Self::restore) and what was saved behind it: what one of them
    /// stored beyond here is dead. To be called before anything is fetched, stored or looked up.
    pub fn begin_run(&self) {
        self.change(|state| {
            let epoch = state.now.epoch;
            if let Some(kept) = &mut state.kept {
                kept.run.epoch = epoch;
            }
        });
    }

    /// Where the local numbers of this run begin, and the last epoch that it knew then; none: no tier outlives the process.
    pub fn run(&self) -> Option<(u64, Epoch)> {
        let state = self.state.read();
        state
            .kept
            .as_ref()
            .map(|kept| (kept.run.local, kept.run.epoch))
    }

    /// Takes over what earlier runs did, all of it. None: it is not known, so that nothing that
    /// was stored before counts. To be called before anything that earlier runs stored is looked up. Returns the local floor: for
    /// later runs to obey it too, it must be on disk before that.
    pub fn inherit(&self, earlier: Option<Earlier<'_>>) -> u64 {
        self.change(|state| {
            let now = &mut state.now.local;
            let Some(kept) = &mut state.kept else {
                return 0;
            };
            match earlier {
                Some(earlier) if earlier.last < kept.run.local => {
                    kept.floor.local = kept.floor.local.max(earlier.floor);
                    // This run may have set it, above all its numbers: what it stores from now on lives.
                    *now = (*now).max(earlier.floor);
                    let runs = earlier.runs.iter();
                    let runs = runs.map(|&(local, epoch)| Floor { epoch, local });
                    kept.earlier = runs.collect();
                    for mark in earlier.marks {
                        let order = Order::Local(mark.number);
                        state.index.add(&mark.target, order, mark.mode, mark.at);
                    }
                }
                // The clock went back: which mark was later is not known.
                Some(Earlier { last, .. }) => {
                    *now = (*now).max(last.saturating_add(1));
                    kept.run.local = *now;
                    kept.floor.local = *now;
                }
                None => kept.floor.local = kept.floor.local.max(*now),
            }
            kept.floor.local
        })
    }

    /// What the marks say of something in the tier that outlives the process.
    pub fn check_kept(&self, identity: &Identity, stamp: &Stamp) -> Liveness {
        if !R::LIVE {
            return Liveness::Live;
        }
        self.state.read().judge_kept(identity, stamp)
    }

    /// The same for something that comes from there into memory. If it lives, it is settled: memory's floor, which may be above
    /// its stamp, says nothing of it.
    pub(crate) fn take_over(
        &self,
        identity: &Identity,
        stamp: &Stamp,
        checked: &Checked,
    ) -> Liveness {
        if !R::LIVE {
            return Liveness::Live;
        }
        let counter = self.counter();
        let state = self.state.read();
        let verdict = state.judge_kept(identity, stamp);
        // A reset that comes now raises the local floor above this place.
        let place = state.now.place();
        drop(state);
        if !verdict.is_dead() {
            checked.settle(verdict, place);
            checked.remember(counter, verdict);
        }
        verdict
    }

    /// A body of that fetch is on its way to the tier: marks that it may need are kept until what this returns is dropped.
    pub fn hold(&self, fetch: &Fetch) -> Held {
        Held(self.register(fetch))
    }

    /// Begins a round over the tier.
    pub fn begin_kept_round(&self) -> KeptRound {
        let round = self.begin_round();
        KeptRound {
            oldest: round.oldest(),
            resets: round.resets(),
        }
    }

    /// Everything that was in the tier when the round began has been judged by [`check_kept`](Self::check_kept); of what lives,
    /// the lowest epoch and the lowest local number are these; none: nothing lives. Returns the local floor.
    pub fn end_kept_round(&self, round: &KeptRound, oldest: Option<(Epoch, u64)>) -> u64 {
        let mut state = self.state.write();
        let state = &mut *state;
        let Some(kept) = &mut state.kept else {
            return 0;
        };
        // Since another start, epochs may belong to another history.
        if state.resets == round.resets {
            let living = oldest.map(|(epoch, local)| Floor { epoch, local });
            let proven = living.map_or(round.oldest, |living| living.min(round.oldest));
            kept.floor = kept.floor.max(proven);
            state.to_forget = state.index.sites();
        }
        kept.floor.local
    }

    /// Forgets what both floors have passed, a little under each lock.
    pub fn forget_kept(&self) -> MarksCount {
        while self.forget_some() {}
        self.count()
    }

    pub(super) fn number_of_now(&self) -> u64 {
        let since = self.now().duration_since(SystemTime::UNIX_EPOCH);
        number_at(since.unwrap_or_default())
    }
}

/// Where the local numbers of a run begin that starts so long after 1970: above all that were made before.
pub fn number_at(since_1970: Duration) -> u64 {
    let millis = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
    millis.saturating_mul(NUMBERS_PER_MILLISECOND)
}

impl State {
    /// The one rule, for the tier that outlives the process.
    fn judge_kept(&self, identity: &Identity, stamp: &Stamp) -> Liveness {
        if stamp.log != self.now.log {
            return Liveness::Dead(Death::OtherLog);
        }
        let Some(kept) = &self.kept else {
            return Liveness::Dead(Death::BelowFloor);
        };
        let mut runs = kept.earlier.iter().chain([&kept.run]);
        let is_beyond = |run: &Floor| stamp.local < run.local && stamp.epoch > run.epoch;
        if runs.any(is_beyond) || kept.floor.is_above(stamp) {
            return Liveness::Dead(Death::BelowFloor);
        }
        self.index.check(identity, stamp)
    }

    /// What says nothing of anything stored, wherever.
    pub(super) fn passed(&self) -> Floor {
        let kept = self.kept.as_ref();
        kept.map_or(self.floor, |kept| self.floor.min(kept.floor))
    }

    /// An earlier run's state was put here.
    pub(super) fn keep_restored(&mut self, number: u64) {
        if let Some(kept) = &mut self.kept {
            self.now.local = self.now.local.saturating_add(1).max(number);
            kept.floor = self.floor;
            kept.run = self.now.place();
        }
    }
}
