//! `/v1/users`.

use super::{
    Api, ApiError,
    extract::{Body, Path},
};
use crate::{audit::Note, identity::Caller};
use axum::{Json, extract::State, http::StatusCode};
use latencify_conf::api::{NewUser, Problem, User, UserChange, Users};

/// List accounts
#[utoipa::path(
    get, path = "/v1/users", tag = "identity",
    responses((status = 200, body = Users, description = "By name"))
)]
pub async fn list(State(api): State<Api>) -> Result<Json<Users>, ApiError> {
    Ok(Json(api.identity.users().await?))
}

/// Show an account
#[utoipa::path(
    get, path = "/v1/users/{name}", tag = "identity", params(("name" = String, Path, description = "Whose")),
    responses(
        (status = 200, body = User, description = "The account"),
        (status = 404, body = Problem, description = "There is none"),
    )
)]
pub async fn show(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<User>, ApiError> {
    Ok(Json(api.identity.user(&name).await?))
}

/// Make an account
///
/// With no more than the caller has.
#[utoipa::path(
    post, path = "/v1/users", tag = "identity", request_body = NewUser,
    responses(
        (status = 201, body = User, description = "It is there"),
        (status = 403, body = Problem, description = "It would have more than the caller"),
        (status = 409, body = Problem, description = "There is one of that name"),
        (status = 422, body = Problem, description = "A role is not known, or the password is too short"),
    )
)]
pub async fn add(
    State(api): State<Api>,
    caller: Caller,
    note: Note,
    Body(new): Body<NewUser>,
) -> Result<(StatusCode, Json<User>), ApiError> {
    let user = api.identity.add_user(&caller, new).await?;
    note.after(&user);
    Ok((StatusCode::CREATED, Json(user)))
}

/// Change an account
///
/// What is left out stays. Its sessions end: they were given what it had before.
#[utoipa::path(
    patch, path = "/v1/users/{name}", tag = "identity", request_body = UserChange,
    params(("name" = String, Path, description = "Whose")),
    responses(
        (status = 200, body = User, description = "As it is now"),
        (status = 403, body = Problem, description = "It has, or would have, more than the caller"),
        (status = 404, body = Problem, description = "There is none"),
        (status = 409, body = Problem, description = "It is the last administrator"),
        (status = 422, body = Problem, description = "A role is not known, or the password is too short"),
    )
)]
pub async fn change(
    State(api): State<Api>,
    caller: Caller,
    note: Note,
    Path(name): Path<String>,
    Body(change): Body<UserChange>,
) -> Result<Json<User>, ApiError> {
    let is_password_new = change.password.is_some();
    let (before, after) = api.identity.change_user(&caller, &name, change).await?;
    note.before(&before);
    note.after(&serde_json::json!({"user": after, "password_is_new": is_password_new}));
    Ok(Json(after))
}

/// Remove an account
///
/// Its sessions end, and its API tokens count no more.
#[utoipa::path(
    delete, path = "/v1/users/{name}", tag = "identity", params(("name" = String, Path, description = "Whose")),
    responses(
        (status = 200, body = User, description = "As it was"),
        (status = 403, body = Problem, description = "It has more than the caller"),
        (status = 404, body = Problem, description = "There is none"),
        (status = 409, body = Problem, description = "It is the last administrator"),
    )
)]
pub async fn remove(
    State(api): State<Api>,
    caller: Caller,
    note: Note,
    Path(name): Path<String>,
) -> Result<Json<User>, ApiError> {
    let user = api.identity.remove_user(&caller, &name).await?;
    note.before(&user);
    Ok(Json(user))
}

/// End every session of an account
#[utoipa::path(
    post, path = "/v1/users/{name}/logout", tag = "identity", params(("name" = String, Path, description = "Whose")),
    responses(
        (status = 200, body = User, description = "The account"),
        (status = 403, body = Problem, description = "It has more than the caller"),
        (status = 404, body = Problem, description = "There is none"),
    )
)]
pub async fn log_out(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<User>, ApiError> {
    Ok(Json(api.identity.log_out_user(&caller, &name).await?))
}
