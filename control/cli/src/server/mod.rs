//! The control API as a client sees it: one address, one token; writes carry an idempotency key, so that trying again is safe.

mod attempt;
mod build;
mod patience;
mod pinned;
mod session;

pub use patience::Patience;

use crate::{args::ServerArgs, failure::Failure, output};
use attempt::Attempt;
use http::Method;
use latencify_conf::{
    api::{IDEMPOTENCY_KEY, LoggedIn, Problem},
    change::KEY_BYTES_MAX,
};
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;
use tokio::time::{sleep, timeout_at};
use url::Url;
use uuid::Uuid;

/// Before the second attempt; it doubles from there.
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
/// The longest pause between two attempts, whatever the server asks for.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// The shortest one, likewise.
const BACKOFF_MIN: Duration = Duration::from_millis(20);

/// A control service to ask.
pub struct Server {
    http: reqwest::Client,
    base: Url,
    /// As it was given; wins over a session.
    token: Option<String>,
    /// Where the session is kept, unless a token was given.
    place: Option<session::Place>,
}

/// One request, as often as it must be sent.
struct Request {
    method: Method,
    url: Url,
    key: Option<String>,
    /// With its media type.
    body: Option<(&'static str, Vec<u8>)>,
}

impl Request {
    fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            key: None,
            body: None,
        }
    }

    /// The failure, and how this request is repeated without doing it twice.
    fn repeatable(&self, failure: Failure) -> Failure {
        match &self.key {
            Some(key) => failure.and_then(&format!(
                "whether it was done is not known; to repeat it safely, add --idempotency-key {key}"
            )),
            None => failure,
        }
    }
}

impl Server {
    /// A client for this address, with this token.
    pub fn new(args: &ServerArgs) -> Result<Self, Failure> {
        let server = Self::of_session(args)?;
        let token = build::token(args)?;
        Ok(Self {
            place: server.place.filter(|_| token.is_none()),
            token,
            ..server
        })
    }

    /// The same with the session that is kept, whatever token is given.
    pub fn of_session(args: &ServerArgs) -> Result<Self, Failure> {
        let base = build::base(&args.server)?;
        Ok(Self {
            http: build::client(args)?,
            place: session::Place::of(&base),
            base,
            token: None,
        })
    }

    /// Whether a token is given, by an option or in the environment: it wins over the session that is kept.
    pub fn is_given_a_token(args: &ServerArgs) -> bool {
        matches!(build::token(args), Ok(Some(_)))
    }

    /// Its address.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Whether a session is kept.
    pub fn has_session(&self) -> bool {
        let kept = self.place.as_ref().map(session::Place::read);
        matches!(kept, Some(Ok(Some(_))))
    }

    /// Keeps what a login gave.
    pub fn keep_session(&self, user: &str, given: &LoggedIn) -> Result<(), Failure> {
        let Some(place) = &self.place else {
            return Err(Failure::failed("there is no folder to keep the session in")
                .with_help("set HOME, or LATENCIFY_CONFIG to a folder that only you may read"));
        };
        let _lock = place.lock()?;
        place.keep(user, given).map(|_| ())
    }

    /// Forgets the session.
    pub fn forget_session(&self) -> Result<(), Failure> {
        match &self.place {
            None => Ok(()),
            Some(place) => {
                let _lock = place.lock()?;
                place.forget()
            }
        }
    }

    /// The token to ask with: the given one, or the session's, refreshed if it is about to expire.
    async fn token(&self) -> Result<Option<String>, Failure> {
        let (None, Some(place)) = (&self.token, &self.place) else {
            return Ok(self.token.clone());
        };
        let Some(session) = place.read()? else {
            return Ok(None);
        };
        if let Some(token) = session.access() {
            return Ok(Some(token));
        }
        let _lock = place.lock()?;
        // Another command may have refreshed it meanwhile, or ended it.
        let Some(session) = place.read()? else {
            return Ok(None);
        };
        if let Some(token) = session.access() {
            return Ok(Some(token));
        }
        let given: LoggedIn = self
            .post_once("v1/login/refresh", &session.refresh())
            .await
            .map_err(|failure| {
                failure.and_then(&format!("log in again: latencify login {}", session.user))
            })?;
        Ok(place.keep(&session.user, &given)?.access())
    }

