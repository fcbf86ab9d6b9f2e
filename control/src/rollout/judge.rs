//! What is to be done about a rollout now. Pure: facts and a clock in, the next step out.
//!
//! # The rules
//! - A stage has *settled* when every process of its edges is connected and runs the candidate, by the digest that it reports, and each
//!   edge that the plan names is there. Who has not been seen connected when the deadline has passed, was gone before, and is not waited for.
//! - From then on it soaks. Whatever unsettles it, ends the soak; once settled it soaks anew.
//! - An edge that can't build the candidate sends the rollout back at once, and so do too many 5xx. What has been unsettled for
//!   longer than the deadline, does too. Hits and times are judged when the soak is over: a cache fills first.
//! - What counts is what the candidate has answered since the stage began, edge by edge: an edge that fares well does not hide one that does not.
//! - A stage that adds no edge which has attached to this replica by the deadline has nothing to show, and is passed over.
//! - Paused, nothing moves on and no soak is counted; gates still send it back.

use super::{Rollout, gates_in_words};
use latencify_conf::{
    change::{Gate, GateFailure, MILLION, ProcessId, RolloutEnd, RolloutStep, Stage},
    digest::Digest,
    link::health::Health,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What is known of one process of the roster.
#[derive(Debug, Clone)]
pub struct Seen {
    /// This run of the edge.
    pub process: ProcessId,
    /// The edge's name.
    pub edge: String,
    /// Whether this stage reaches it.
    pub covered: bool,
    /// Whether an earlier stage did.
    pub covered_before: bool,
    /// Whether its stream is open here.
    pub connected: bool,
    /// What it says that it runs.
    pub running: Option<(latencify_conf::change::Revision, Digest)>,
    /// Why it can't build the candidate.
    pub failed: Option<String>,
    /// What it has answered by the candidate, since that is in force there.
    pub health: Option<Health>,
}

/// What this replica remembers of the stage under way. It is nobody else's: a replica that takes over begins anew.
#[derive(Debug, Clone)]
pub struct Watch {
    stage: u32,
    paused: bool,
    began: Duration,
    /// Seen connected during this stage.
    met: BTreeSet<ProcessId>,
    /// What they had answered when it began.
    before: BTreeMap<ProcessId, Health>,
    /// Since when it has not settled, or has.
    since: Duration,
    settled: bool,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Nothing yet.
    Wait(Wait),
    /// Write this step.
    Step(RolloutStep),
    /// Write this end.
    End(RolloutEnd),
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// An operator resumes it.
    Paused,
    /// These edges, with what each does instead of running the candidate.
    Unsettled(Vec<(String, String)>),
    /// So much of the soak is over.
    Soaking(Duration),
}

impl Watch {
    /// A replica begins to watch a stage, or takes over.
    pub fn new(rollout: &Rollout, now: Duration) -> Self {
        Self {
            stage: rollout.stage,
            paused: rollout.paused,
            began: now,
            met: BTreeSet::new(),
            before: BTreeMap::new(),
            since: now,
            settled: false,
        }
    }

    /// Looks, and says what is to be done.
    pub fn judge(
        &mut self,
        rollout: &Rollout,
        candidate: Digest,
        edges: &[Seen],
        now: Duration,
    ) -> Verdict {
        self.follow(rollout, edges, now);
        let reached = || edges.iter().filter(|edge| edge.covered);
        self.met.extend(
            reached()
                .filter(|edge| edge.connected)
                .map(|edge| edge.process),
        );
        for edge in reached() {
            if let Some(failure) = self.gate_at_once(rollout, edge) {
                return Verdict::End(RolloutEnd::Returned(failure));
            }
        }
        let late = self.unsettled(rollout, candidate, edges, now);
        if self.settled != late.is_empty() {
            (self.settled, self.since) = (late.is_empty(), now);
        }
        let past = now.saturating_sub(self.since);
        if rollout.paused {
            return Verdict::Wait(Wait::Paused);
        }
        if !late.is_empty() {
            return overdue(rollout, late, past);
        }
        let adds = reached().any(|edge| self.met.contains(&edge.process) && !edge.covered_before);
        if adds && past < Duration::from_millis(rollout.plan.soak_ms) {
            return Verdict::Wait(Wait::Soaking(past));
        }
        for edge in reached() {
            if let Some(failure) = self.gate_at_end(rollout, edge) {
                return Verdict::End(RolloutEnd::Returned(failure));
            }
        }
        if rollout.is_at_last() {
            Verdict::End(RolloutEnd::Completed)
        } else {
            Verdict::Step(RolloutStep::Stage(rollout.stage + 1))
        }
    }

    /// What an edge has answered by the candidate since the stage began.
    pub fn counted(&self, edge: &Seen) -> Option<Health> {
        let health = edge.health.as_ref()?;
        Some(match self.before.get(&edge.process) {
            Some(before) => health.since(before),
            None => health.clone(),
        })
    }

    /// A stage that begins, or goes on after a pause, is watched anew.
    fn follow(&mut self, rollout: &Rollout, edges: &[Seen], now: Duration) {
        if self.stage != rollout.stage {
            *self = Self::new(rollout, now);
            self.before = edges
                .iter()
                .filter_map(|edge| Some((edge.process, edge.health.clone()?)))
                .collect();
        } else if self.paused != rollout.paused {
            (self.paused, self.since) = (rollout.paused, now);
        }
    }

    /// Edges of the stage that do not run the candidate.
    fn unsettled(
        &self,
        rollout: &Rollout,
        candidate: Digest,
        edges: &[Seen],
        now: Duration,
    ) -> Vec<(String, String)> {
        let wanted = (rollout.revision, candidate);
        let deadline = Duration::from_millis(rollout.plan.deadline_ms);
        let waits_for_all = now.saturating_sub(self.began) < deadline;
        let mut late = Vec::new();
        for edge in edges.iter().filter(|edge| edge.covered) {
            // Who was away when the stage began may be gone for good.
            if !waits_for_all && !self.met.contains(&edge.process) {
                continue;
            }
            let why = match edge.running {
                _ if !edge.connected => Some("is not connected".to_owned()),
                Some(running) if running == wanted => None,
                Some((revision, digest)) => Some(format!("runs revision {revision} ({digest})")),
                None => Some("runs no policy".to_owned()),
            };
            late.extend(why.map(|why| (edge.edge.clone(), why)));
        }
        let is_met = |name: &str| {
            let mut named = edges.iter().filter(|edge| edge.edge == name);
            named.any(|edge| self.met.contains(&edge.process))
        };
        let so_far = rollout.plan.stages.iter().take(rollout.stage as usize + 1);
        for stage in so_far {
            if let Stage::Edges(names) = stage {
                let absent = names.iter().filter(|name| !is_met(name));
                late.extend(absent.map(|name| (name.clone(), "is not connected".to_owned())));
            }
        }
        late
    }

    fn gate_at_once(&self, rollout: &Rollout, edge: &Seen) -> Option<GateFailure> {
        let failed = |gate, figure, limit| Some(GateFailure::new(gate, &edge.edge, figure, limit));
        if let Some(reason) = &edge.failed {
            let figure = format!("it can't be built: {reason}");
            return failed(Gate::Build, figure, "it must be built".to_owned());
        }
        let gates = &rollout.plan.gates;
        let counted = self.enough(rollout, edge)?;
        let most = gates.errors_ppm_max?;
        if !exceeds(counted.errors, counted.requests, most) {
            return None;
        }
        let figure = share(counted.errors, counted.requests, "requests with 5xx");
        failed(Gate::Errors5xx, figure, gates_in_words::at_most_share(most))
    }

    fn gate_at_end(&self, rollout: &Rollout, edge: &Seen) -> Option<GateFailure> {
        let failed = |gate, figure, limit| Some(GateFailure::new(gate, &edge.edge, figure, limit));
        let gates = &rollout.plan.gates;
        let counted = self.enough(rollout, edge)?;
        if let Some(least) = gates.hits_ppm_min
            && counted.lookups >= gates.requests_min
            && exceeds(
                counted.lookups - counted.hits.min(counted.lookups),
                counted.lookups,
                MILLION - least.min(MILLION),
            )
        {
            let figure = share(counted.hits, counted.lookups, "look-ups with a hit");
            return failed(
                Gate::HitRatio,
                figure,
                gates_in_words::at_least_share(least),
            );
        }
        let (most, p99) = (gates.p99_ms_max?, counted.p99_ms()?);
        if p99 <= most {
            return None;
        }
        let figure = format!("{p99} ms for 99 of 100 first bytes");
        failed(Gate::P99, figure, format!("at most {most} ms"))
    }

    /// What an edge has answered, if it is enough to say something.
    fn enough(&self, rollout: &Rollout, edge: &Seen) -> Option<Health> {
        let counted = self.counted(edge)?;
        let least = rollout.plan.gates.requests_min.max(1);
        (counted.requests >= least).then_some(counted)
    }
}

/// An edge that has not settled in time sends it back.
fn overdue(rollout: &Rollout, late: Vec<(String, String)>, past: Duration) -> Verdict {
    let deadline = Duration::from_millis(rollout.plan.deadline_ms);
    match late.first() {
        Some((edge, why)) if past >= deadline => {
            let limit = format!(
                "it must run revision {} within {} s",
                rollout.revision,
                deadline.as_secs_f64()
            );
            let failure = GateFailure::new(Gate::Digest, edge, why.clone(), limit);
            Verdict::End(RolloutEnd::Returned(failure))
        }
        _ => Verdict::Wait(Wait::Unsettled(late)),
    }
}

/// Whether more than so many of a million are.
fn exceeds(part: u64, whole: u64, ppm: u32) -> bool {
    u128::from(part) * u128::from(MILLION) > u128::from(whole) * u128::from(ppm)
}

fn share(part: u64, whole: u64, what: &str) -> String {
    let percent = part as f64 * 100.0 / (whole as f64).max(1.0);
    format!("{percent:.1}% ({part} of {whole} {what})")
}
