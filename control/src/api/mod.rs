//! The HTTP API under `/v1`. Handlers decode, call a verb, encode; only this module knows status codes.
//!
//! Every answer that is not a success is `application/problem+json` (RFC 9457) with the request's id, whoever made it:
//! a handler, a limit, the router or a panic. That holds because errors become bodies in one place, [`finish`].

mod audit;
mod audited;
mod edges;
mod enrolment;
mod events;
mod extract;
mod finish;
mod guard;
mod log;
mod login;
mod policies;
mod problem;
mod purges;
mod replicas;
mod roles;
mod rollouts;
mod secrets;
mod tokens;
mod users;

pub use guard::PERMISSION_EXTENSION;
pub use problem::{ApiError, Kind};

use crate::{
    audit::Audit,
    identity::{Identity, Permission},
    verbs::Control,
};
use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    middleware,
    response::{IntoResponse as _, Response},
};
use guard::needs;
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

/// What handlers share.
#[derive(Clone)]
pub struct Api {
    /// The verbs.
    pub control: Control,
    /// Who asks.
    pub identity: Identity,
    /// What they did.
    pub audit: Audit,
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
pub fn routes(control: Control, identity: Identity) -> Router {
    let metrics = control.fleet.metrics.clone();
    let audit = Audit::new(control.fleet.store.clone());
    let api = Api {
        control,
        identity,
        audit,
    };
    let (guarded, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(needs(
            Permission::PoliciesWrite,
            routes!(policies::submit).layer(DefaultBodyLimit::max(POLICY_BODY_BYTES_MAX)),
        ))
        .routes(needs(Permission::PoliciesRead, routes!(policies::list)))
        .routes(needs(Permission::PoliciesRead, routes!(policies::show)))
        .routes(needs(Permission::PoliciesRead, routes!(policies::status)))
        .routes(needs(Permission::PoliciesWrite, routes!(policies::revert)))
        .routes(needs(Permission::PoliciesRead, routes!(policies::compare)))
        .routes(needs(Permission::RolloutsRead, routes!(rollouts::status)))
        .routes(needs(Permission::RolloutsWrite, routes!(rollouts::command)))
        .routes(needs(Permission::PurgesWrite, routes!(purges::purge)))
        .routes(needs(Permission::PurgesRead, routes!(purges::receipt)))
        .routes(needs(Permission::EdgesRead, routes!(edges::list)))
        .routes(needs(Permission::EdgesWrite, routes!(edges::remove)))
        .routes(needs(Permission::EdgesEnrol, routes!(enrolment::invite)))
        .routes(needs(Permission::EdgesEnrol, routes!(enrolment::revoke)))
        .routes(needs(Permission::ReplicasRead, routes!(replicas::list)))
        .routes(needs(Permission::EventsWrite, routes!(events::accept)))
        .routes(needs(Permission::SecretsWrite, routes!(secrets::set)))
        .routes(needs(Permission::SecretsRead, routes!(secrets::list)))
        .routes(needs(Permission::SecretsWrite, routes!(secrets::remove)))
        .routes(needs(Permission::LogRead, routes!(log::entries)))
        .routes(needs(Permission::Own, routes!(login::log_out)))
        .routes(needs(Permission::Own, routes!(login::who_am_i)))
        .routes(needs(Permission::Own, routes!(login::change_password)))
        .routes(needs(Permission::UsersRead, routes!(users::list)))
        .routes(needs(Permission::UsersRead, routes!(users::show)))
        .routes(needs(Permission::UsersWrite, routes!(users::add)))
        .routes(needs(Permission::UsersWrite, routes!(users::change)))
        .routes(needs(Permission::UsersWrite, routes!(users::remove)))
        .routes(needs(Permission::UsersWrite, routes!(users::log_out)))
        .routes(needs(Permission::RolesRead, routes!(roles::list)))
        .routes(needs(Permission::RolesWrite, routes!(roles::put)))
        .routes(needs(Permission::RolesWrite, routes!(roles::remove)))
        .routes(needs(Permission::Own, routes!(tokens::list)))
        .routes(needs(Permission::Own, routes!(tokens::make)))
        .routes(needs(Permission::Own, routes!(tokens::revoke)))
        .routes(needs(Permission::KeysWrite, routes!(tokens::rotate_keys)))
        .routes(needs(Permission::AuditRead, routes!(audit::list)))
        .routes(needs(Permission::AuditRead, routes!(audit::verify)))
        .split_for_parts();
    let (open, described) = OpenApiRouter::<Api>::new()
        .routes(routes!(openapi))
        .routes(routes!(login::log_in))
        .routes(routes!(login::refresh))
        .routes(routes!(login::jwks))
        .split_for_parts();
    description.merge(described);
    let description = Arc::new(description);
    guarded
        .route_layer(middleware::from_fn_with_state(api.clone(), finish::epochs))
        .route_layer(middleware::from_fn_with_state(
            api.clone(),
            finish::authenticate,
        ))
        .merge(open)
        .layer(axum::Extension(description))
        .layer(axum::Extension(api.clone()))
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