    /// `POST` without a token, once: what it gives is given once.
    pub async fn post_once<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let request = Request {
            body: Some((JSON, encoded(body)?)),
            ..Request::new(Method::POST, self.url(path)?)
        };
        match self.send(&request, None).await {
            Attempt::Answer(bytes) => decode(&request.url, &bytes),
            Attempt::Final(failure)
            | Attempt::Unreached(failure)
            | Attempt::Again { failure, .. } => Err(failure),
        }
    }

    /// `PUT`, which may be repeated as it is (RFC 9110 §9.2.2).
    pub async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.change(Method::PUT, path, body).await
    }

    /// `PATCH` of what may be repeated as it is.
    pub async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.change(Method::PATCH, path, body).await
    }

    async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let request = Request {
            body: Some((JSON, encoded(body)?)),
            ..Request::new(method, self.url(path)?)
        };
        self.ask(request, Patience::brief()).await
    }

    /// `GET`, again while the server is briefly away.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.get_within(path, Patience::of_a_read()).await
    }

    /// `GET` within a longer wait.
    pub async fn get_within<T: DeserializeOwned>(
        &self,
        path: &str,
        patience: Patience,
    ) -> Result<T, Failure> {
        let request = Request::new(Method::GET, self.url(path)?);
        self.ask(request, patience).await
    }

    /// `POST` of a JSON body, safe to repeat by its key.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        key: Option<String>,
        body: &impl Serialize,
        patience: Patience,
    ) -> Result<T, Failure> {
        let request = Request {
            key: Some(write_key(key)?),
            body: Some((JSON, encoded(body)?)),
            ..Request::new(Method::POST, self.url(path)?)
        };
        self.ask(request, patience).await
    }

    /// `POST` of a body that says itself what it repeats, as an event does by its id.
    pub async fn post_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Result<T, Failure> {
        let request = Request {
            body: Some((content_type, body)),
            ..Request::new(Method::POST, self.url(path)?)
        };
        self.ask(request, Patience::brief()).await
    }

    /// `DELETE`, which may be repeated as it is (RFC 9110 §9.2.2).
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let request = Request::new(Method::DELETE, self.url(path)?);
        self.ask(request, Patience::brief()).await
    }

    fn url(&self, path: &str) -> Result<Url, Failure> {
        let path = path.trim_start_matches('/');
        self.base
            .join(path)
            .map_err(|error| Failure::usage(format!("{}{path} is no URL: {error}", self.base)))
    }

    /// Sends until the answer is final or patience ends, and says on stderr what it waits for. A refused connection at
    /// the first attempt is final too, unless the server is known: nothing was sent, and whoever typed a wrong address
    /// should hear of it at once.
    async fn ask<T: DeserializeOwned>(
        &self,
        request: Request,
        patience: Patience,
    ) -> Result<T, Failure> {
        let token = self.token().await?;
        let mut backoff = BACKOFF_FIRST;
        let mut attempt = 1;
        // What the server last said is worth more than that the time is over.
        let mut said = None;
        loop {
            let sent = timeout_at(
                patience.attempt_ends(attempt),
                self.send(&request, token.as_deref()),
            )
            .await;
            let (failure, pause) = match sent {
                Ok(Attempt::Answer(bytes)) => return decode(&request.url, &bytes),
                Ok(Attempt::Final(failure)) => return Err(failure),
                Ok(Attempt::Unreached(failure)) if attempt == 1 && !patience.waits_for_server => {
                    return Err(failure);
                }
                Ok(Attempt::Unreached(failure)) => (failure, None),
                Ok(Attempt::Again { failure, after }) => (failure, after),
                Err(_) => {
                    let failure = said.unwrap_or_else(|| attempt::no_answer(&self.base));
                    return Err(request.repeatable(failure));
                }
            };
            let pause = pause.unwrap_or(backoff).clamp(BACKOFF_MIN, BACKOFF_MAX);
            let Some(left) = patience.left_after(attempt, pause) else {
                return Err(request.repeatable(failure));
            };
            output::remark(&format!(
                "{}; trying again, {} s left",
                failure.in_short(),
                left.as_secs_f64().ceil()
            ));
            said = Some(failure);
            sleep(pause).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
            attempt = attempt.saturating_add(1);
        }
    }

    async fn send(&self, request: &Request, token: Option<&str>) -> Attempt {
        let mut builder = self
            .http
            .request(request.method.clone(), request.url.clone());
        if let Some(token) = token {
            builder = builder.bearer_auth(token);
        }
        if let Some(key) = &request.key {
            builder = builder.header(IDEMPOTENCY_KEY, key);
        }
        if let Some((content_type, body)) = &request.body {
            builder = builder
                .header(http::header::CONTENT_TYPE, *content_type)
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

fn encoded(body: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(body)
        .map_err(|error| Failure::failed(format!("the request can't be encoded: {error}")))
}

/// An answer without a body says nothing.
fn decode<T: DeserializeOwned>(url: &Url, bytes: &[u8]) -> Result<T, Failure> {
    let bytes = if bytes.is_empty() { b"null" } else { bytes };
    serde_json::from_slice(bytes).map_err(|error| {
        Failure::failed(format!("what {url} answered is not understood: {error}"))
            .with_help("is it a latencify control service, and of this version? see --server")
    })
}

/// A problem as a failure; refused policies keep their lines.
fn refused(problem: Problem) -> Failure {
    Failure::Refused(Box::new(problem))
}
