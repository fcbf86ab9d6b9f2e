//! `/v1/tokens` and `/v1/keys`.

use super::{
    Api, ApiError, Kind,
    extract::{Body, Path},
};
use crate::{audit::Note, identity::Caller};
use axum::{Json, extract::State, http::StatusCode};
use latencify_conf::api::{
    ApiToken, ApiTokenMade, ApiTokens, KeyRotated, KeyRotation, NewApiToken, Problem,
};
use uuid::Uuid;

/// List API tokens
///
/// One's own; everybody's for who may take them back.
#[utoipa::path(
    get, path = "/v1/tokens", tag = "identity",
    responses((status = 200, body = ApiTokens, description = "The newest first, without their texts"))
)]
pub async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<ApiTokens>, ApiError> {
    Ok(Json(api.identity.api_tokens(&caller).await?))
}

/// Make an API token
///
/// It may nothing that its maker may not, now or later.
#[utoipa::path(
    post, path = "/v1/tokens", tag = "identity", request_body = NewApiToken,
    responses(
        (status = 201, body = ApiTokenMade, description = "Its text is shown this once"),
        (status = 403, body = Problem, description = "It would have more than the caller"),
        (status = 422, body = Problem, description = "A role is not known, or it would count for too long"),
    )
)]
pub async fn make(
    State(api): State<Api>,
    caller: Caller,
    note: Note,
    Body(new): Body<NewApiToken>,
) -> Result<(StatusCode, Json<ApiTokenMade>), ApiError> {
    let made = api.identity.make_api_token(&caller, new).await?;
    note.after(&made.about);
    Ok((StatusCode::CREATED, Json(made)))
}

/// Take an API token back
#[utoipa::path(
    delete, path = "/v1/tokens/{id}", tag = "identity", params(("id" = String, Path, description = "Which")),
    responses(
        (status = 200, body = ApiToken, description = "It counts no more"),
        (status = 404, body = Problem, description = "There is none, or it is not the caller's"),
    )
)]
pub async fn revoke(
    State(api): State<Api>,
    caller: Caller,
    note: Note,
    Path(id): Path<String>,
) -> Result<Json<ApiToken>, ApiError> {
    let id = Uuid::parse_str(&id).map_err(|_| {
        let why = format!("there is no token {id:?}: ids are UUIDs");
        ApiError::new(Kind::NotFound, why)
    })?;
    let token = api.identity.revoke_api_token(&caller, id).await?;
    note.after(&token);
    Ok(Json(token))
}

/// Rotate the key that access tokens are signed with
///
/// Earlier keys are believed until everything that they signed has expired, or no more at once.
#[utoipa::path(
    post, path = "/v1/keys/rotate", tag = "identity", request_body = KeyRotation,
    responses(
        (status = 200, body = KeyRotated, description = "Tokens are signed with it from now on"),
        (status = 409, body = Problem, description = "Too many keys are believed: retire the earlier ones"),
    )
)]
pub async fn rotate_keys(
    State(api): State<Api>,
    caller: Caller,
    note: Note,
    Body(rotation): Body<KeyRotation>,
) -> Result<Json<KeyRotated>, ApiError> {
    let rotated = api
        .identity
        .rotate_keys(caller.name(), rotation.retire_earlier)
        .await?;
    note.after(&rotated);
    Ok(Json(rotated))
}
