//! What every request goes through: an id, a time limit, a token, an epoch, and errors as problems.

use super::{
    Api, ApiError, Kind,
    audited::{self, RequestId},
};
use crate::{auth::bearer, observe::metrics::Metrics, serve::token_shown};
use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt as _;
use latencify_conf::{api::EPOCH, change::Epoch};
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use uuid::Uuid;

/// The longest that a request may take: a minute of waiting for a receipt, and the time around it.
const REQUEST_MAX: Duration = Duration::from_secs(75);
/// How long a reader that asks for an epoch waits for it.
const EPOCH_WAIT_MAX: Duration = Duration::from_secs(10);
/// The most bytes of a request id that a client chose.
const REQUEST_ID_BYTES_MAX: usize = 100;

/// When to come again with what can't be done now (RFC 9110 §10.2.3). Seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The outermost layer. Nothing leaves without a request id, and no error without a problem's body.
pub async fn finish(State(metrics): State<Metrics>, mut request: Request, next: Next) -> Response {
    let id = request_id(&request);
    request
        .extensions_mut()
        .insert(RequestId(id.as_str().into()));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let answer = tokio::time::timeout(
        REQUEST_MAX,
        AssertUnwindSafe(next.run(request)).catch_unwind(),
    )
    .await;
    let response = match answer {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => ApiError::new(
            Kind::Internal,
            "the request made control panic; the log has the place",
        )
        .into_response(),
        Err(_) => {
            let detail = format!("not done within {} s", REQUEST_MAX.as_secs());
            ApiError::new(Kind::TimedOut, detail).into_response()
        }
    };
    let mut response = with_problem(response, &id);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let status = response.status();
    metrics.answered(status.as_u16());
    if status.is_server_error() {
        tracing::warn!(request_id = id, %method, path, status = status.as_u16(), "an API request failed");
    } else if method != Method::GET {
        tracing::info!(request_id = id, %method, path, status = status.as_u16(), "API");
    }
    response
}

/// Lets in whose token is believed.
pub async fn authenticate(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let header = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    // Bodies are not shared between threads, so nothing of the request is borrowed while it waits.
    let token = header.map(|header| bearer(header).map(str::to_owned));
    let error = match token {
        Some(Some(token)) => match api.identity.caller(&token).await {
            Ok(caller) => {
                token_shown(request.extensions());
                request.extensions_mut().insert(caller);
                return next.run(request).await;
            }
            Err(error) => ApiError::from(error),
        },
        Some(None) => ApiError::new(
            Kind::Unauthorised,
            "the Authorization header is not of the form: Bearer TOKEN",
        ),
        None => ApiError::new(
            Kind::Unauthorised,
            "send Authorization: Bearer TOKEN: of a login, an API token, or the one that was printed when control started \
             for the first time",
        ),
    };
    let mut response = error.into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        let event = audited::unauthenticated(request, &response);
        api.audit.record(event).await;
    }
    response
}

/// Holds a request back until its `Latencify-Epoch` is folded, and says at which epoch the answer was true.
pub async fn epochs(State(api): State<Api>, request: Request, next: Next) -> Response {
    let fold = &api.control.fleet.fold;
    if let Some(wanted) = request.headers().get(EPOCH) {
        let Some(wanted) = wanted
            .to_str()
            .ok()
            .and_then(|text| text.parse().ok())
            .map(Epoch)
        else {
            return ApiError::new(Kind::BadRequest, "Latencify-Epoch must be a number")
                .into_response();
        };
        if !fold.reaches(wanted, EPOCH_WAIT_MAX).await {
            let applied = fold.state().applied;
            let detail =
                format!("this replica has folded the log to epoch {applied}, not to {wanted}");
            return ApiError::new(Kind::Unavailable, detail).into_response();
        }
    }
    let mut response = next.run(request).await;
    response.headers_mut().insert(
        HeaderName::from_static(EPOCH),
        HeaderValue::from(fold.state().applied.0),
    );
    response
}

fn request_id(request: &Request) -> String {
    request
        .headers()
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .filter(|id| {
            (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_graphic())
        })
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

fn with_problem(response: Response, request_id: &str) -> Response {
    let status = response.status();
    if status.is_success() || status.is_redirection() || status.is_informational() {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let error = parts.extensions.remove::<Arc<ApiError>>();
    let error = error.unwrap_or_else(|| Arc::new(of_bare_status(status)));
    let problem = error.problem(request_id);
    if problem.retryable {
        parts.headers.insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    if let Some(seconds) = error.retry_after_s() {
        parts
            .headers
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    parts.status = StatusCode::from_u16(problem.status).unwrap_or(status);
    parts.headers.remove(header::CONTENT_LENGTH);
    let body = Json(problem).into_response().into_body();
    parts.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    Response::from_parts(parts, Body::new(body))
}

fn of_bare_status(status: StatusCode) -> ApiError {
    let detail = match status {
        StatusCode::NOT_FOUND => "no such path: /v1/openapi.json describes them all",
        StatusCode::METHOD_NOT_ALLOWED => "the Allow header names the methods that the path takes",
        _ => "",
    };
    ApiError::new(Kind::of_status(status), detail)
}
