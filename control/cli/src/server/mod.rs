//! The control API as a client sees it: one address, one token; writes carry an idempotency key, so that trying again is safe.

mod attempt;
mod build;

use crate::{args::ServerArgs, failure::Failure};
use attempt::Attempt;
use http::Method;
use latencify_conf::{
    api::{IDEMPOTENCY_KEY, Problem},
    change::KEY_BYTES_MAX,
};
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use url::Url;
use uuid::Uuid;

/// The most attempts of one request.
const ATTEMPTS_MAX: u32 = 6;
/// Before the second attempt; it doubles from there.
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
/// The longest pause between two attempts, whatever the server asks for.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// A control service to ask.
pub struct Server {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
}

/// One request, as often as it must be sent.
struct Request {
    method: Method,
    url: Url,
    key: Option<String>,
    content_type: &'static str,
    body: Option<Vec<u8>>,
}

impl Server {
    /// A client for this address, with this token.
    pub fn new(args: &ServerArgs) -> Result<Self, Failure> {
        Ok(Self {
            http: build::client(args)?,
            base: build::base(&args.server)?,
            token: build::token(args)?,
        })
    }

    /// `GET`, again while the server is briefly away.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let url = self.url(path)?;
        self.ask(
            Request {
                method: Method::GET,
                url,
                key: None,
                content_type: JSON,
                body: None,
            },
            None,
        )
        .await
    }

    /// `GET` within a longer wait: keeps trying until `deadline`, even while nothing listens.
    pub async fn get_until<T: DeserializeOwned>(
        &self,
        path: &str,
        deadline: Instant,
    ) -> Result<T, Failure> {
        let url = self.url(path)?;
        self.ask(
            Request {
                method: Method::GET,
                url,
                key: None,
                content_type: JSON,
                body: None,
            },
            Some(deadline),
        )
        .await
    }

    /// `POST` of a JSON body, safe to repeat by its key.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        key: Option<String>,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Failure::failed(format!("the request can't be encoded: {error}")))?;
        self.post_bytes(path, key, JSON, body).await
    }

    /// `POST` of a body as it is.
    pub async fn post_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        key: Option<String>,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Result<T, Failure> {
        let (url, key) = (self.url(path)?, Some(write_key(key)?));
        self.ask(
            Request {
                method: Method::POST,
                url,
                key,
                content_type,
                body: Some(body),
            },
            None,
        )
        .await
    }

    /// `DELETE`, which may be repeated as it is (RFC 9110 §9.2.2).
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let url = self.url(path)?;
        let request = Request {
            method: Method::DELETE,
            url,
            key: None,
            content_type: JSON,
            body: None,
        };
        self.ask(request, None).await
    }

    fn url(&self, path: &str) -> Result<Url, Failure> {
        let path = path.trim_start_matches('/');
        self.base
            .join(path)
            .map_err(|error| Failure::usage(format!("{}{path} is no URL: {error}", self.base)))
    }

    /// Sends until the answer is final. A refused connection at the first attempt is final too, unless there is a
    /// deadline: nothing was sent, and whoever typed a wrong address should hear of it at once.
    async fn ask<T: DeserializeOwned>(
        &self,
        request: Request,
        deadline: Option<Instant>,
    ) -> Result<T, Failure> {
        let mut backoff = BACKOFF_FIRST;
        let mut attempt = 1;
        loop {
            let (failure, pause) = match self.send(&request).await {
                Attempt::Answer(bytes) => return decode(&request.url, &bytes),
                Attempt::Final(failure) => return Err(failure),
                Attempt::Unreached(failure) if attempt == 1 && deadline.is_none() => {
                    return Err(failure);
                }
                Attempt::Unreached(failure) => (failure, None),
                Attempt::Again { failure, after } => (failure, after),
            };
            let pause = pause.unwrap_or(backoff).min(BACKOFF_MAX);
            let over = deadline.map_or(attempt >= ATTEMPTS_MAX, |deadline| {
                Instant::now() + pause >= deadline
            });
            if over {
                return Err(failure);
            }
            sleep(pause).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
            attempt = attempt.saturating_add(1);
        }
    }

    async fn send(&self, request: &Request) -> Attempt {
        let mut builder = self
            .http
            .request(request.method.clone(), request.url.clone());
        if let Some(token) = &self.token {
            builder = builder.bearer_auth(token);
        }
        if let Some(key) = &request.key {
            builder = builder.header(IDEMPOTENCY_KEY, key);
        }
        if let Some(body) = &request.body {
            builder = builder
                .header(http::header::CONTENT_TYPE, request.content_type)
                .body(body.clone());
        }
        attempt::classify(&self.base, builder.send().await).await
    }
}

const JSON: &str = "application/json";

/// The user's key, or a new one: every write has one.
fn write_key(given: Option<String>) -> Result<String, Failure> {
    match given {
        None => Ok(Uuid::now_v7().to_string()),
        Some(key)
            if !key.is_empty()
                && key.len() <= KEY_BYTES_MAX
                && key.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Ok(key)
        }
        Some(_) => Err(Failure::usage(format!(
            "an idempotency key has 1 to {KEY_BYTES_MAX} visible ASCII characters"
        ))),
    }
}

fn decode<T: DeserializeOwned>(url: &Url, bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        Failure::failed(format!("what {url} answered is not understood: {error}"))
            .with_help("is it a latencify control service, and of this version? see --server")
    })
}

/// A problem as a failure; refused policies keep their lines.
fn refused(problem: Problem) -> Failure {
    Failure::Refused(Box::new(problem))
}
