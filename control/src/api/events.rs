//! `/v1/events`: content events by HTTP (CloudEvents 1.0, HTTP protocol binding §3).

use super::{Api, ApiError, Kind, extract};
use crate::{audit::Note, identity::Caller};
use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
};
use latencify_conf::{
    api::{EventAccepted, Problem},
    event::{Attributes, ContentEvent, STRUCTURED},
};
use percent_encoding::percent_decode_str;

/// Take a content event
///
/// Structured mode (`application/cloudevents+json`) or binary mode (`ce-*` headers, data as `application/json`).
#[utoipa::path(
    post, path = "/v1/events", tag = "events",
    request_body(content = serde_json::Value, content_type = "application/cloudevents+json"),
    responses(
        (status = 202, description = "It is in the log, and what it names is purged", body = EventAccepted),
        (status = 415, description = "Neither mode", body = Problem),
        (status = 422, description = "It can't be read, or names what no policy knows", body = Problem),
        (status = 503, description = "The log is out of reach; send it again", body = Problem),
    )
)]
pub async fn accept(
    State(api): State<Api>,
    caller: Caller,
    note: Note,
    request: Request,
) -> Result<(StatusCode, Json<EventAccepted>), ApiError> {
    let metrics = &api.control.fleet.metrics;
    let headers = request.headers().clone();
    let body = extract::body(request, &()).await?;
    let event = read(&headers, &body)?.map_err(|error| {
        metrics.event(error.as_str());
        ApiError::new(Kind::EventInvalid, error.to_string())
    })?;
    let taken = api.control.take_event(event, Some(&caller)).await?;
    metrics.event(if taken.repeat { "repeat" } else { "accepted" });
    let accepted = EventAccepted {
        purge: taken.id.to_string(),
        epoch: taken.epoch,
        repeat: taken.repeat,
    };
    note.after(&accepted);
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

type Read = Result<ContentEvent, latencify_conf::event::EventError>;

fn read(headers: &HeaderMap, body: &[u8]) -> Result<Read, ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let media_type = text(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let essence = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if essence == STRUCTURED {
        return Ok(ContentEvent::from_structured(body));
    }
    if essence == "application/cloudevents-batch+json" {
        return Err(ApiError::new(
            Kind::MediaType,
            "batches are not read: send events one by one",
        ));
    }
    if !headers.keys().any(|name| name.as_str().starts_with("ce-")) {
        let detail =
            format!("send {STRUCTURED}, or application/json with ce-* headers, not {media_type:?}");
        return Err(ApiError::new(Kind::MediaType, detail));
    }
    // Values are percent-encoded (HTTP protocol binding §3.1.3.2).
    let decoded = |name: &str| {
        text(name).map(|value| percent_decode_str(value).decode_utf8_lossy().into_owned())
    };
    let [specversion, id, source, kind] =
        ["ce-specversion", "ce-id", "ce-source", "ce-type"].map(decoded);
    let attributes = Attributes {
        specversion: specversion.as_deref(),
        id: id.as_deref(),
        source: source.as_deref(),
        kind: kind.as_deref(),
        datacontenttype: Some(media_type).filter(|text| !text.is_empty()),
    };
    Ok(ContentEvent::from_binary(&attributes, body))
}
