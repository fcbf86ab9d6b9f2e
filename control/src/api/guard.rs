//! Which permission a route needs: said once, where the route is registered. It is checked, and stands in the description.

use super::{Api, ApiError, Kind, audited};
use crate::identity::{Caller, Permission};
use axum::{
    Extension,
    extract::{FromRequestParts, Request, State},
    http::request::Parts,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa_axum::router::UtoipaMethodRouter;

/// Where the description says which permission an operation needs.
pub const PERMISSION_EXTENSION: &str = "x-latencify-permission";

/// These routes are for callers with this permission.
pub fn needs(
    permission: Permission,
    (schemas, mut paths, methods): UtoipaMethodRouter<Api>,
) -> UtoipaMethodRouter<Api> {
    let extension = || {
        ExtensionsBuilder::new()
            .add(PERMISSION_EXTENSION, permission.as_str())
            .build()
    };
    for item in paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ];
        for operation in operations.into_iter().filter_map(Option::as_mut) {
            match &mut operation.extensions {
                Some(extensions) => extensions.merge(extension()),
                none => *none = Some(extension()),
            }
        }
    }
    let guarded = methods.route_layer(middleware::from_fn_with_state(permission, permitted));
    (schemas, paths, guarded)
}

async fn permitted(
    State(permission): State<Permission>,
    Extension(api): Extension<Api>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Response {
    match caller.may(permission) {
        Ok(()) => audited::run(&api, &caller, permission, request, next).await,
        Err(forbidden) => {
            let response = ApiError::from(forbidden).into_response();
            let event = audited::forbidden(&caller, permission, request, &response);
            api.audit.record(event).await;
            response
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            ApiError::new(
                Kind::Internal,
                "the route asks who calls before anybody has looked at the token",
            )
        })
    }
}
