//! Looks after the rollout under way: gathers what is known, asks the [judge](super::judge), writes what it says. Every replica has one;
//! the fold takes the first step that comes, so that none is taken twice.

use super::{
    judge::{Seen, Verdict, Wait, Watch},
    waits_in_words,
};
use crate::{
    fleet::Fleet,
    fold::{Outcome, State},
    writer::WriteError,
};
use latencify_conf::{
    change::{Change, ProcessId, Revision, RolloutEnd},
    link::health::Health,
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// After a write that failed.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Who writes the steps that are not an operator's.
const BY: &str = "rollout";

/// How the rollout under way fares, as this replica sees it. A clone sees the same.
#[derive(Clone, Default)]
pub struct Rollouts {
    seen: Arc<Mutex<Option<Fares>>>,
}

/// How a rollout fares.
#[derive(Debug, Clone)]
pub struct Fares {
    /// Whose.
    pub revision: Revision,
    /// What it waits for, in words.
    pub waits_for: String,
    /// How much of the stage's soak is over.
    pub soaked: Option<Duration>,
    /// What edges have answered by the candidate since the stage began.
    pub counted: BTreeMap<ProcessId, Health>,
}

impl Rollouts {
    /// How a revision's rollout fares; none: this replica has not looked yet.
    pub fn of(&self, revision: Revision) -> Option<Fares> {
        let seen = self.seen.lock();
        seen.as_ref()
            .filter(|fares| fares.revision == revision)
            .cloned()
    }

    fn tell(&self, fares: Option<Fares>) {
        *self.seen.lock() = fares;
    }
}

/// Looks after rollouts until `stop`.
pub async fn run(fleet: Fleet, stop: CancellationToken) {
    let (began, mut watch) = (Instant::now(), None);
    let mut states = fleet.fold.subscribe();
    loop {
        let state = states.borrow_and_update().clone();
        let pause = match look(&fleet, &state, &mut watch, began.elapsed()) {
            None if state.rollout.is_none() => None,
            None => Some(LOOK_EVERY),
            Some(change) => write(&fleet, change).await,
        };
        let timer = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            changed = states.changed() => if changed.is_err() { return },
            () = timer => {}
        }
    }
}

/// The entry that is due, if one is.
fn look(
    fleet: &Fleet,
    state: &State,
    watch: &mut Option<(Revision, Watch)>,
    now: Duration,
) -> Option<Change> {
    let (Some(rollout), Some(head)) = (&state.rollout, &state.head) else {
        *watch = None;
        fleet.rollouts.tell(None);
        return None;
    };
    if watch
        .as_ref()
        .is_none_or(|(revision, _)| *revision != rollout.revision)
    {
        *watch = Some((rollout.revision, Watch::new(rollout, now)));
    }
    let (_, watch) = watch.as_mut()?;
    let edges = seen(fleet, state);
    let verdict = watch.judge(rollout, head.digest, &edges, now);
    let soaked = match &verdict {
        Verdict::Wait(Wait::Soaking(past)) => Some(*past),
        _ => None,
    };
    let waits_for = match &verdict {
        Verdict::Wait(wait) => waits_in_words(wait, rollout.plan.soak_ms),
        _ => "the next step is being written".to_owned(),
    };
    fleet.rollouts.tell(Some(Fares {
        revision: rollout.revision,
        waits_for,
        soaked,
        counted: edges
            .iter()
            .filter_map(|edge| Some((edge.process, watch.counted(edge)?)))
            .collect(),
    }));
    let (revision, step) = (rollout.revision, rollout.step);
    match verdict {
        Verdict::Wait(_) => None,
        Verdict::Step(to) => Some(Change::RolloutStepped { revision, step, to }),
        Verdict::End(why) => Some(Change::RolloutEnded {
            revision,
            step,
            why,
        }),
    }
}

/// What is known of every process of the roster.
fn seen(fleet: &Fleet, state: &State) -> Vec<Seen> {
    let Some(rollout) = &state.rollout else {
        return Vec::new();
    };
    let edge = |(process, member): (&ProcessId, &crate::fold::Member)| {
        let report = fleet.said.get(*process).report;
        let before = rollout.stage.checked_sub(1);
        let covers = |stage| rollout.plan.covers(stage, &member.edge, &member.about);
        Seen {
            process: *process,
            edge: member.edge.clone(),
            covered: covers(rollout.stage),
            covered_before: before.is_some_and(covers),
            connected: fleet.connections.is_open(*process),
            running: report.running,
            failed: report
                .failed
                .filter(|(revision, _)| *revision == rollout.revision)
                .map(|_| report.reason),
            health: fleet.health.of(*process, rollout.revision),
        }
    };
    state.roster.iter().map(edge).collect()
}

/// Writes an entry; says when to look again. That another replica was faster is no failure.
async fn write(fleet: &Fleet, change: Change) -> Option<Duration> {
    tell(&change);
    match fleet.writer.write(BY, None, change).await {
        Ok(settled) => {
            if settled.folded.outcome != Outcome::Accepted {
                tracing::debug!("another replica took that step of the rollout");
            }
            Some(LOOK_EVERY)
        }
        // Its entry may be folded yet; then the next attempt is late, which the fold says.
        Err(error @ WriteError::Busy) => {
            tracing::debug!(%error, "a step of the rollout is tried again");
            Some(AGAIN_AFTER)
        }
        Err(error) => {
            tracing::warn!(%error, "a step of the rollout can't be written now; it is tried again");
            Some(AGAIN_AFTER)
        }
    }
}

fn tell(change: &Change) {
    match change {
        Change::RolloutEnded {
            revision,
            why: RolloutEnd::Returned(failure),
            ..
        } => {
            tracing::error!(%revision, %failure, "the rollout goes back to the revision before it");
        }
        Change::RolloutEnded { revision, why, .. } => {
            tracing::info!(%revision, end = why.as_str(), "the rollout is over");
        }
        Change::RolloutStepped { revision, to, .. } => {
            tracing::info!(%revision, ?to, "the rollout takes a step");
        }
        _ => {}
    }
}
