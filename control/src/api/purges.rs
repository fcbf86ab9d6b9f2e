//! `/v1/purges`.

use super::{
    Api, ApiError, Kind,
    extract::{Path, Query, Write, duration},
};
use crate::{audit::Note, identity::Caller};
use axum::{Json, extract::State, http::StatusCode};
use latencify_conf::api::{Problem, PurgeAccepted, PurgeReceipt, PurgeRequest};
use serde::Deserialize;
use std::time::Duration;
use utoipa::IntoParams;
use uuid::Uuid;

/// Whether to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wait {
    /// Answer when every edge has acked, or after this time at the latest: `5s`, at most `60s`.
    wait: Option<String>,
}

/// Purge
///
/// Answered when it is in the log; the receipt tells which edges obey it.
#[utoipa::path(
    post, path = "/v1/purges", tag = "purges", request_body = PurgeRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat safe")),
    responses(
        (status = 202, description = "It is in the log", body = PurgeAccepted),
        (status = 422, description = "A host or site is not known", body = Problem),
        (status = 503, description = "The log is out of reach; repeat with the same key", body = Problem),
    )
)]
pub async fn purge(
    State(api): State<Api>,
    caller: Caller,
    note: Note,
    Write { body, key }: Write<PurgeRequest>,
) -> Result<(StatusCode, Json<PurgeAccepted>), ApiError> {
    for (index, target) in body.targets.iter().enumerate() {
        target.check().map_err(|why| {
            ApiError::new(Kind::Unprocessable, format!("targets[{index}]: {why}"))
        })?;
    }
    let purged = api
        .control
        .purge(&caller, key, &body.targets, body.mode)
        .await?;
    let id = purged.id.to_string();
    note.after(&serde_json::json!({
        "id": id, "epoch": purged.epoch, "mode": body.mode, "targets": body.targets,
    }));
    let status_url = format!("/v1/purges/{id}");
    Ok((
        StatusCode::ACCEPTED,
        Json(PurgeAccepted {
            id,
            epoch: purged.epoch,
            status_url,
            repeat: purged.repeat,
        }),
    ))
}

/// Show a purge's receipt
///
/// Every edge process of the roster at the purge's epoch, and how it stands to it.
#[utoipa::path(
    get, path = "/v1/purges/{id}", tag = "purges",
    params(("id" = String, Path, description = "As the purge was answered"), Wait),
    responses(
        (status = 200, body = PurgeReceipt, description = "The receipt, complete or not"),
        (status = 404, body = Problem, description = "There is no such purge"),
    )
)]
pub async fn receipt(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(query): Query<Wait>,
) -> Result<Json<PurgeReceipt>, ApiError> {
    let wait = query.wait.as_deref().map_or(Ok(Duration::ZERO), duration)?;
    let id = Uuid::parse_str(&id).map_err(|_| {
        ApiError::new(
            Kind::NotFound,
            format!("there is no purge {id:?}: ids are UUIDs"),
        )
    })?;
    Ok(Json(api.control.receipt(id, wait).await?))
}
