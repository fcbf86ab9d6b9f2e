//! `/v1/roles`.

use super::{
    Api, ApiError,
    extract::{Body, Path},
};
use crate::{audit::Note, identity::Caller};
use axum::{Json, extract::State};
use latencify_conf::api::{Problem, Role, RoleDefinition, Roles};

/// List roles and permissions
#[utoipa::path(
    get, path = "/v1/roles", tag = "identity",
    responses((status = 200, body = Roles, description = "Built-in roles first"))
)]
pub async fn list(State(api): State<Api>) -> Result<Json<Roles>, ApiError> {
    Ok(Json(api.identity.roles().await?))
}

/// Make or change a custom role
#[utoipa::path(
    put, path = "/v1/roles/{name}", tag = "identity", request_body = RoleDefinition,
    params(("name" = String, Path, description = "Which")),
    responses(
        (status = 200, body = Role, description = "As it is now"),
        (status = 403, body = Problem, description = "It has, or would have, more than the caller"),
        (status = 409, body = Problem, description = "It is built in"),
        (status = 422, body = Problem, description = "A permission is not known"),
    )
)]
pub async fn put(
    State(api): State<Api>,
    caller: Caller,
    note: Note,
    Path(name): Path<String>,
    Body(definition): Body<RoleDefinition>,
) -> Result<Json<Role>, ApiError> {
    let (before, after) = api.identity.put_role(&caller, &name, definition).await?;
    if let Some(before) = before {
        note.before(&before);
    }
    note.after(&after);
    Ok(Json(after))
}

/// Remove a custom role
#[utoipa::path(
    delete, path = "/v1/roles/{name}", tag = "identity", params(("name" = String, Path, description = "Which")),
    responses(
        (status = 200, body = Role, description = "As it was"),
        (status = 404, body = Problem, description = "There is none"),
        (status = 409, body = Problem, description = "Somebody has it, or it is built in"),
    )
)]
pub async fn remove(
    State(api): State<Api>,
    caller: Caller,
    note: Note,
    Path(name): Path<String>,
) -> Result<Json<Role>, ApiError> {
    let role = api.identity.remove_role(&caller, &name).await?;
    note.before(&role);
    Ok(Json(role))
}
