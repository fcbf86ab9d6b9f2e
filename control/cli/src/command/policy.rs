//! `latencify policy …`: what control is asked. What needs no server is in [`policy_local`] and [`explain`].

use super::{count, edge, explain, policy_diff, policy_local, rollout};
use crate::{
    args::{Apply, PolicyVerb, ServerArgs},
    failure::Failure,
    output::{Output, Progress, printable, to_the_second},
    policy_files,
    server::{Patience, Server},
};
use latencify_conf::{
    api::{Policies, PolicyAccepted, PolicyDetail, PolicyStatus, PolicySubmission},
    change::Revision,
};
use std::{fmt::Write as _, time::Duration};
use tokio::time::Instant;

/// How long `--wait` waits, unless it is told.
const WAIT: Duration = Duration::from_secs(30);
/// Between two questions of who runs a revision.
const POLL_PAUSE: Duration = Duration::from_millis(200);

/// Runs a verb.
pub async fn run(verb: PolicyVerb, server: &ServerArgs, output: &Output) -> Result<(), Failure> {
    match verb {
        PolicyVerb::Validate { path } => policy_local::validate(&path, output),
        PolicyVerb::Schema => policy_local::schema(output),
        PolicyVerb::Explain(args) => explain::run(&args, output),
        PolicyVerb::Apply(args) => apply(&args, &Server::new(server)?, output).await,
        PolicyVerb::Diff(args) => policy_diff::diff(&args, &Server::new(server)?, output).await,
        PolicyVerb::Revert(args) => policy_diff::revert(&args, &Server::new(server)?, output).await,
        PolicyVerb::List => output.answer(
            &Server::new(server)?.get::<Policies>("v1/policies").await?,
            |all| list(all, output),
        ),
        PolicyVerb::Show { revision } => {
            let path = format!("v1/policies/{}", revision_segment(&revision)?);
            output.answer(
                &Server::new(server)?.get::<PolicyDetail>(&path).await?,
                show,
            )
        }
        PolicyVerb::Status { revision } => {
            let path = format!("v1/policies/{}/status", revision_segment(&revision)?);
            output.answer(
                &Server::new(server)?.get::<PolicyStatus>(&path).await?,
                |now| status(now, output),
            )
        }
    }
}

/// Control is the judge; but what this program knows to be wrong need not travel.
async fn apply(args: &Apply, server: &Server, output: &Output) -> Result<(), Failure> {
    let plan = rollout::plan(&args.rollout)?;
    let usual = plan.as_ref().map_or(WAIT, rollout::longest);
    let timeout = args.timeout.unwrap_or(usual);
    let deadline = Instant::now() + timeout;
    let in_stages = plan.is_some();
    let files = policy_files::load(&args.path)?;
    policy_local::check(&files)?;
    let submission = PolicySubmission {
        files: files.bundle.files().to_vec(),
        message: args.message.clone(),
        base: args.base.map(Revision),
        dry_run: args.dry_run,
        rollout: plan,
    };
    let patience = if args.wait {
        Patience::until(deadline)
    } else {
        Patience::brief()
    };
    let key = args.idempotency_key.clone();
    let accepted = server.post("v1/policies", key, &submission, patience).await;
    let accepted: PolicyAccepted = accepted.map_err(|failure| match failure {
        // The server's errors speak of the same files, so they get the same places.
        Failure::Refused(problem) if !problem.errors.is_empty() => Failure::PolicyInvalid {
            errors: problem.errors,
            folder: files.folder.clone(),
        },
        other => other,
    })?;
    if !args.wait {
        return output.answer(&accepted, |accepted| in_words(accepted, args.dry_run));
    }
    if in_stages {
        return rollout::follow(accepted.revision, deadline, server, output).await;
    }
    let settled = settle(&accepted, deadline, server).await?;
    output.answer(&settled, |now| status(now, output))?;
    verdict(&settled, timeout)
}

