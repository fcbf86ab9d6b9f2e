//! `/v1/replicas`.

use super::Api;
use axum::{Json, extract::State};
use latencify_conf::api::Replicas;

/// List the replicas of this service
#[utoipa::path(
    get, path = "/v1/replicas", tag = "replicas",
    responses((status = 200, body = Replicas, description = "Every replica that has announced itself and not left"))
)]
pub async fn list(State(api): State<Api>) -> Json<Replicas> {
    Json(Replicas {
        replicas: api.control.replicas(),
    })
}
