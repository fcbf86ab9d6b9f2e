//! `/v1/edges/{edge}/invitations` and `/v1/edges/{edge}/revocation`.

use super::{
    Api, ApiError,
    extract::{Path, Write},
};
use crate::{identity::Caller, verbs::Refused};
use axum::{Json, extract::State, http::StatusCode};
use latencify_conf::{
    api::{EdgeInvitation, EdgeInvited, EdgeRevoked, Problem},
    document::text::{self, Text as _},
};
use std::time::Duration;

/// How long an invitation may be used if nobody says it.
const EXPIRES_IN: Duration = Duration::from_hours(1);

/// Invite an edge
///
/// The answer holds a token that lets one edge of this name in, once. It is nowhere else.
#[utoipa::path(
    post, path = "/v1/edges/{edge}/invitations", tag = "edges",
    params(("edge" = String, Path, description = "The edge's name")),
    request_body = EdgeInvitation,
    responses(
        (status = 201, body = EdgeInvited, description = "The token"),
        (status = 400, body = Problem, description = "No name of an edge, or a time that no invitation has"),
        (status = 409, body = Problem, description = "Too many invitations are open"),
    )
)]
pub async fn invite(
    State(api): State<Api>,
    caller: Caller,
    Path(edge): Path<String>,
    Write { body, .. }: Write<EdgeInvitation>,
) -> Result<(StatusCode, Json<EdgeInvited>), ApiError> {
    let expires_in = body.expires.as_deref().map(text::Duration::parse);
    let expires_in = expires_in
        .transpose()
        .map_err(|flaw| Refused::Invalid(format!("expires: {flaw}")))?
        .map(|expires| expires.0);
    let invited = api
        .control
        .invite_edge(caller.name(), &edge, expires_in.unwrap_or(EXPIRES_IN))
        .await?;
    let ca = api.control.pki.fingerprint();
    let answer = EdgeInvited {
        edge,
        token: invited.token,
        expires: invited.expires,
        ca_fingerprint: ca.map_err(Refused::from)?.to_string(),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Revoke an edge's certificates
///
/// Its live streams end, and it gets nothing any more. Only a new invitation lets an edge of this name in again.
#[utoipa::path(
    post, path = "/v1/edges/{edge}/revocation", tag = "edges",
    params(("edge" = String, Path, description = "The edge's name")),
    responses(
        (status = 200, body = EdgeRevoked, description = "They count no more"),
        (status = 404, body = Problem, description = "No such edge has a certificate or an invitation"),
    )
)]
pub async fn revoke(
    State(api): State<Api>,
    caller: Caller,
    Path(edge): Path<String>,
) -> Result<Json<EdgeRevoked>, ApiError> {
    let revoked = api.control.revoke_edge(caller.name(), &edge).await?;
    Ok(Json(EdgeRevoked {
        edge,
        certificates: revoked.certificates,
        epoch: revoked.epoch,
    }))
}
