//! `latencify purge …`

use super::count;
use crate::{
    args::PurgeVerb,
    failure::Failure,
    output::{Output, Progress},
    server::{Patience, Server},
};
use latencify_conf::{
    api::{EdgeReceipt, PurgeAccepted, PurgeReceipt, PurgeRequest, ReceiptState, ReceiptWhy},
    change::{Mode, PURGE_TARGETS_MAX},
};
use std::time::Duration;
use tokio::time::Instant;

/// So long the server is asked to hold an answer; the next question follows at once.
const LONG_POLL_MAX: Duration = Duration::from_secs(5);
/// The least time between two questions, should the server not hold them.
const POLL_PAUSE: Duration = Duration::from_millis(50);

/// Runs a verb.
pub async fn run(verb: PurgeVerb, server: &Server, output: &Output) -> Result<(), Failure> {
    let (targets, options) = verb.into_parts();
    if targets.len() > PURGE_TARGETS_MAX {
        return Err(Failure::usage(format!(
            "{} targets are more than {PURGE_TARGETS_MAX} at once",
            targets.len()
        ))
        .with_help("purge a prefix, a tag or a site instead, or run the command several times"));
    }
    for target in &targets {
        target.check().map_err(Failure::usage)?;
    }
    let request = PurgeRequest {
        targets,
        mode: options.mode(),
    };
    let deadline = Instant::now() + options.timeout;
    let patience = if options.wait {
        Patience::until(deadline)
    } else {
        Patience::brief()
    };
    let key = options.idempotency_key.clone();
    let accepted: PurgeAccepted = server.post("v1/purges", key, &request, patience).await?;
    if !options.wait {
        return output.answer(&accepted, |accepted| {
            let repeat = if accepted.repeat {
                " (it was there before)"
            } else {
                ""
            };
            format!("purge {} at epoch {}{repeat}", accepted.id, accepted.epoch)
        });
    }
    let receipt = wait(&accepted, deadline, server).await?;
    output.answer(&receipt, |receipt| table(receipt, output))?;
    if receipt.complete {
        Ok(())
    } else {
        Err(incomplete(&receipt, options.timeout))
    }
}

/// Follows the receipt until it is complete or the time is over; what is known then is the answer.
async fn wait(
    accepted: &PurgeAccepted,
    deadline: Instant,
    server: &Server,
) -> Result<PurgeReceipt, Failure> {
    let progress = Progress::new(1);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let hold = left.min(LONG_POLL_MAX).as_millis();
        let path = format!("v1/purges/{}?wait={hold}ms", accepted.id);
        let patience = Patience::of_a_known_server(deadline);
        let receipt: PurgeReceipt =
            server
                .get_within(&path, patience)
                .await
                .map_err(|failure| {
                    failure.and_then(&format!(
                        "the purge is in the log as {} at epoch {}; who obeys it is not known",
                        accepted.id, accepted.epoch
                    ))
                })?;
        if receipt.complete || Instant::now() >= deadline {
            return Ok(receipt);
        }
        let missing = missing(&receipt);
        if let Some(held) = receipt.held_ms.filter(|_| missing.is_empty()) {
            progress.at(0, format!("waiting {} s: {HELD}", held / 1_000 + 1));
            tokio::time::sleep(POLL_PAUSE).await;
            continue;
        }
        progress.steps(receipt.edges.len() as u64);
        progress.at(
            (receipt.edges.len() - missing.len()) as u64,
            format!("waiting for {}", missing.join(", ")),
        );
        tokio::time::sleep(POLL_PAUSE).await;
    }
}

fn missing(receipt: &PurgeReceipt) -> Vec<String> {
    let missing = receipt
        .edges
        .iter()
        .filter(|edge| edge.state == ReceiptState::Missing);
    missing
        .map(|edge| match edge.why.map(in_words) {
            Some(why) => format!("{} ({}: {why})", edge.edge, edge.process),
            None => format!("{} ({})", edge.edge, edge.process),
        })
        .collect()
}

