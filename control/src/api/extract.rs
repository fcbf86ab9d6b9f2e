//! Reading requests so that whatever is wrong becomes a problem that says where.

use super::{ApiError, BODY_BYTES_MAX, Kind, POLICY_BODY_BYTES_MAX};
use crate::writer::Key;
use axum::{
    extract::{FromRequest, FromRequestParts, Request, rejection::BytesRejection},
    http::{HeaderMap, header, request::Parts},
};
use bytes::Bytes;
use latencify_conf::{
    api::IDEMPOTENCY_KEY,
    change::{KEY_BYTES_MAX, Revision},
    digest::Digest,
};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A JSON body, and the idempotency key that came with it.
pub struct Write<T> {
    /// The body.
    pub body: T,
    /// The key, bound to this very request.
    pub key: Option<Key>,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Write<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (headers, path) = (request.headers().clone(), request.uri().path().to_owned());
        expect_json(&headers)?;
        let bytes = body(request, state).await?;
        let key = key(&headers, &path, &bytes)?;
        let body = serde_json::from_slice(&bytes)
            .map_err(|error| ApiError::new(Kind::BadBody, error.to_string()))?;
        Ok(Self { body, key })
    }
}

/// A JSON body that is no write to the log, or one that may be repeated as it is.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        expect_json(request.headers())?;
        let bytes = zeroize::Zeroizing::new(body(request, state).await?.to_vec());
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| ApiError::new(Kind::BadBody, error.to_string()))
    }
}

/// A query whose errors are problems.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|query| Self(query.0))
            .map_err(|error| ApiError::new(Kind::BadRequest, error.body_text()))
    }
}

/// A path whose errors are problems.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0))
            .map_err(|error| ApiError::new(Kind::BadRequest, error.body_text()))
    }
}

/// The whole body, within the limit of its route.
pub async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    let most = bytes_max(request.uri().path());
    Bytes::from_request(request, state)
        .await
        .map_err(|error: BytesRejection| {
            if Kind::of_status(error.status()) == Kind::TooLarge {
                let detail =
                    format!("the body is larger than {most} bytes, the most for this path");
                ApiError::new(Kind::TooLarge, detail)
            } else {
                ApiError::new(Kind::BadBody, error.body_text())
            }
        })
}

/// The limit that the routes set for the bodies of a path.
fn bytes_max(path: &str) -> usize {
    if path == "/v1/policies" {
        POLICY_BODY_BYTES_MAX
    } else {
        BODY_BYTES_MAX
    }
}

/// Whether a media type is JSON, whatever its parameters.
pub fn is_json(media_type: &str) -> bool {
    let essence = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

/// A revision in a path: a number, or `head` (none).
pub fn revision(text: &str) -> Result<Option<Revision>, ApiError> {
    if text == "head" {
        return Ok(None);
    }
    let number = text.parse().map_err(|_| {
        ApiError::new(
            Kind::BadRequest,
            format!("a revision is a number or `head`, not {text:?}"),
        )
    })?;
    Ok(Some(Revision(number)))
}

/// A duration in a query: `500ms`, `5s`, `1m`, or seconds as a number.
pub fn duration(text: &str) -> Result<Duration, ApiError> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => Some(0.001),
        "s" | "" => Some(1.0),
        "m" => Some(60.0),
        _ => None,
    };
    let duration = number
        .parse::<f64>()
        .ok()
        .zip(seconds)
        .map(|(number, seconds)| number * seconds);
    duration
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| {
            ApiError::new(
                Kind::BadRequest,
                format!("a duration is written 500ms, 5s or 1m, not {text:?}"),
            )
        })
}

pub fn expect_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if is_json(media_type) {
        return Ok(());
    }
    Err(ApiError::new(
        Kind::MediaType,
        format!("send Content-Type: application/json, not {media_type:?}"),
    ))
}

pub fn key(headers: &HeaderMap, path: &str, body: &[u8]) -> Result<Option<Key>, ApiError> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let bad = || {
        let detail = format!("an Idempotency-Key is 1 to {KEY_BYTES_MAX} visible ASCII characters");
        ApiError::new(Kind::BadRequest, detail)
    };
    let text = value.to_str().map_err(|_| bad())?;
    if !(1..=KEY_BYTES_MAX).contains(&text.len()) {
        return Err(bad());
    }
    Ok(Some(Key {
        name: format!("api/{text}"),
        request: Digest::of_parts([path.as_bytes(), body]),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_or_refused() {
        let cases = [
            ("5s", Some(5_000)),
            ("500ms", Some(500)),
            ("1.5s", Some(1_500)),
            ("2m", Some(120_000)),
            ("3", Some(3_000)),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("5h", None),
            ("1.2.3s", None),
            ("1e9s", None),
        ];
        for (text, expected_ms) in cases {
            let expected = expected_ms.map(Duration::from_millis);
            assert_eq!(duration(text).ok(), expected, "{text:?}");
        }
    }
}
