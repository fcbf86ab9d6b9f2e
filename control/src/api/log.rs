//! `/v1/log`.

use super::{Api, ApiError, extract::Query};
use crate::store::{StoreError, entity::entries, state};
use axum::{Json, extract::State};
use latencify_conf::{
    api::{LogEntries, LogEntry, LogOutcome},
    change::Epoch,
};
use serde::Deserialize;
use utoipa::IntoParams;

/// The most entries of one answer.
const LIMIT_MAX: u64 = 1000;

/// Which part of the log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Part {
    /// Entries after this epoch. Default 0: from the beginning.
    after: Option<u64>,
    /// How many, 1 to 1000. Default 100.
    limit: Option<u64>,
}

/// Read the change log
///
/// Folded entries in order, with what the fold made of each.
#[utoipa::path(
    get, path = "/v1/log", tag = "log", params(Part),
    responses((status = 200, body = LogEntries, description = "In order"))
)]
pub async fn entries(
    State(api): State<Api>,
    Query(part): Query<Part>,
) -> Result<Json<LogEntries>, ApiError> {
    let fleet = &api.control.fleet;
    let state = fleet.fold.state();
    let limit = part.limit.unwrap_or(100).clamp(1, LIMIT_MAX);
    let rows = fleet
        .store
        .entries_after(Epoch(part.after.unwrap_or(0)), limit)
        .await
        .map_err(refused)?;
    let entries = rows
        .into_iter()
        .map(entry)
        .collect::<Result<_, _>>()
        .map_err(refused)?;
    Ok(Json(LogEntries {
        log: state.position.log.to_string(),
        entries,
        applied: state.applied,
    }))
}

fn entry(row: entries::Model) -> Result<LogEntry, StoreError> {
    let damaged = |why: String| StoreError::Damaged {
        what: "an entry",
        why,
    };
    let outcome = match row.outcome.as_str() {
        "accepted" => LogOutcome::Accepted,
        "repeat" => LogOutcome::Repeat,
        "conflict" => LogOutcome::Conflict,
        other => return Err(damaged(format!("outcome {other:?}"))),
    };
    Ok(LogEntry {
        epoch: Epoch(row.epoch as u64),
        outcome,
        hash: row
            .hash
            .as_deref()
            .map(state::hash)
            .transpose()?
            .map(|hash| hash.to_string()),
        entry: serde_json::from_slice(&row.bytes).map_err(|error| damaged(error.to_string()))?,
    })
}

fn refused(error: StoreError) -> ApiError {
    crate::verbs::Refused::from(error).into()
}
