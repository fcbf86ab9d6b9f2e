//! `latencify rollout …`, and following one from `policy apply --wait`.

use super::count;
use crate::{
    args::{RolloutArgs, RolloutCommandArgs, RolloutVerb},
    failure::Failure,
    output::{Output, Progress, printable, to_the_second},
    server::{Patience, Server},
};
use latencify_conf::{
    api::{RolloutAction, RolloutCommand, RolloutStatus},
    change::{Plan, Revision, RolloutEnd, Stage},
};
use std::{fs, path::Path, time::Duration};
use tokio::time::Instant;

/// Between two questions of how it stands.
const POLL_PAUSE: Duration = Duration::from_millis(300);
/// The most bytes of a plan's file.
const PLAN_BYTES_MAX: u64 = 1024 * 1024;

/// Runs a verb.
pub async fn run(verb: RolloutVerb, server: &Server, output: &Output) -> Result<(), Failure> {
    let (action, args) = match verb {
        RolloutVerb::Status { revision } => {
            let status = status(server, revision).await?;
            return output.answer(&status, |status| in_words(status, output));
        }
        RolloutVerb::Pause(args) => (RolloutAction::Pause, args),
        RolloutVerb::Resume(args) => (RolloutAction::Resume, args),
        RolloutVerb::Abort(args) => (RolloutAction::Abort, args),
        RolloutVerb::Promote(args) => (RolloutAction::Promote, args),
    };
    let status = command(action, &args, server).await?;
    output.answer(&status, |status| in_words(status, output))
}

async fn status(server: &Server, revision: Option<u64>) -> Result<RolloutStatus, Failure> {
    let which = revision.map_or_else(|| "newest".to_owned(), |revision| revision.to_string());
    server.get(&format!("v1/policies/{which}/rollout")).await
}

/// What is said holds for what is seen: the step goes along.
async fn command(
    action: RolloutAction,
    args: &RolloutCommandArgs,
    server: &Server,
) -> Result<RolloutStatus, Failure> {
    let seen = status(server, args.revision).await?;
    if let Some(end) = &seen.ended {
        return Err(Failure::failed(format!(
            "the rollout of revision {} is over: {}",
            seen.revision,
            end_in_words(end)
        )));
    }
    let command = RolloutCommand {
        action,
        step: Some(args.step.unwrap_or(seen.step)),
    };
    let path = format!("v1/policies/{}/rollout", seen.revision);
    let key = args.idempotency_key.clone();
    server.post(&path, key, &command, Patience::brief()).await
}

/// The plan that was typed or named; none: all edges at once.
pub fn plan(args: &RolloutArgs) -> Result<Option<Plan>, Failure> {
    let plan = match &args.plan {
        Some(file) => Some(read_plan(file)?),
        None => args.typed(),
    };
    if let Some(Err(bad)) = plan.as_ref().map(Plan::check) {
        return Err(Failure::usage(format!("the rollout can't be meant: {bad}")));
    }
    Ok(plan)
}

fn read_plan(file: &Path) -> Result<Plan, Failure> {
    let size = fs::metadata(file).map_err(|error| Failure::file("read", file, &error))?;
    if size.len() > PLAN_BYTES_MAX {
        return Err(Failure::failed(format!(
            "{} is no plan: it is larger than 1 MiB",
            file.display()
        )));
    }
    let text = fs::read_to_string(file).map_err(|error| Failure::file("read", file, &error))?;
    serde_saphyr::from_str(&text)
        .map_err(|error| Failure::failed(format!("{} is no plan: {error}", file.display())))
}

/// The longest that a plan may take.
pub fn longest(plan: &Plan) -> Duration {
    let stage = Duration::from_millis(plan.soak_ms.saturating_add(plan.deadline_ms));
    stage.saturating_mul(plan.stages.len() as u32) + Duration::from_secs(30)
}