/// Asks who runs the revision until every edge has said so or the time is over.
async fn settle(
    accepted: &PolicyAccepted,
    deadline: Instant,
    server: &Server,
) -> Result<PolicyStatus, Failure> {
    let path = format!("v1/policies/{}/status", accepted.revision);
    let progress = Progress::new(1);
    loop {
        let patience = Patience::of_a_known_server(deadline);
        let now: PolicyStatus = server.get_within(&path, patience).await?;
        if now.pending == 0 || Instant::now() + POLL_PAUSE >= deadline {
            return Ok(now);
        }
        progress.steps(now.edges.len() as u64);
        progress.at(
            (now.running + now.failed) as u64,
            format!("waiting for {}", count(now.pending, "edge")),
        );
        tokio::time::sleep(POLL_PAUSE).await;
    }
}

fn verdict(status: &PolicyStatus, waited: Duration) -> Result<(), Failure> {
    if status.failed > 0 {
        return Err(Failure::failed(format!(
            "{} can't run revision {}",
            count(status.failed, "edge"),
            status.revision
        ))
        .with_help("they serve their last good policy; the reasons are above"));
    }
    if status.pending > 0 {
        let what = format!(
            "after {waited:?}, {} not said to run revision {}",
            have(status.pending),
            status.revision
        );
        return Err(Failure::failed(what).with_help(format!(
            "later: latencify policy status {}",
            status.revision
        )));
    }
    Ok(())
}

fn have(edges: usize) -> String {
    format!(
        "{} {}",
        count(edges, "edge"),
        if edges == 1 { "has" } else { "have" }
    )
}

fn in_words(accepted: &PolicyAccepted, dry_run: bool) -> String {
    if dry_run {
        let diff = accepted.diff.as_ref().map(policy_diff::in_words);
        let diff = diff.unwrap_or_default();
        return format!(
            "{}\nwould be accepted: {}",
            diff.trim_end(),
            accepted.digest
        );
    }
    format!(
        "revision {} at epoch {}: {}",
        accepted.revision, accepted.epoch, accepted.digest
    )
}

fn list(all: &Policies, output: &Output) -> String {
    if all.policies.is_empty() {
        return "no policy yet: latencify policy apply FILE".to_owned();
    }
    let mut table = output.table(&["revision", "at", "by", "sites", "message"]);
    for policy in &all.policies {
        let head = if policy.head { " (head)" } else { "" };
        let revision = format!("{}{head}", policy.revision);
        table.row([
            revision,
            to_the_second(&policy.at),
            policy.by.clone(),
            policy.sites.join(", "),
            policy.message.clone(),
        ]);
    }
    table.to_string()
}

fn show(detail: &PolicyDetail) -> String {
    let mut text = String::new();
    for file in &detail.files {
        // One file is shown as it is, so that it can be written to disk and edited.
        if detail.files.len() > 1 {
            let _ = writeln!(text, "# --- {}", printable(&file.name));
        }
        text.push_str(&printable(&file.text));
    }
    text
}

fn status(status: &PolicyStatus, output: &Output) -> String {
    let mut table = output.table(&["edge", "state", "runs", "reason"]);
    for edge in &status.edges {
        let reason = edge.policy.reason.clone().unwrap_or_default();
        table.row([
            edge.edge.clone(),
            edge::state(edge),
            edge::policy(edge),
            reason,
        ]);
    }
    let table = if status.edges.is_empty() {
        "no edge has joined yet\n".to_owned()
    } else {
        table.to_string()
    };
    format!(
        "{table}revision {}: {} running, {} failed, {} pending; {}",
        status.revision, status.running, status.failed, status.pending, status.digest
    )
}

/// A revision as a segment of a path.
pub fn revision_segment(revision: &str) -> Result<&str, Failure> {
    let fine = revision == "head"
        || (!revision.is_empty() && revision.bytes().all(|byte| byte.is_ascii_digit()));
    if fine {
        Ok(revision)
    } else {
        Err(Failure::usage(format!(
            "{revision:?} is no revision: write a number or head"
        )))
    }
}
