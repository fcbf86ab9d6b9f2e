//! `latencify log …`

use crate::{
    args::LogVerb,
    failure::Failure,
    output::{Output, to_the_second},
    server::Server,
};
use latencify_conf::api::{LogEntries, LogEntry, LogOutcome};
use serde_json::Value;

/// The most characters of one entry in the table; `-o json` shows all.
const SUMMARY_CHARS_MAX: usize = 80;

/// Runs a verb.
pub async fn run(verb: LogVerb, server: &Server, output: &Output) -> Result<(), Failure> {
    let LogVerb::List { after, limit } = verb;
    let entries: LogEntries = server
        .get(&format!("v1/log?after={after}&limit={limit}"))
        .await?;
    output.answer(&entries, |entries| table(entries, output))
}

fn table(entries: &LogEntries, output: &Output) -> String {
    let mut table = output.table(&["epoch", "outcome", "at", "by", "what"]);
    for entry in &entries.entries {
        table.row([
            entry.epoch.to_string(),
            outcome(entry).to_owned(),
            to_the_second(&text(entry, "at")),
            text(entry, "by"),
            summary(entry),
        ]);
    }
    format!(
        "{table}log {}, applied up to epoch {}",
        entries.log, entries.applied
    )
}

fn outcome(entry: &LogEntry) -> &'static str {
    match entry.outcome {
        LogOutcome::Accepted => "accepted",
        LogOutcome::Repeat => "repeat",
        LogOutcome::Conflict => "conflict",
    }
}

fn text(entry: &LogEntry, key: &str) -> String {
    entry
        .entry
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// The kind of change and what it says, in one line.
fn summary(entry: &LogEntry) -> String {
    let Some(Value::Object(change)) = entry.entry.get("change") else {
        return String::new();
    };
    let kind = change.get("kind").and_then(Value::as_str).unwrap_or("?");
    let rest: Vec<_> = change
        .iter()
        .filter(|(key, _)| *key != "kind")
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let line = format!("{kind} {}", rest.join(" "));
    if line.chars().count() <= SUMMARY_CHARS_MAX {
        return line;
    }
    line.chars().take(SUMMARY_CHARS_MAX).chain(['…']).collect()
}