/// Follows a rollout to its end, or until the time is over; fails unless the fleet keeps the revision.
pub async fn follow(
    revision: Revision,
    deadline: Instant,
    server: &Server,
    output: &Output,
) -> Result<(), Failure> {
    let path = format!("v1/policies/{revision}/rollout");
    let progress = Progress::new(1);
    let last = loop {
        let patience = Patience::of_a_known_server(deadline);
        let now: RolloutStatus = server.get_within(&path, patience).await?;
        progress.steps(now.plan.stages.len() as u64);
        progress.at(
            now.stage.into(),
            format!("{}: {}", stage(&now), now.waits_for),
        );
        if now.ended.is_some() || Instant::now() + POLL_PAUSE >= deadline {
            break now;
        }
        tokio::time::sleep(POLL_PAUSE).await;
    };
    drop(progress);
    output.answer(&last, |status| in_words(status, output))?;
    let later = format!("later: latencify rollout status {revision}");
    match &last.ended {
        Some(end) if end.keeps() => Ok(()),
        Some(end) => Err(Failure::failed(format!(
            "revision {revision} was rolled out and is not kept: {}",
            end_in_words(end)
        ))),
        None => Err(Failure::failed(format!(
            "the rollout of revision {revision} is still under way: {}",
            last.waits_for
        ))
        .with_help(later)),
    }
}

fn stage(status: &RolloutStatus) -> String {
    let stages = &status.plan.stages;
    let here = stages.get(status.stage as usize).map(Stage::to_string);
    format!(
        "stage {} of {} ({})",
        status.stage + 1,
        stages.len(),
        here.unwrap_or_default()
    )
}

fn in_words(status: &RolloutStatus, output: &Output) -> String {
    let mut table = output.table(&["edge", "state", "runs", "requests", "5xx", "hits", "p99"]);
    for edge in &status.edges {
        let ratio = |part: u64, whole: u64| match whole {
            0 => "-".to_owned(),
            whole => format!("{:.1}%", part as f64 * 100.0 / whole as f64),
        };
        let runs = match (&edge.failed, edge.running) {
            (Some(reason), _) => format!("can't build it: {reason}"),
            (None, Some(running)) => running.to_string(),
            (None, None) => "none".to_owned(),
        };
        table.row([
            edge.edge.clone(),
            if edge.connected {
                "connected"
            } else {
                "disconnected"
            }
            .to_owned(),
            runs,
            edge.requests.to_string(),
            ratio(edge.errors_5xx, edge.requests),
            ratio(edge.hits, edge.lookups),
            edge.p99_ms
                .map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms")),
        ]);
    }
    let stages: Vec<_> = status.plan.stages.iter().map(Stage::to_string).collect();
    let stands = match &status.ended {
        Some(end) => format!("it is over: {}", end_in_words(end)),
        None => format!("{}, {}", stage(status), status.waits_for),
    };
    let stable = status.stable.map_or_else(
        || "no policy".to_owned(),
        |stable| format!("revision {stable}"),
    );
    let paused = if status.paused && status.ended.is_none() {
        " (paused)"
    } else {
        ""
    };
    printable(&format!(
        "{table}revision {} over {stable}, {}: {}{paused}\n{stands}\n{} by {} at {}\n",
        status.revision,
        count(status.plan.stages.len(), "stage"),
        stages.join(", "),
        count(status.step as usize, "step"),
        status.by,
        to_the_second(&status.at),
    ))
}

fn end_in_words(end: &RolloutEnd) -> String {
    match end {
        RolloutEnd::Completed => "every edge runs it".to_owned(),
        RolloutEnd::Promoted => "promoted: every edge runs it".to_owned(),
        RolloutEnd::Aborted => "aborted: every edge runs the revision before it".to_owned(),
        RolloutEnd::Returned(failure) => {
            format!(
                "returned to the revision before it: {}",
                printable(&failure.to_string())
            )
        }
        RolloutEnd::Superseded(by) => format!("revision {by} took its place"),
    }
}
