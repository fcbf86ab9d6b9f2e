//! From what went wrong to a problem (RFC 9457).

use crate::{
    identity::{self, Denied, Forbidden},
    log::AppendError,
    verbs::Refused,
    writer::WriteError,
};
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use latencify_conf::api::{PolicyError, Problem};
use std::sync::Arc;

/// The kinds of problems; each has a stable name, a title and a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No token, or another one.
    Unauthorised,
    /// The caller may not do it.
    Forbidden,
    /// Too many attempts.
    TooMany,
    /// No such path or thing.
    NotFound,
    /// The path does not take the method.
    MethodNotAllowed,
    /// The body is too large.
    TooLarge,
    /// The body is of another media type.
    MediaType,
    /// The body is not what it should be; the detail says where.
    BadBody,
    /// A query parameter, header or part of the path is not what it should be.
    BadRequest,
    /// The policy has errors.
    PolicyInvalid,
    /// What is asked for can't be meant.
    Unprocessable,
    /// A name is not known.
    UnknownName,
    /// The content event can't be read.
    EventInvalid,
    /// The idempotency key belongs to another request.
    KeyReused,
    /// Another revision is the head.
    HeadMoved,
    /// Something stands in the way.
    Conflict,
    /// It can't be done now; whatever was sent may be sent again with the same idempotency key.
    Unavailable,
    /// It took too long.
    TimedOut,
    /// A defect of this program.
    Internal,
}

impl Kind {
    fn parts(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::Unauthorised => (
                "unauthorised",
                "A valid token is needed",
                StatusCode::UNAUTHORIZED,
            ),
            Self::Forbidden => (
                "forbidden",
                "The caller may not do this",
                StatusCode::FORBIDDEN,
            ),
            Self::TooMany => (
                "too-many",
                "Too many attempts",
                StatusCode::TOO_MANY_REQUESTS,
            ),
            Self::NotFound => ("not-found", "There is no such thing", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => (
                "method-not-allowed",
                "The path does not take this method",
                StatusCode::METHOD_NOT_ALLOWED,
            ),
            Self::TooLarge => (
                "too-large",
                "The request is too large",
                StatusCode::PAYLOAD_TOO_LARGE,
            ),
            Self::MediaType => (
                "media-type",
                "The body is of a media type that is not read here",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ),
            Self::BadBody => (
                "bad-body",
                "The body can't be read",
                StatusCode::BAD_REQUEST,
            ),
            Self::BadRequest => (
                "bad-request",
                "The request can't be read",
                StatusCode::BAD_REQUEST,
            ),
            Self::PolicyInvalid => (
                "policy-invalid",
                "The policy has errors",
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            Self::Unprocessable => (
                "unprocessable",
                "The request can't be meant",
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            Self::UnknownName => (
                "unknown-name",
                "A name is not known",
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            Self::EventInvalid => (
                "event-invalid",
                "The event can't be read",
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            Self::KeyReused => (
                "key-reused",
                "The idempotency key belongs to another request",
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            Self::HeadMoved => (
                "head-moved",
                "Another revision is the head",
                StatusCode::CONFLICT,
            ),
            Self::Conflict => (
                "conflict",
                "Something stands in the way",
                StatusCode::CONFLICT,
            ),
            Self::Unavailable => (
                "unavailable",
                "It can't be done now",
                StatusCode::SERVICE_UNAVAILABLE,
            ),
            Self::TimedOut => (
                "timed-out",
                "It took too long",
                StatusCode::SERVICE_UNAVAILABLE,
            ),
            Self::Internal => (
                "internal",
                "Control made a mistake",
                StatusCode::INTERNAL_SERVER_ERROR,
            ),
        }
    }

    /// The kind of an error that a layer or the router answered with a bare status.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorised,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::TOO_MANY_REQUESTS => Self::TooMany,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::MediaType,
            StatusCode::UNPROCESSABLE_ENTITY => Self::Unprocessable,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => Self::TimedOut,
            status if status.is_client_error() => Self::BadRequest,
            _ => Self::Internal,
        }
    }

    /// Whether the same request may succeed later.
    fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::TimedOut)
    }
}

/// An error on its way out. It becomes a body in [`finish`](super::finish), which knows the request's id.
#[derive(Debug, Clone)]
pub struct ApiError {
    kind: Kind,
    detail: String,
    errors: Vec<PolicyError>,
    retry_after_s: Option<u64>,
}

impl ApiError {
    /// A problem of a kind, here.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s: None,
        }
    }

    /// What is said of it.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// When it may be tried again, in seconds; none: nobody knows.
    pub fn retry_after_s(&self) -> Option<u64> {
        self.retry_after_s
    }

    /// Its body.
    pub fn problem(&self, request_id: &str) -> Problem {
        let (name, title, status) = self.kind.parts();
        Problem {
            kind: format!("/problems/{name}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: Some(self.detail.clone()).filter(|detail| !detail.is_empty()),
            request_id: Some(request_id.to_owned()),
            retryable: self.kind.is_retryable(),
            errors: self.errors.clone(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.kind.parts().2.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

impl From<Forbidden> for ApiError {
    fn from(forbidden: Forbidden) -> Self {
        Self::new(Kind::Forbidden, forbidden.to_string())
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        let detail = denied.to_string();
        match denied {
            Denied::Locked(wait) => Self {
                retry_after_s: Some(wait.as_secs().max(1)),
                ..Self::new(Kind::TooMany, detail)
            },
            Denied::Busy => Self::new(Kind::Unavailable, detail),
            _ => Self::new(Kind::Unauthorised, detail),
        }
    }
}

impl From<identity::Error> for ApiError {
    fn from(error: identity::Error) -> Self {
        match error {
            identity::Error::Denied(denied) => denied.into(),
            identity::Error::Refused(refused) => refused.into(),
        }
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        let kind = match refused {
            Refused::Store(_)
            | Refused::PolicyUnreadable { .. }
            | Refused::HeadMoves
            | Refused::Sealed(_) => Kind::Unavailable,
            Refused::Write(WriteError::Entry(_)) => Kind::TooLarge,
            Refused::Write(WriteError::Append(AppendError::Unknown(_))) => {
                return Self::new(
                    Kind::Unavailable,
                    format!("{detail}: repeat it with the same Idempotency-Key"),
                );
            }
            Refused::Write(_) => Kind::Unavailable,
            Refused::NotFound(_) => Kind::NotFound,
            Refused::Forbidden(_) => Kind::Forbidden,
            Refused::PolicyInvalid(errors) => {
                return Self {
                    kind: Kind::PolicyInvalid,
                    detail,
                    errors,
                    retry_after_s: None,
                };
            }
            Refused::Invalid(_) => Kind::Unprocessable,
            Refused::Unresolved(_) => Kind::UnknownName,
            Refused::HeadMoved { .. } => Kind::HeadMoved,
            Refused::KeyReused => Kind::KeyReused,
            Refused::Conflict(_) => Kind::Conflict,
        };
        Self::new(kind, detail)
    }
}
