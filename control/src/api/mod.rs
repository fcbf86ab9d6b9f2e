//! The HTTP API under `/v1`. Handlers decode, call a verb, encode; only this module knows status codes.
//!
//! Every answer that is not a success is `application/problem+json` (RFC 9457) with the request's id, whoever made it:
//! a handler, a limit, the router or a panic. That holds because errors become bodies in one place, [`finish`].

mod edges;
mod events;
mod extract;
mod finish;
mod log;
mod policies;
mod problem;
mod purges;
mod replicas;

pub use problem::{ApiError, Kind};

use crate::{auth::Token, verbs::Control};
use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    middleware,
    response::{IntoResponse as _, Response},
};
use latencify_conf::api::Problem;
use std::sync::Arc;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt as _},
    routes,
};

/// The most bytes of a request's body, policies apart.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The most bytes of a submitted policy: its files, escaped as JSON.
pub const POLICY_BODY_BYTES_MAX: usize = 48 * 1024 * 1024;

/// Who writes through the API: there is one token.
const BY: &str = "token:default";

/// What handlers share.
#[derive(Clone)]
pub struct Api {
    /// The verbs.
    pub control: Control,
    token: Token,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "latencify control",
        description = "Policies, purges, edges and content events of a latencify fleet. Every error is \
                       `application/problem+json` (RFC 9457)."
    ),
    components(schemas(Problem)),
    modifiers(&BearerToken),
    security(("token" = []))
)]
struct Description;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let scheme =
            SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        description
            .components
            .get_or_insert_default()
            .add_security_scheme("token", scheme);
    }
}

/// The whole API, as a service.
pub fn routes(control: Control, token: Token) -> Router {
    let metrics = control.fleet.metrics.clone();
    let api = Api { control, token };
    let (guarded, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(policies::submit).layer(DefaultBodyLimit::max(POLICY_BODY_BYTES_MAX)))
        .routes(routes!(policies::list))
        .routes(routes!(policies::show))
        .routes(routes!(policies::status))
        .routes(routes!(purges::purge))
        .routes(routes!(purges::receipt))
        .routes(routes!(edges::list))
        .routes(routes!(edges::remove))
        .routes(routes!(replicas::list))
        .routes(routes!(events::accept))
        .routes(routes!(log::entries))
        .split_for_parts();
    let (open, described) = OpenApiRouter::<Api>::new()
        .routes(routes!(openapi))
        .split_for_parts();
    description.merge(described);
    let description = Arc::new(description);
    guarded
        .route_layer(middleware::from_fn_with_state(api.clone(), finish::epochs))
        .route_layer(middleware::from_fn_with_state(
            api.clone(),
            finish::authorise,
        ))
        .merge(open)
        .layer(axum::Extension(description))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(metrics, finish::finish))
        .with_state(api)
}

/// The description of this API
#[utoipa::path(get, path = "/v1/openapi.json", security(()), responses((status = 200, description = "OpenAPI 3.1")))]
async fn openapi(
    axum::Extension(description): axum::Extension<Arc<utoipa::openapi::OpenApi>>,
) -> Response {
    Json(&*description).into_response()
}

#[cfg(test)]
mod tests;
