//! `/v1/policies`.

use super::{
    Api, ApiError,
    extract::{Path, Query, Write, revision},
};
use crate::verbs::Submission;
use axum::{Json, extract::State, http::StatusCode};
use latencify_conf::{
    api::{Policies, PolicyAccepted, PolicyDetail, PolicyStatus, PolicySubmission, Problem},
    change::Revision,
};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which part of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// Revisions before this one; the newest, if it is left out.
    before: Option<u64>,
    /// How many, 1 to 100. Default 20.
    limit: Option<u64>,
}

/// Submit a policy
///
/// All files of it. It becomes the target of the fleet, unless it has errors or another revision than `base` is the head.
#[utoipa::path(
    post, path = "/v1/policies", tag = "policies", request_body = PolicySubmission,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat safe")),
    responses(
        (status = 201, description = "It is the head", body = PolicyAccepted),
        (status = 200, description = "It would be accepted (dry run)", body = PolicyAccepted),
        (status = 409, description = "Another revision is the head", body = Problem),
        (status = 422, description = "It has errors", body = Problem),
        (status = 503, description = "The log is out of reach; repeat with the same key", body = Problem),
    )
)]
pub async fn submit(
    State(api): State<Api>,
    Write { body, key }: Write<PolicySubmission>,
) -> Result<(StatusCode, Json<PolicyAccepted>), ApiError> {
    let PolicySubmission {
        files,
        message,
        base,
        dry_run,
    } = body;
    let submission = Submission {
        files,
        message,
        base,
        dry_run,
    };
    let submitted = api
        .control
        .submit_policy(super::BY, key, submission)
        .await?;
    let status = if dry_run {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let digest = submitted.digest.to_string();
    Ok((
        status,
        Json(PolicyAccepted {
            revision: submitted.revision,
            epoch: submitted.epoch,
            digest,
        }),
    ))
}

/// List revisions, newest first
#[utoipa::path(
    get, path = "/v1/policies", tag = "policies", params(Page),
    responses((status = 200, body = Policies, description = "Newest first"))
)]
pub async fn list(
    State(api): State<Api>,
    Query(page): Query<Page>,
) -> Result<Json<Policies>, ApiError> {
    let before = page.before.map(Revision);
    Ok(Json(
        api.control
            .list_policies(before, page.limit.unwrap_or(20))
            .await?,
    ))
}

/// Show a revision with its files
#[utoipa::path(
    get, path = "/v1/policies/{revision}", tag = "policies",
    params(("revision" = String, Path, description = "A number or `head`")),
    responses(
        (status = 200, body = PolicyDetail, description = "The revision"),
        (status = 404, body = Problem, description = "There is none"),
    )
)]
pub async fn show(
    State(api): State<Api>,
    Path(text): Path<String>,
) -> Result<Json<PolicyDetail>, ApiError> {
    Ok(Json(api.control.show_policy(revision(&text)?).await?))
}

/// Show which edges run a revision
#[utoipa::path(
    get, path = "/v1/policies/{revision}/status", tag = "policies",
    params(("revision" = String, Path, description = "A number or `head`")),
    responses(
        (status = 200, body = PolicyStatus, description = "Every edge of the roster"),
        (status = 404, body = Problem, description = "There is none"),
    )
)]
pub async fn status(
    State(api): State<Api>,
    Path(text): Path<String>,
) -> Result<Json<PolicyStatus>, ApiError> {
    Ok(Json(api.control.policy_status(revision(&text)?).await?))
}
