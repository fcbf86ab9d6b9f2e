//! Rollouts: how a policy reaches the fleet in stages, as entries say it.

use super::Revision;
use crate::digest::Digest;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, time::Duration};

/// The most stages of a plan.
pub const STAGES_MAX: usize = 20;
/// The most edges, or labels, that one stage names.
pub const NAMED_MAX: usize = 1_000;
/// The most bytes of what an ended rollout says of its reason.
pub const FIGURE_BYTES_MAX: usize = 2_000;
/// A ratio of one, in parts per million.
pub const MILLION: u32 = 1_000_000;
/// The longest soak or deadline.
pub const TIME_MAX: Duration = Duration::from_hours(7 * 24);

/// How a policy reaches the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Who runs it, stage by stage; each stage keeps the edges of those before it. The last one is every edge.
    pub stages: Vec<Stage>,
    /// How long all edges of a stage must have run it before the next stage begins, in milliseconds.
    pub soak_ms: u64,
    /// How long edges may take to run it, in milliseconds; then the rollout is returned.
    pub deadline_ms: u64,
    /// What sends it back.
    pub gates: Gates,
}

/// Which edges a stage adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Stage {
    /// These, by name.
    Edges(Vec<String>),
    /// Those that say all of this of themselves.
    Labels(BTreeMap<String, String>),
    /// So many in a hundred, 1 to 100, by a stable hash of their names: who is among 10 is among 50.
    Percent(u8),
}

/// What an edge must keep to while it runs the candidate. An edge that can't build it, or runs something else when the deadline has passed, always
/// sends it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Gates {
    /// At most so many of a million requests may be answered 5xx. Judged at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors_ppm_max: Option<u32>,
    /// At least so many of a million requests that ask the cache must be hits. Judged at the end of a soak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits_ppm_min: Option<u32>,
    /// 99 of 100 first bytes must come within this, in milliseconds. Judged at the end of a soak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ms_max: Option<u32>,
    /// With fewer requests of an edge, these say nothing yet.
    pub requests_min: u64,
}

/// What a step of a rollout changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RolloutStep {
    /// The next stage begins: its number, from 0.
    Stage(u32),
    /// Nothing moves on until it is resumed. Gates still send it back.
    Pause,
    /// It goes on.
    Resume,
}

/// Why a rollout is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RolloutEnd {
    /// Every stage has soaked: all edges run it.
    Completed,
    /// An operator sent it to all edges at once.
    Promoted,
    /// An operator sent it back.
    Aborted,
    /// A gate sent it back.
    Returned(GateFailure),
    /// Another revision took its place.
    Superseded(Revision),
}

/// What an edge did not keep to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GateFailure {
    /// Which gate.
    pub gate: Gate,
    /// Which edge.
    pub edge: String,
    /// What it was, in words.
    pub figure: String,
    /// What it had to be, in words.
    pub limit: String,
}

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Responses with 5xx.
    #[serde(rename = "errors_5xx")]
    Errors5xx,
    /// Hits among the requests that ask the cache.
    HitRatio,
    /// The 99th percentile of the time to the first byte.
    P99,
    /// The edge can't build it.
    Build,
    /// What the edge really runs.
    Digest,
}

