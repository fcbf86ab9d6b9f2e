//! `latencify audit …`

use crate::{
    args::{AuditFilter, AuditVerb, Outcome},
    failure::Failure,
    output::{Output, to_the_second},
    server::Server,
};
use latencify_conf::api::{AuditRecords, AuditVerified};
use url::form_urlencoded::Serializer;

/// Runs a verb.
pub async fn run(verb: AuditVerb, server: &Server, output: &Output) -> Result<(), Failure> {
    match verb {
        AuditVerb::List(filter) => {
            let records: AuditRecords = server.get(&format!("v1/audit?{}", query(&filter))).await?;
            output.answer(&records, |records| table(records, output))
        }
        AuditVerb::Verify { expect } => verify(expect.as_deref(), server, output).await,
    }
}

fn query(filter: &AuditFilter) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("limit", &filter.limit.to_string());
    let before = filter.before.map(|before| before.to_string());
    let parts = [
        ("by", filter.by.as_deref()),
        ("action", filter.action.as_deref()),
        ("outcome", filter.outcome.map(Outcome::as_str)),
        ("since", filter.since.as_deref()),
        ("before", before.as_deref()),
    ];
    for (name, value) in parts {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query.finish()
}

async fn verify(expect: Option<&str>, server: &Server, output: &Output) -> Result<(), Failure> {
    let expected = expect.map(expected).transpose()?;
    let path = match expected {
        Some((number, _)) => format!("v1/audit/verify?at={number}"),
        None => "v1/audit/verify".to_owned(),
    };
    let verified: AuditVerified = server.get(&path).await?;
    let is_whole = verified.broken_at.is_none();
    let is_same =
        expected.is_none_or(|(number, head)| number == 0 || verified.at.as_deref() == Some(head));
    output.answer(&verified, |verified| match verified.broken_at {
        Some(at) => format!("broken at record {at}: it was altered, or is missing"),
        None => format!(
            "{} records are as they were written; keep the head elsewhere: {}:{}",
            verified.records, verified.records, verified.head
        ),
    })?;
    if !is_same {
        output.note("the chain is not the one that was expected: it was cut off, or written anew");
    }
    if is_whole && is_same {
        Ok(())
    } else {
        Err(Failure::Answered)
    }
}

fn expected(text: &str) -> Result<(u64, &str), Failure> {
    text.split_once(':')
        .and_then(|(number, head)| Some((number.parse().ok()?, head)))
        .ok_or_else(|| {
            Failure::usage(format!(
                "{text:?} is no NUMBER:HEAD, as audit verify tells it"
            ))
        })
}

fn table(records: &AuditRecords, output: &Output) -> String {
    if records.records.is_empty() {
        return "there is no such record".to_owned();
    }
    let mut table = output.table(&["number", "at", "by", "from", "action", "target", "outcome"]);
    for record in &records.records {
        let why = record
            .why
            .as_deref()
            .map_or_else(String::new, |why| format!(": {why}"));
        table.row([
            record.seq.to_string(),
            to_the_second(&record.at),
            record.by.clone(),
            record.from.clone().unwrap_or_default(),
            record.action.clone(),
            record.target.clone(),
            format!("{}{why}", record.outcome.as_str()),
        ]);
    }
    table.to_string()
}
