//! Rollouts: beginning one, looking at it, an operator's word.

use super::{Control, Refused};
use crate::{store::entity::rollouts, verbs::resolve::nearest, writer::Key};
use latencify_conf::{
    api::{RolloutAction, RolloutCommand, RolloutEdge, RolloutStatus},
    change::{Change, Plan, Revision, RolloutEnd, RolloutStep, Stage},
    link::health::Health,
};
use std::collections::BTreeSet;

impl Control {
    /// Whether a plan can be meant, for this fleet.
    pub(super) fn check_plan(&self, plan: &Plan) -> Result<(), Refused> {
        plan.check()
            .map_err(|bad| Refused::Invalid(bad.to_string()))?;
        let state = self.fleet.fold.state();
        let known: BTreeSet<&str> = state.roster.values().map(|member| &*member.edge).collect();
        for stage in &plan.stages {
            let Stage::Edges(names) = stage else { continue };
            if let Some(name) = names.iter().find(|name| !known.contains(name.as_str())) {
                let hint = nearest(name, known.iter().copied())
                    .map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
                return Err(Refused::Invalid(format!(
                    "the plan names the edge {name:?}, which is not in the fleet{hint}"
                )));
            }
        }
        Ok(())
    }

    /// How the rollout of a revision stands, or ended; none: the newest.
    pub async fn rollout(&self, revision: Option<Revision>) -> Result<RolloutStatus, Refused> {
        let store = &self.fleet.store;
        let row = match revision {
            Some(revision) => store.rollout(revision).await?,
            None => store.newest_rollout().await?,
        };
        let row = row.ok_or_else(|| {
            Refused::NotFound(match revision {
                Some(revision) => format!("revision {revision} was not rolled out in stages"),
                None => "nothing was rolled out in stages yet".to_owned(),
            })
        })?;
        self.rollout_of(row)
    }

    fn rollout_of(&self, row: rollouts::Model) -> Result<RolloutStatus, Refused> {
        let revision = Revision(row.revision as u64);
        let ended = row.end()?;
        let plan: Plan = row.plan()?;
        let stage = row.stage as u32;
        let fares = self.fleet.rollouts.of(revision).filter(|_| ended.is_none());
        let counted = fares.as_ref().map(|fares| &fares.counted);
        let state = self.fleet.fold.state();
        let reached = state
            .roster
            .iter()
            .filter(|(_, member)| plan.covers(stage, &member.edge, &member.about));
        let edge = |process, name: &str| {
            let report = self.fleet.said.get(process).report;
            let health = counted.and_then(|counted| counted.get(&process));
            let sum = |of: fn(&Health) -> u64| health.map_or(0, of);
            RolloutEdge {
                edge: name.to_owned(),
                process,
                connected: self.fleet.connections.is_open(process),
                running: report.running.map(|(revision, _)| revision),
                failed: report
                    .failed
                    .filter(|(failed, _)| *failed == revision)
                    .map(|_| report.reason),
                requests: sum(|health| health.requests),
                errors_5xx: sum(|health| health.errors),
                lookups: sum(|health| health.lookups),
                hits: sum(|health| health.hits),
                p99_ms: health.and_then(Health::p99_ms),
            }
        };
        let mut edges: Vec<_> = reached
            .map(|(process, member)| edge(*process, &member.edge))
            .collect();
        edges.sort_by(|a, b| (&a.edge, a.process).cmp(&(&b.edge, b.process)));
        let waits_for = match (&ended, &fares) {
            (Some(_), _) => String::new(),
            (None, Some(fares)) => fares.waits_for.clone(),
            (None, None) => "this replica has not looked at it yet".to_owned(),
        };
        Ok(RolloutStatus {
            revision,
            stable: row.stable.map(|stable| Revision(stable as u64)),
            plan,
            stage,
            step: row.step as u32,
            paused: row.paused != 0,
            by: row.by,
            at: row.at,
            ended,
            waits_for,
            soaked_ms: fares
                .and_then(|fares| fares.soaked)
                .map(|soaked| soaked.as_millis() as u64),
            edges,
        })
    }

    /// Does what an operator says, if the rollout is where they saw it.
    pub async fn command_rollout(
        &self,
        by: &str,
        key: Option<Key>,
        revision: Revision,
        command: RolloutCommand,
    ) -> Result<RolloutStatus, Refused> {
        // The answer to a repeat is how it stands now.
        if self.earlier(key.as_ref()).await?.is_some() {
            return self.rollout(Some(revision)).await;
        }
        let step = match command.step {
            Some(step) => step,
            None => self.rollout(Some(revision)).await?.step,
        };
        let stepped = |to| Change::RolloutStepped { revision, step, to };
        let ended = |why| Change::RolloutEnded {
            revision,
            step,
            why,
        };
        let change = match command.action {
            RolloutAction::Pause => stepped(RolloutStep::Pause),
            RolloutAction::Resume => stepped(RolloutStep::Resume),
            RolloutAction::Abort => ended(RolloutEnd::Aborted),
            RolloutAction::Promote => ended(RolloutEnd::Promoted),
        };
        self.write(by, key, change).await?;
        self.rollout(Some(revision)).await
    }
}
