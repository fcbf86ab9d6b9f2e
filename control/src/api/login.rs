//! `/v1/login`, `/v1/logout`, `/v1/whoami`, `/v1/password`.

use super::{Api, ApiError, audited::Asked, extract::Body};
use crate::{
    audit::{Event, Note, STRANGER},
    identity::{Caller, Denied, Error},
};
use axum::{Json, extract::State, http::StatusCode};
use latencify_conf::api::{
    AuditOutcome, Jwks, LoggedIn, Login, PasswordChange, Problem, Refresh, WhoAmI,
};

/// Log in
///
/// With an account's password. Too many attempts, on an account or from an address, have to wait.
#[utoipa::path(
    post, path = "/v1/login", tag = "identity", request_body = Login, security(()),
    responses(
        (status = 200, body = LoggedIn, description = "A session"),
        (status = 401, body = Problem, description = "The user or the password is wrong"),
        (status = 429, body = Problem, description = "Too many attempts; Retry-After says when"),
    )
)]
pub async fn log_in(
    State(api): State<Api>,
    asked: Asked,
    Body(login): Body<Login>,
) -> Result<Json<LoggedIn>, ApiError> {
    let user = login.user.clone();
    let done = api.identity.log_in(login, asked.from).await;
    let by = match &done {
        Ok(_) => format!("user:{user}"),
        Err(_) => STRANGER.to_owned(),
    };
    let note = Note::default();
    note.after(
        &serde_json::json!({"user": user, "session": done.as_ref().ok().map(|done| done.session)}),
    );
    record(&api, &asked, (by, "login", note), done.as_ref().err()).await;
    Ok(Json(done?))
}

/// Stay logged in
///
/// New tokens for the newest refresh token, which counts once: shown again, it ends its session.
#[utoipa::path(
    post, path = "/v1/login/refresh", tag = "identity", request_body = Refresh, security(()),
    responses(
        (status = 200, body = LoggedIn, description = "New tokens of the same session"),
        (status = 401, body = Problem, description = "The session is over"),
    )
)]
pub async fn refresh(
    State(api): State<Api>,
    asked: Asked,
    Body(refresh): Body<Refresh>,
) -> Result<Json<LoggedIn>, ApiError> {
    match api.identity.refresh(&refresh.refresh_token).await {
        Ok(done) => Ok(Json(done)),
        Err((whose, error)) => {
            let by = whose.map_or_else(|| STRANGER.to_owned(), |user| format!("user:{user}"));
            record(&api, &asked, (by, "refresh", Note::default()), Some(&error)).await;
            Err(error.into())
        }
    }
}

/// Log out
///
/// The session ends, on every replica and every edge. An API token is not a session: it is revoked.
#[utoipa::path(
    post, path = "/v1/logout", tag = "identity",
    responses((status = 204, description = "The session is over, if there was one"))
)]
pub async fn log_out(State(api): State<Api>, caller: Caller) -> Result<StatusCode, ApiError> {
    api.identity.log_out(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Show who asks, and what they may do
#[utoipa::path(
    get, path = "/v1/whoami", tag = "identity",
    responses((status = 200, body = WhoAmI, description = "The caller"))
)]
pub async fn who_am_i(caller: Caller) -> Json<WhoAmI> {
    let permissions = caller.permissions().iter().map(ToString::to_string);
    Json(WhoAmI {
        name: caller.name().to_owned(),
        user: caller.user().map(str::to_owned),
        session: caller.session(),
        roles: caller.roles().clone(),
        permissions: permissions.collect(),
        sites: caller.sites().cloned(),
    })
}

/// Change one's own password
///
/// Every session of the account ends, this one too.
#[utoipa::path(
    put, path = "/v1/password", tag = "identity", request_body = PasswordChange,
    responses(
        (status = 204, description = "It is changed"),
        (status = 401, body = Problem, description = "The old password is wrong"),
        (status = 422, body = Problem, description = "The new one is too short, or the caller has none"),
        (status = 429, body = Problem, description = "Too many attempts"),
    )
)]
pub async fn change_password(
    State(api): State<Api>,
    caller: Caller,
    asked: Asked,
    Body(change): Body<PasswordChange>,
) -> Result<StatusCode, ApiError> {
    api.identity
        .change_password(&caller, change, asked.from)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Show the keys that access tokens are signed with
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "identity", security(()),
    responses((status = 200, body = Jwks, description = "RFC 7517; empty before the first login"))
)]
pub async fn jwks(State(api): State<Api>) -> Json<Jwks> {
    Json(api.identity.jwks())
}

async fn record(
    api: &Api,
    asked: &Asked,
    (by, action, note): (String, &'static str, Note),
    error: Option<&Error>,
) {
    let outcome = match error {
        None => AuditOutcome::Done,
        Some(Error::Denied(Denied::Busy) | Error::Refused(_)) => AuditOutcome::Failed,
        Some(Error::Denied(_)) => AuditOutcome::Refused,
    };
    api.audit
        .record(Event {
            by,
            from: asked.from,
            action,
            target: asked.target.clone(),
            outcome,
            why: error.map(|error| match error {
                Error::Denied(denied) => denied.as_str().to_owned(),
                Error::Refused(refused) => refused.to_string(),
            }),
            request_id: asked.request_id.clone(),
            note,
        })
        .await;
}
