//! What one attempt of a request came to.

use super::refused;
use crate::failure::Failure;
use http::{StatusCode, header};
use latencify_conf::api::Problem;
use std::{error::Error, time::Duration};
use url::Url;

/// The most bytes of one answer: a policy's files, escaped as JSON.
const ANSWER_BYTES_MAX: usize = 80 * 1024 * 1024;
/// So much of an answer that is not ours is shown.
const FOREIGN_CHARS_MAX: usize = 300;

/// What one attempt came to.
pub enum Attempt {
    /// Success, with this body.
    Answer(Vec<u8>),
    /// Trying again would not help.
    Final(Failure),
    /// Nobody listens there; nothing was sent.
    Unreached(Failure),
    /// It may have been done or not: trying again with the same key settles it.
    Again {
        /// In case that there is no further attempt.
        failure: Failure,
        /// As the server asked.
        after: Option<Duration>,
    },
}

/// Reads the answer, or why there is none.
pub async fn classify(base: &Url, sent: Result<reqwest::Response, reqwest::Error>) -> Attempt {
    let response = match sent {
        Ok(response) => response,
        Err(error) if error.is_connect() => return Attempt::Unreached(unreachable(base, &error)),
        Err(error) => {
            return Attempt::Again {
                failure: lost(base, &error),
                after: None,
            };
        }
    };
    let status = response.status();
    let after = retry_after(&response);
    let is_problem = content_type(&response).starts_with("application/problem+json");
    let body = match read(response).await {
        Ok(body) => body,
        Err(Unread::Lost(error)) => {
            return Attempt::Again {
                failure: lost(base, &error),
                after: None,
            };
        }
        Err(Unread::TooLarge) => {
            return Attempt::Final(Failure::failed(format!(
                "what {base} answers is larger than {ANSWER_BYTES_MAX} bytes"
            )));
        }
    };
    if status.is_success() {
        return Attempt::Answer(body);
    }
    let problem = if is_problem {
        serde_json::from_slice(&body).ok()
    } else {
        None
    };
    let problem: Problem = problem.unwrap_or_else(|| foreign(base, status, &body));
    let away = matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    );
    let again = away || problem.retryable;
    let failure = refused(problem);
    if again {
        Attempt::Again { failure, after }
    } else {
        Attempt::Final(failure)
    }
}

enum Unread {
    Lost(reqwest::Error),
    TooLarge,
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Unread::Lost)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn content_type(response: &reqwest::Response) -> &str {
    response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let seconds = response
        .headers()
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

/// An answer that is no problem of ours: a proxy in between, or another program.
fn foreign(base: &Url, status: StatusCode, body: &[u8]) -> Problem {
    let text: String = String::from_utf8_lossy(body)
        .chars()
        .take(FOREIGN_CHARS_MAX)
        .collect();
    let remedy = format!("this is not how control answers: is {base} right (--server)?");
    Problem {
        kind: "about:blank".to_owned(),
        title: status
            .canonical_reason()
            .unwrap_or("unknown status")
            .to_owned(),
        status: status.as_u16(),
        detail: Some(if text.trim().is_empty() {
            remedy
        } else {
            format!("{}\n{remedy}", text.trim())
        }),
        request_id: None,
        retryable: false,
        errors: Vec::new(),
    }
}

fn unreachable(base: &Url, error: &reqwest::Error) -> Failure {
    let reason = deepest(error);
    let help = match (base.scheme(), reason.contains("certificate")) {
        ("https", true) => "name the CA that signed control's certificate with --ca FILE, or by its fingerprint with --ca-fingerprint; of its own one, \
              control tells both at its start"
                .to_owned(),
        _ => "is control running there? start a small CDN with `latencify dev`, or say where control is with --server URL or \
              LATENCIFY_SERVER"
            .to_owned(),
    };
    Failure::failed(format!("control can't be reached at {base}: {reason}")).with_help(help)
}

fn lost(base: &Url, error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        return no_answer(base);
    }
    Failure::failed(format!("control at {base} broke off: {}", deepest(error)))
}

/// The time is over, and nothing was heard.
pub fn no_answer(base: &Url) -> Failure {
    Failure::failed(format!("control at {base} did not answer in time")).with_help(
        "it listens and says nothing: is it stopped, or overloaded? its log and /readyz of its admin address tell; --server URL \
         names another one",
    )
}

/// The first cause, which says what happened; the layers above only say where.
pub fn deepest(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