fn incomplete(receipt: &PurgeReceipt, waited: Duration) -> Failure {
    let missing = missing(receipt);
    if let Some(held) = receipt.held_ms.filter(|_| missing.is_empty()) {
        return Failure::failed(format!("after {waited:?}, the receipt is not complete: {HELD}"))
            .with_help(format!(
                "the purge is in the log at epoch {}, and every edge that control knows obeys it, is fenced or has left: wait for \
                 {} s more. An edge that control does not know, is cut off and runs with --when-isolated serve is not waited for",
                receipt.epoch,
                held / 1_000 + 1
            ));
    }
    Failure::failed(format!(
        "after {waited:?}, {} not known to obey the purge: {}",
        are(missing.len()),
        missing.join(", ")
    ))
    .with_help(format!(
        "the purge is in the log at epoch {}: an edge that is missing obeys it as soon as it is connected again, and may \
         serve what it stored until then, at most as long as its lease, unless it runs with --when-isolated serve. Who is \
         connected: latencify edge list. An edge that is gone for good: latencify edge remove NAME",
        receipt.epoch
    ))
}

fn are(edges: usize) -> String {
    format!(
        "{} {}",
        count(edges, "edge"),
        if edges == 1 { "is" } else { "are" }
    )
}

fn table(receipt: &PurgeReceipt, output: &Output) -> String {
    let mode = match receipt.mode {
        Mode::Hard => "hard",
        Mode::Soft => "soft",
    };
    let obeying = receipt.edges.len() - missing(receipt).len();
    let mut table = output.table(&["edge", "state", "latency", "why"]);
    for edge in &receipt.edges {
        table.row([
            edge.edge.clone(),
            state(edge).to_owned(),
            latency(edge),
            why(edge),
        ]);
    }
    let summary = format!(
        "{mode} purge {} at epoch {}: {obeying} of {}",
        receipt.id,
        receipt.epoch,
        count(receipt.edges.len(), "edge")
    );
    if receipt.edges.is_empty() {
        return format!("{summary}; no edge had joined");
    }
    let fenced = |edge: &EdgeReceipt| edge.state == ReceiptState::Fenced;
    let meaning = if receipt.edges.iter().any(fenced) {
        FENCED
    } else {
        ""
    };
    format!("{table}{summary}{meaning}")
}

/// Why a receipt is held back although nobody is missing.
const HELD: &str = "control was started a moment ago on data that may be an older copy, and edges that it does not know may hold a lease";

/// What it means that an edge is fenced.
const FENCED: &str = "\nfenced: cut off for longer than its lease. Such an edge uses nothing that it stored before the purge, \
                      and will not before it obeys the purge";

fn why(edge: &EdgeReceipt) -> String {
    match (edge.why.map(in_words), &edge.since) {
        (None, _) => "-".to_owned(),
        (Some(why), None) => why.to_owned(),
        (Some(why), Some(since)) => format!("{why} since {since}"),
    }
}

fn in_words(why: ReceiptWhy) -> &'static str {
    match why {
        ReceiptWhy::LeaseOver => "cut off, its lease is over",
        ReceiptWhy::CatchingUp => "back, and isolated until it has caught up",
        ReceiptWhy::UnderWay => "connected, its ack is under way",
        ReceiptWhy::LeaseRuns => "cut off, its lease still runs",
        ReceiptWhy::Serves => "cut off, and serves what it stored all the same",
        ReceiptWhy::NeverHeard => "this replica has never heard of it",
        ReceiptWhy::NotFolded => "this replica has not folded the purge yet",
    }
}

fn state(edge: &EdgeReceipt) -> &'static str {
    match edge.state {
        ReceiptState::Acked => "acked",
        ReceiptState::Fenced => "fenced",
        ReceiptState::Missing => "missing",
        ReceiptState::Left => "left",
    }
}

fn latency(edge: &EdgeReceipt) -> String {
    edge.latency_us.map_or_else(
        || "-".to_owned(),
        |us| format!("{:.1} ms", us as f64 / 1_000.0),
    )
}
