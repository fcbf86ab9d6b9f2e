//! `latencify rollout …`, and what `policy apply` says of one.

use clap::{Args, Subcommand};
use latencify_conf::change::{Gates, MILLION, Plan, Stage};
use std::{path::PathBuf, time::Duration};

/// The verbs of rollouts.
#[derive(Debug, Subcommand)]
pub enum RolloutVerb {
    /// How a rollout stands, or ended: its stage, what it waits for, what its edges have answered.
    Status {
        /// The number of the revision that is rolled out. Default: the newest that was.
        revision: Option<u64>,
    },
    /// Nothing moves on until `resume`. Gates still send it back.
    Pause(Command),
    /// It goes on; the stage's soak begins anew.
    Resume(Command),
    /// Sends every edge back to the revision before it.
    Abort(Command),
    /// Sends it to every edge, at once.
    Promote(Command),
}

/// An operator's word.
#[derive(Debug, Args)]
pub struct Command {
    /// The number of the revision that is rolled out. Default: the one under way.
    pub revision: Option<u64>,
    /// The step that you saw (`rollout status` shows it): if it has taken another by now, nothing changes. Default: the one that it has
    /// taken when the command looks.
    #[arg(long, value_name = "STEP")]
    pub step: Option<u32>,
    /// Makes repeating the command safe; by default each run makes its own.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}

/// How a policy is to reach the fleet.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rollout in stages")]
pub struct RolloutArgs {
    /// Stages: who runs it, more and more. `canary=EDGE` or `canary=A+B` names edges, `label:tier=test` those that say so of
    /// themselves, `10%` a share by a stable hash of their names (of few edges it may be none: that stage is passed over).
    /// The last must be 100%.
    #[arg(long, value_name = "STAGE,…", value_delimiter = ',', value_parser = stage, conflicts_with_all = ["plan", "dry_run"])]
    pub rollout: Vec<Stage>,
    /// A file with the whole plan, YAML or JSON, as `rollout status -o yaml` shows it under `plan`.
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub plan: Option<PathBuf>,
    /// All edges of a stage must have run it for so long before the next stage begins.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = super::duration, requires = "rollout")]
    pub soak: Duration,
    /// Edges may take so long to run it; then it goes back.
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = super::duration, requires = "rollout")]
    pub deadline: Duration,
    /// It goes back if more than this share of an edge's answers is 5xx; `off`: whatever they are.
    #[arg(long, value_name = "SHARE", default_value = "1%", value_parser = limit, requires = "rollout")]
    pub max_5xx: Limit,
    /// It goes back if, when a soak is over, less than this share of an edge's look-ups was a hit.
    #[arg(long, value_name = "SHARE", value_parser = share, requires = "rollout")]
    pub min_hits: Option<u32>,
    /// It goes back if, when a soak is over, 99 of 100 first bytes of an edge came later than this.
    #[arg(long, value_name = "DURATION", value_parser = super::duration, requires = "rollout")]
    pub max_p99: Option<Duration>,
    /// With fewer requests of an edge in a stage, these three say nothing yet.
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 100,
        requires = "rollout"
    )]
    pub min_requests: u64,
}

/// A share, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(Option<u32>);

impl RolloutArgs {
    /// The plan that was typed stage by stage; none: there are no stages.
    pub fn typed(&self) -> Option<Plan> {
        let millis = |duration: Duration| duration.as_millis() as u64;
        (!self.rollout.is_empty()).then(|| Plan {
            stages: self.rollout.clone(),
            soak_ms: millis(self.soak),
            deadline_ms: millis(self.deadline),
            gates: Gates {
                errors_ppm_max: self.max_5xx.0,
                hits_ppm_min: self.min_hits,
                p99_ms_max: self
                    .max_p99
                    .map(|max| millis(max).min(u32::MAX.into()) as u32),
                requests_min: self.min_requests,
            },
        })
    }
}

fn stage(text: &str) -> Result<Stage, String> {
    let bad = || {
        format!("{text:?} is no stage: write canary=EDGE, label:NAME=VALUE, or a share like 10%")
    };
    if let Some(names) = text.strip_prefix("canary=") {
        let names: Vec<_> = names.split('+').map(str::to_owned).collect();
        return if names.iter().any(String::is_empty) {
            Err(bad())
        } else {
            Ok(Stage::Edges(names))
        };
    }
    if let Some(pairs) = text.strip_prefix("label:") {
        let pairs = pairs.split('+').map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(bad)?;
            Ok((name.to_owned(), value.to_owned()))
        });
        return Ok(Stage::Labels(pairs.collect::<Result<_, String>>()?));
    }
    let percent = text.strip_suffix('%').and_then(|text| text.parse().ok());
    percent
        .filter(|percent| (1..=100).contains(percent))
        .map(Stage::Percent)
        .ok_or_else(bad)
}

fn limit(text: &str) -> Result<Limit, String> {
    match text {
        "off" => Ok(Limit(None)),
        text => share(text).map(|share| Limit(Some(share))),
    }
}

/// `1%`, `0.5%`: parts per million.
fn share(text: &str) -> Result<u32, String> {
    let percent: Option<f64> = text.strip_suffix('%').and_then(|text| text.parse().ok());
    percent
        .filter(|percent| (0.0..=100.0).contains(percent))
        .map(|percent| (percent / 100.0 * f64::from(MILLION)).round() as u32)
        .ok_or_else(|| format!("{text:?} is no share: write it like 1% or 0.5%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_and_shares_are_read_or_refused() {
        let edges =
            |names: &[&str]| Stage::Edges(names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(stage("canary=paris"), Ok(edges(&["paris"])));
        assert_eq!(stage("canary=paris+tokyo"), Ok(edges(&["paris", "tokyo"])));
        assert_eq!(stage("10%"), Ok(Stage::Percent(10)));
        let label = [("tier".to_owned(), "test".to_owned())];
        assert_eq!(stage("label:tier=test"), Ok(Stage::Labels(label.into())));
        for bad in [
            "",
            "paris",
            "0%",
            "101%",
            "10",
            "canary=",
            "canary=a+",
            "label:tier",
            "-5%",
        ] {
            assert!(stage(bad).is_err(), "{bad}");
        }
        assert_eq!((share("1%"), share("0.05%")), (Ok(10_000), Ok(500)));
        assert!(share("1").is_err() && share("101%").is_err() && share("NaN%").is_err());
        assert_eq!(limit("off"), Ok(Limit(None)));
    }
}
