//! `/v1/edges`.

use super::{Api, ApiError, extract::Path};
use crate::{audit::Note, identity::Caller};
use axum::{Json, extract::State};
use latencify_conf::api::{Edges, Problem};

/// List the roster
#[utoipa::path(
    get, path = "/v1/edges", tag = "edges",
    responses((status = 200, body = Edges, description = "Every edge process that has joined and not left"))
)]
pub async fn list(State(api): State<Api>) -> Json<Edges> {
    let head = api.control.fleet.fold.state().position.epoch;
    Json(Edges {
        edges: api.control.edges(),
        head,
    })
}

/// Take a dead edge out of the roster
///
/// By its name: every process of it that is not connected. By its process id: that one, unless it is connected.
#[utoipa::path(
    delete, path = "/v1/edges/{edge}", tag = "edges",
    params(("edge" = String, Path, description = "An edge's name, or a process id")),
    responses(
        (status = 200, body = Edges, description = "What was taken out"),
        (status = 404, body = Problem, description = "It is not in the roster"),
        (status = 409, body = Problem, description = "It is connected"),
    )
)]
pub async fn remove(
    State(api): State<Api>,
    caller: Caller,
    note: Note,
    Path(edge): Path<String>,
) -> Result<Json<Edges>, ApiError> {
    let removed = api.control.remove_edge(caller.name(), &edge).await?;
    note.before(&removed.edges);
    let head = api.control.fleet.fold.state().position.epoch;
    Ok(Json(Edges {
        edges: removed.edges,
        head,
    }))
}