/// A plan that can't be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPlan {
    /// None, or too many.
    #[error("a rollout has 1 to {STAGES_MAX} stages, not {0}")]
    Stages(usize),
    /// It would leave edges behind.
    #[error("the last stage must be 100%: every edge")]
    Unfinished,
    /// Not a share.
    #[error("stage {0}: write 1% to 100%")]
    Percent(usize),
    /// Less than the stage before it.
    #[error("stage {0} has no more edges than the stage before it: shares must grow")]
    Shrinking(usize),
    /// Names nobody, or too many.
    #[error("stage {0} names no edge, or more than {NAMED_MAX}")]
    Named(usize),
    /// Too long.
    #[error("the {0} is longer than seven days, or nothing")]
    Time(&'static str),
    /// Not a ratio.
    #[error("the {0} gate is no ratio from 0 to 100%")]
    Ratio(&'static str),
}

impl Plan {
    /// What holds where an operator says nothing else: 10% of the edges, half of them, all; five minutes each.
    pub fn usual() -> Self {
        Self {
            stages: [10, 50, 100].map(Stage::Percent).to_vec(),
            soak_ms: 300_000,
            deadline_ms: 120_000,
            gates: Gates::default(),
        }
    }

    /// Whether it can be meant.
    pub fn check(&self) -> Result<(), BadPlan> {
        if self.stages.is_empty() || self.stages.len() > STAGES_MAX {
            return Err(BadPlan::Stages(self.stages.len()));
        }
        if self.stages.last() != Some(&Stage::Percent(100)) {
            return Err(BadPlan::Unfinished);
        }
        let mut share = 0;
        for (number, stage) in self.stages.iter().enumerate().map(|(at, s)| (at + 1, s)) {
            match stage {
                Stage::Percent(percent) if !(1..=100).contains(percent) => {
                    return Err(BadPlan::Percent(number));
                }
                Stage::Percent(percent) if *percent <= share => {
                    return Err(BadPlan::Shrinking(number));
                }
                Stage::Percent(percent) => share = *percent,
                Stage::Edges(names) if !(1..=NAMED_MAX).contains(&names.len()) => {
                    return Err(BadPlan::Named(number));
                }
                Stage::Labels(labels) if !(1..=NAMED_MAX).contains(&labels.len()) => {
                    return Err(BadPlan::Named(number));
                }
                Stage::Edges(_) | Stage::Labels(_) => {}
            }
        }
        let most = TIME_MAX.as_millis() as u64;
        if self.soak_ms > most {
            return Err(BadPlan::Time("soak"));
        }
        if !(1..=most).contains(&self.deadline_ms) {
            return Err(BadPlan::Time("deadline"));
        }
        let Gates {
            errors_ppm_max,
            hits_ppm_min,
            ..
        } = self.gates;
        for (name, ratio) in [("5xx", errors_ppm_max), ("hit ratio", hits_ppm_min)] {
            if ratio.is_some_and(|ratio| ratio > MILLION) {
                return Err(BadPlan::Ratio(name));
            }
        }
        Ok(())
    }

    /// Whether an edge runs the candidate in this stage (from 0) or before it. A pure function of its name and labels.
    pub fn covers(&self, stage: u32, edge: &str, labels: &BTreeMap<String, String>) -> bool {
        let so_far = self.stages.iter().take(stage as usize + 1);
        so_far.into_iter().any(|stage| stage.holds(edge, labels))
    }
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            errors_ppm_max: Some(MILLION / 100),
            hits_ppm_min: None,
            p99_ms_max: None,
            requests_min: 100,
        }
    }
}

impl Stage {
    fn holds(&self, edge: &str, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Edges(names) => names.iter().any(|name| name == edge),
            Self::Labels(wanted) => wanted
                .iter()
                .all(|(name, value)| labels.get(name) == Some(value)),
            Self::Percent(percent) => place_in_a_hundred(edge) < *percent,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edges(names) => f.write_str(&names.join("+")),
            Self::Labels(labels) => {
                let pairs: Vec<_> = labels
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                f.write_str(&pairs.join("+"))
            }
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl RolloutEnd {
    /// Its stable name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Promoted => "promoted",
            Self::Aborted => "aborted",
            Self::Returned(_) => "returned",
            Self::Superseded(_) => "superseded",
        }
    }

    /// Whether the fleet keeps the revision.
    pub fn keeps(&self) -> bool {
        matches!(self, Self::Completed | Self::Promoted)
    }
}

impl Gate {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Errors5xx => "errors_5xx",
            Self::HitRatio => "hit_ratio",
            Self::P99 => "p99",
            Self::Build => "build",
            Self::Digest => "digest",
        }
    }
}

impl GateFailure {
    /// A failure whose words are bounded.
    pub fn new(gate: Gate, edge: &str, mut figure: String, limit: String) -> Self {
        let cut = (0..=FIGURE_BYTES_MAX.min(figure.len()))
            .rev()
            .find(|&at| figure.is_char_boundary(at));
        figure.truncate(cut.unwrap_or(0));
        Self {
            gate,
            edge: edge.to_owned(),
            figure,
            limit,
        }
    }
}

impl fmt::Display for GateFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            gate,
            edge,
            figure,
            limit,
        } = self;
        write!(
            f,
            "gate {} on edge {edge}: {figure}, {limit}",
            gate.as_str()
        )
    }
}

/// Where a name falls, 0 to 99: alike on every replica and in every version.
fn place_in_a_hundred(edge: &str) -> u8 {
    let digest = Digest::of_parts([b"rollout".as_slice(), edge.as_bytes()]);
    let number = digest
        .0
        .iter()
        .take(8)
        .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    (number % 100) as u8
}

#[cfg(test)]
mod tests;
