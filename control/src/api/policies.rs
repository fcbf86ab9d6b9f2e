//! `/v1/policies`.

use super::{
    Api, ApiError, Kind,
    extract::{Path, Query, Write, revision},
};
use crate::{
    audit::Note,
    identity::Caller,
    verbs::{Submission, Submitted},
};
use axum::{Json, extract::State, http::StatusCode};
use latencify_conf::{
    api::{
        Policies, PoliciesCompared, PolicyAccepted, PolicyDetail, PolicyRevert, PolicyStatus,
        PolicySubmission, Problem,
    },
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
    caller: Caller,
    note: Note,
    Write { body, key }: Write<PolicySubmission>,
) -> Result<(StatusCode, Json<PolicyAccepted>), ApiError> {
    let PolicySubmission {
        files,
        message,
        base,
        dry_run,
        rollout: plan,
    } = body;
    let base = api.control.may_submit(&caller, &files, base).await?;
    let submission = Submission {
        files,
        message,
        base,
        dry_run,
        plan,
    };
    let submitted = api
        .control
        .submit_policy(caller.name(), key, submission)
        .await?;
    let status = if dry_run {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    note.before(&serde_json::json!({"base": base}));
    note.after(&submitted_in_short(&submitted));
    Ok((status, Json(accepted(submitted))))
}

fn submitted_in_short(submitted: &Submitted) -> serde_json::Value {
    serde_json::json!({
        "revision": submitted.revision, "epoch": submitted.epoch, "digest": submitted.digest.to_string(),
    })
}

fn accepted(submitted: Submitted) -> PolicyAccepted {
    let Submitted {
        revision,
        epoch,
        digest,
        diff,
    } = submitted;
    PolicyAccepted {
        revision,
        epoch,
        digest: digest.to_string(),
        diff,
    }
}

/// Go back to an earlier revision
///
/// Its files become a new revision, whose message says so.
#[utoipa::path(
    post, path = "/v1/policies/{revision}/revert", tag = "policies", request_body = PolicyRevert,
    params(
        ("revision" = String, Path, description = "The number of an earlier revision"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat safe"),
    ),
    responses(
        (status = 201, description = "It is the head", body = PolicyAccepted),
        (status = 404, description = "There is no such revision", body = Problem),
        (status = 409, description = "Another revision is the head than `base`", body = Problem),
        (status = 422, description = "This version can't obey it any more", body = Problem),
        (status = 503, description = "The log is out of reach; repeat with the same key", body = Problem),
    )
)]
pub async fn revert(
    State(api): State<Api>,
    Path(text): Path<String>,
    caller: Caller,
    note: Note,
    Write { body, key }: Write<PolicyRevert>,
) -> Result<(StatusCode, Json<PolicyAccepted>), ApiError> {
    let Some(earlier) = revision(&text)? else {
        let why = "name an earlier revision by its number: the head is what runs now";
        return Err(ApiError::new(Kind::BadRequest, why));
    };
    caller.everywhere("a revert puts all sites back")?;
    let submitted = api
        .control
        .revert_policy(caller.name(), key, earlier, body)
        .await?;
    note.after(&submitted_in_short(&submitted));
    Ok((StatusCode::CREATED, Json(accepted(submitted))))
}

/// Compare two revisions
///
/// What differs as they are obeyed: routes, keys, limits; not lines of text. Secrets are never shown.
#[utoipa::path(
    get, path = "/v1/policies/{a}/diff/{b}", tag = "policies",
    params(
        ("a" = String, Path, description = "From: a number or `head`"),
        ("b" = String, Path, description = "To: a number or `head`"),
    ),
    responses(
        (status = 200, body = PoliciesCompared, description = "What differs"),
        (status = 404, body = Problem, description = "There is no such revision"),
        (status = 503, body = Problem, description = "One can't be read by this version of control"),
    )
)]
pub async fn compare(
    State(api): State<Api>,
    Path((a, b)): Path<(String, String)>,
) -> Result<Json<PoliciesCompared>, ApiError> {
    let compared = api
        .control
        .compare_policies(revision(&a)?, revision(&b)?)
        .await?;
    Ok(Json(compared))
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
