//! Rollouts: a policy reaches the fleet in stages that undo themselves.
//!
//! # Characters
//! - [`Rollout`]: where one stands: part of the fold's state, so that every replica knows the same.
//! - [`folding`]: entries → effects. Compare-and-set on the step; pure.
//! - [`target`]: state, an edge's name and labels → the revision that it is to run. Pure.
//! - [`judge`]: what edges report, and a clock → the next step, if one is due. Pure.
//! - [`conductor`]: the task that asks the judge now and then, and writes what it says. Every replica has one.
//! - [`drift`]: who runs something else than its target is told it again.
//! - [`Health`](health::HealthOfEdges): what edges said of the requests that they answered, by the policy that answered.
//!
//! # What must hold
//! - Whoever may write the next step may be late: the fold takes one that saw the newest step, and no other.
//! - Names of purges are resolved over candidate and stable revision both, whatever is under way: see
//!   [`verbs::Policies`](crate::verbs::Policies).
//! - The sites of a candidate have the ids that the stable revision gives them; sites that are new in it get new ones, which are never
//!   used again, whether or not it stays.
//! - The clock that judges a soak is that of the replica that steps: from when it has seen every edge of the stage run the
//!   candidate. A replica that starts, or takes over, begins the stage's soak anew; what edges had counted before is not lost, because
//!   they report sums.
//!
//! # Rejected
//! - *A time in the entries that decides*: two replicas' clocks would judge one soak.
//! - *A new revision for the way back*: the fleet returns to what it ran, bytes and number; what was returned keeps its number, too.

pub mod conductor;
pub mod drift;
pub mod folding;
pub mod health;
pub mod judge;
mod words;

pub use conductor::Rollouts;
pub use words::{gates_in_words, waits_in_words};

use crate::fold::{Head, State};
use latencify_conf::{
    change::{Plan, Revision},
    link::replica::Report,
};
use std::collections::BTreeMap;

/// A rollout that is under way. Its candidate is the head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// The revision that is rolled out.
    pub revision: Revision,
    /// What edges run that it has not reached, and all again if it is returned; none: there was no policy before.
    pub stable: Option<Head>,
    /// How.
    pub plan: Plan,
    /// The stage, from 0.
    pub stage: u32,
    /// How many steps it has taken.
    pub step: u32,
    /// It moves on only when it is resumed.
    pub paused: bool,
}

impl Rollout {
    /// Whether an edge of this name and these labels runs the candidate.
    pub fn covers(&self, edge: &str, labels: &BTreeMap<String, String>) -> bool {
        self.plan.covers(self.stage, edge, labels)
    }

    /// Whether this is the stage of every edge.
    pub fn is_at_last(&self) -> bool {
        self.stage as usize + 1 >= self.plan.stages.len()
    }
}

/// The policy that an edge is to run.
pub fn target<'s>(
    state: &'s State,
    edge: &str,
    labels: &BTreeMap<String, String>,
) -> Option<&'s Head> {
    match &state.rollout {
        Some(rollout) if !rollout.covers(edge, labels) => rollout.stable.as_ref(),
        _ => state.head.as_ref(),
    }
}

/// Whether an edge runs something else than its target, and has not said that it can't.
pub fn has_drifted(target: Option<&Head>, report: &Report) -> bool {
    let Some(Head {
        revision, digest, ..
    }) = target
    else {
        return false;
    };
    let wanted = Some((*revision, *digest));
    report.running != wanted && report.failed != wanted
}

/// The policy that the fleet goes back to, or runs if nothing is rolled out.
pub fn stable(state: &State) -> Option<&Head> {
    match &state.rollout {
        Some(rollout) => rollout.stable.as_ref(),
        None => state.head.as_ref(),
    }
}

#[cfg(test)]
mod tests;
