//! What entries make of a rollout. Pure; the fold calls it.

use super::{Rollout, stable};
use crate::fold::{Conflict, Effect, State};
use latencify_conf::change::{Plan, Revision, RolloutEnd, RolloutStep};

/// A plain revision became the head: whatever was rolled out is over.
pub fn superseded(state: &State, by: Revision) -> Option<Effect> {
    let rollout = state.rollout.as_ref()?;
    Some(Effect::RolloutEnded {
        revision: rollout.revision,
        why: RolloutEnd::Superseded(by),
    })
}

/// A rollout of a revision that has just got its number.
pub fn started(state: &State, revision: Revision, plan: &Plan) -> Effect {
    Effect::RolloutMoved(Rollout {
        revision,
        stable: stable(state).cloned(),
        plan: plan.clone(),
        stage: 0,
        step: 0,
        paused: false,
    })
}

/// A step by somebody who saw the rollout after so many steps.
pub fn stepped(
    state: &State,
    revision: Revision,
    step: u32,
    to: RolloutStep,
) -> Result<Vec<Effect>, Conflict> {
    let mut next = same_step(state, revision, step)?.clone();
    let stages = next.plan.stages.len() as u32;
    match to {
        // Several stages may be skipped, none is gone back to.
        RolloutStep::Stage(stage) if stage > next.stage && stage < stages && !next.paused => {
            next.stage = stage;
        }
        RolloutStep::Pause if !next.paused => next.paused = true,
        RolloutStep::Resume if next.paused => next.paused = false,
        _ => return Err(moved(state)),
    }
    next.step = next.step.saturating_add(1);
    Ok(vec![Effect::RolloutMoved(next)])
}

/// Its end, by somebody who saw it after so many steps.
pub fn ended(
    state: &State,
    revision: Revision,
    step: u32,
    why: &RolloutEnd,
) -> Result<Vec<Effect>, Conflict> {
    same_step(state, revision, step)?;
    Ok(vec![Effect::RolloutEnded {
        revision,
        why: why.clone(),
    }])
}

fn same_step(state: &State, revision: Revision, step: u32) -> Result<&Rollout, Conflict> {
    let here = state.rollout.as_ref();
    here.filter(|rollout| (rollout.revision, rollout.step) == (revision, step))
        .ok_or_else(|| moved(state))
}

fn moved(state: &State) -> Conflict {
    let at = state.rollout.as_ref();
    Conflict::RolloutMoved {
        at: at.map(|rollout| (rollout.revision, rollout.step)),
    }
}
