//! `/v1/policies/{revision}/rollout`.

use super::{
    Api, ApiError, Kind,
    extract::{Path, Write},
};
use crate::identity::Caller;
use axum::{Json, extract::State};
use latencify_conf::{
    api::{Problem, RolloutCommand, RolloutStatus},
    change::Revision,
};

/// Show how a revision's rollout stands, or how it ended
#[utoipa::path(
    get, path = "/v1/policies/{revision}/rollout", tag = "policies",
    params(("revision" = String, Path, description = "A number, or `newest`: the newest that was rolled out in stages")),
    responses(
        (status = 200, body = RolloutStatus, description = "How it stands"),
        (status = 404, body = Problem, description = "It was not rolled out in stages"),
    )
)]
pub async fn status(
    State(api): State<Api>,
    Path(text): Path<String>,
) -> Result<Json<RolloutStatus>, ApiError> {
    let revision = match text.as_str() {
        "newest" => None,
        text => Some(number(text)?),
    };
    Ok(Json(api.control.rollout(revision).await?))
}

/// Pause, resume, abort or promote a rollout
///
/// Each is a compare-and-set on the rollout's step.
#[utoipa::path(
    post, path = "/v1/policies/{revision}/rollout", tag = "policies", request_body = RolloutCommand,
    params(
        ("revision" = String, Path, description = "The number of the revision that is rolled out"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat safe"),
    ),
    responses(
        (status = 200, description = "How it stands now", body = RolloutStatus),
        (status = 404, description = "It was not rolled out in stages", body = Problem),
        (status = 409, description = "It is over, or not where it was seen", body = Problem),
        (status = 503, description = "The log is out of reach; repeat with the same key", body = Problem),
    )
)]
pub async fn command(
    State(api): State<Api>,
    Path(text): Path<String>,
    caller: Caller,
    Write { body, key }: Write<RolloutCommand>,
) -> Result<Json<RolloutStatus>, ApiError> {
    let revision = number(&text)?;
    let status = api
        .control
        .command_rollout(caller.name(), key, revision, body)
        .await?;
    Ok(Json(status))
}

fn number(text: &str) -> Result<Revision, ApiError> {
    text.parse().map(Revision).map_err(|_| {
        let why = format!("a rollout is named by the number of its revision, not by {text:?}");
        ApiError::new(Kind::BadRequest, why)
    })
}
