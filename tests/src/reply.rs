//! What an origin answers.

use crate::body::{self, Body};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use std::fmt::Display;

/// Builds an answer: `reply::text("hello").max_age(60).tag("a").done()`.
#[derive(Debug)]
#[must_use]
pub struct Answer(Response<Body>);

/// 200 with a text.
pub fn text(text: impl Into<String>) -> Answer {
    of(body::full(text.into())).header("content-type", "text/plain")
}

/// 200 with that body.
pub fn of(body: Body) -> Answer {
    Answer(Response::new(body))
}

/// That status and no body.
pub fn status(status: u16) -> Answer {
    of(body::empty()).status(status)
}

impl Answer {
    /// Another status.
    pub fn status(mut self, status: u16) -> Self {
        *self.0.status_mut() = StatusCode::from_u16(status).unwrap();
        self
    }

    /// One more header line.
    pub fn header(mut self, name: &'static str, value: impl Display) -> Self {
        let value = HeaderValue::from_str(&value.to_string()).unwrap();
        self.0
            .headers_mut()
            .append(HeaderName::from_static(name), value);
        self
    }

    /// `Cache-Control: max-age=SECONDS`.
    pub fn max_age(self, seconds: u64) -> Self {
        self.header("cache-control", format_args!("max-age={seconds}"))
    }

    /// `Cache-Control: no-store`.
    pub fn no_store(self) -> Self {
        self.header("cache-control", "no-store")
    }

    /// A tag (`Surrogate-Key`).
    pub fn tag(self, tag: &str) -> Self {
        self.header("surrogate-key", tag)
    }

    /// The answer.
    pub fn done(self) -> Response<Body> {
        self.0
    }
}
