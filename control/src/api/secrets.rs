//! `/v1/secrets`. No handler answers a value, and no error quotes what was sent.

use super::{
    Api, ApiError, Kind,
    extract::{self, Path},
};
use crate::identity::Caller;
use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use latencify_conf::api::{Problem, SecretAccepted, SecretGone, SecretSubmission, Secrets};
use zeroize::Zeroizing;

/// Set a secret
///
/// One that is there gets another value, which edges fetch at once. No answer of this API holds a value.
#[utoipa::path(
    post, path = "/v1/secrets", tag = "secrets", request_body = SecretSubmission,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat safe")),
    responses(
        (status = 201, description = "It is in force", body = SecretAccepted),
        (status = 409, description = "There are as many as may be", body = Problem),
        (status = 422, description = "Its name or its value can't be one", body = Problem),
        (status = 503, description = "The log is out of reach; repeat with the same key", body = Problem),
    )
)]
pub async fn set(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, Json<SecretAccepted>), ApiError> {
    let (headers, path) = (request.headers().clone(), request.uri().path().to_owned());
    extract::expect_json(&headers)?;
    let bytes = extract::body(request, &()).await?;
    // A hash of the value alone would tell a value that can be guessed.
    let fingerprint = api.control.seal.fingerprint("api/secrets", &bytes);
    let fingerprint = fingerprint.map_err(crate::verbs::Refused::from)?;
    let key = extract::key(&headers, &path, &fingerprint)?;
    let SecretSubmission { name, value } = serde_json::from_slice(&bytes).map_err(|error| {
        let detail = format!(
            "a secret is {{\"name\": …, \"value\": …}}, both text; line {}, column {} is something else",
            error.line(),
            error.column()
        );
        ApiError::new(Kind::BadBody, detail)
    })?;
    let value = Zeroizing::new(value);
    let set = api.control.set_secret(caller.name(), key, &name, value);
    Ok((StatusCode::CREATED, Json(set.await?)))
}

/// List secrets
///
/// Names, numbers, times, and where the policy names them; never values.
#[utoipa::path(
    get, path = "/v1/secrets", tag = "secrets",
    responses((status = 200, body = Secrets, description = "By name"))
)]
pub async fn list(State(api): State<Api>) -> Result<Json<Secrets>, ApiError> {
    Ok(Json(api.control.list_secrets().await?))
}

/// Remove a secret
#[utoipa::path(
    delete, path = "/v1/secrets/{name}", tag = "secrets",
    params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 200, body = SecretGone, description = "It is gone"),
        (status = 404, body = Problem, description = "There is none"),
        (status = 409, body = Problem, description = "The policy names it"),
    )
)]
pub async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<SecretGone>, ApiError> {
    Ok(Json(api.control.remove_secret(caller.name(), &name).await?))
}
