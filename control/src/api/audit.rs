//! `/v1/audit`.

use super::{Api, ApiError, Kind, extract::Query};
use crate::{
    audit::LIST_MAX,
    store::{StoreError, audit::Filter},
};
use axum::{Json, extract::State};
use latencify_conf::api::{AuditOutcome, AuditRecords, AuditVerified};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::IntoParams;

/// Which records.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Of this caller: `user:alice`.
    by: Option<String>,
    /// Of this action: a permission, `login`, `refresh`, `authenticate`.
    action: Option<String>,
    /// That ended so.
    outcome: Option<AuditOutcome>,
    /// Not before this time (RFC 3339).
    since: Option<String>,
    /// Before this number.
    before: Option<u64>,
    /// How many, 1 to 1000. Default 100.
    limit: Option<u64>,
}

/// What is to be verified.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct At {
    /// Tell the chain after this record, too.
    at: Option<u64>,
}

/// List who did what, the newest first
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", params(Which),
    responses((status = 200, body = AuditRecords, description = "The newest first"))
)]
pub async fn list(
    State(api): State<Api>,
    Query(which): Query<Which>,
) -> Result<Json<AuditRecords>, ApiError> {
    let since_ms = which.since.as_deref().map(instant).transpose()?;
    let filter = Filter {
        before: which.before.map(|before| before as i64),
        caller: which.by,
        action: which.action,
        outcome: which.outcome.map(|outcome| outcome.as_str().to_owned()),
        since_ms,
        limit: which.limit.unwrap_or(100).clamp(1, LIST_MAX),
    };
    Ok(Json(api.audit.list(filter).await.map_err(refused)?))
}

/// Check that every record is as it was written
#[utoipa::path(
    get, path = "/v1/audit/verify", tag = "audit", params(At),
    responses((status = 200, body = AuditVerified, description = "How far the chain holds"))
)]
pub async fn verify(
    State(api): State<Api>,
    Query(At { at }): Query<At>,
) -> Result<Json<AuditVerified>, ApiError> {
    Ok(Json(api.audit.verify(at).await.map_err(refused)?))
}

fn instant(text: &str) -> Result<i64, ApiError> {
    let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| {
        let why = format!("a time is written 2026-11-23T19:00:00Z, not {text:?}");
        ApiError::new(Kind::BadRequest, why)
    })?;
    Ok((at.unix_timestamp_nanos() / 1_000_000) as i64)
}

fn refused(error: StoreError) -> ApiError {
    crate::verbs::Refused::from(error).into()
}
