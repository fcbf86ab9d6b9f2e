//! What a request leaves in the audit log: every change, and every refusal.

use super::{Api, ApiError};
use crate::{
    audit::{Event, Note, STRANGER},
    identity::{Caller, Permission},
    serve::Peer,
};
use axum::{
    extract::{FromRequestParts, Request},
    http::{Method, StatusCode, request::Parts},
    middleware::Next,
    response::Response,
};
use latencify_conf::api::AuditOutcome;
use std::{net::IpAddr, sync::Arc};

/// What a record says of a request, whatever came of it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The address that the connection came from.
    pub from: Option<IpAddr>,
    /// Method and path, without the query.
    pub target: String,
    /// Its id.
    pub request_id: Option<String>,
}

/// The id of a request, for those who tell of it.
#[derive(Debug, Clone)]
pub struct RequestId(pub Arc<str>);

impl Asked {
    fn of(parts: &Parts) -> Self {
        let peer = parts.extensions.get::<Peer>();
        let id = parts.extensions.get::<RequestId>();
        Self {
            from: peer.map(|peer| peer.0.ip()),
            target: format!("{} {}", parts.method, parts.uri.path()),
            request_id: id.map(|id| id.0.to_string()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(parts))
    }
}

/// A note for the request's record; of a request that has none, nobody reads it.
impl<S: Send + Sync> FromRequestParts<S> for Note {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Runs what the caller has been let in to, and records it if it changes something or was refused further in.
pub async fn run(
    api: &Api,
    caller: &Caller,
    permission: Permission,
    mut request: Request,
    next: Next,
) -> Response {
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    let note = Note::default();
    request.extensions_mut().insert(note.clone());
    let (parts, body) = request.into_parts();
    let asked = Asked::of(&parts);
    let response = next.run(Request::from_parts(parts, body)).await;
    let outcome = outcome(response.status());
    if !reads || outcome == AuditOutcome::Refused {
        let event = event(
            caller.name().to_owned(),
            permission.as_str(),
            asked,
            &response,
        );
        api.audit.record(Event { note, ..event }).await;
    }
    response
}

/// The record of a caller that may not do it.
pub fn forbidden(
    caller: &Caller,
    permission: Permission,
    request: Request,
    response: &Response,
) -> Event {
    let asked = Asked::of(&request.into_parts().0);
    let by = caller.name().to_owned();
    event(by, permission.as_str(), asked, response)
}

/// The record of somebody whom nobody knows.
pub fn unauthenticated(request: Request, response: &Response) -> Event {
    let asked = Asked::of(&request.into_parts().0);
    event(STRANGER.to_owned(), "authenticate", asked, response)
}

fn event(by: String, action: &'static str, asked: Asked, response: &Response) -> Event {
    let outcome = outcome(response.status());
    let error = response.extensions().get::<Arc<ApiError>>();
    Event {
        by,
        from: asked.from,
        action,
        target: asked.target,
        outcome,
        why: error.map(|error| error.detail().to_owned()),
        request_id: asked.request_id,
        note: Note::default(),
    }
}

fn outcome(status: StatusCode) -> AuditOutcome {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
            AuditOutcome::Refused
        }
        status if status.is_success() => AuditOutcome::Done,
        _ => AuditOutcome::Failed,
    }
}
