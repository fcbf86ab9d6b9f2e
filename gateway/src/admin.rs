//! The private address: `/metrics`, `/healthz`, `/readyz`. It has a listener of its own and is never reached through a
//! site.

use crate::{drain::Drain, edge::Edge};
use async_trait::async_trait;
use http::{Response, StatusCode, header};
use pingora::{apps::http_app::ServeHttp, protocols::http::ServerSession};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// What the private address serves.
pub struct Admin {
    edge: Arc<Edge>,
    listening: Arc<AtomicBool>,
    drain: Arc<Drain>,
}

impl Admin {
    /// `listening` turns true when every public listener is bound.
    pub fn new(edge: Arc<Edge>, listening: Arc<AtomicBool>) -> Self {
        let drain = edge.drain.clone();
        Self {
            edge,
            listening,
            drain,
        }
    }

    /// What to say of an edge that is ready, or why it is not.
    fn readiness(&self) -> Result<String, String> {
        if self.drain.is_begun() {
            return Err("draining".into());
        }
        if !self.listening.load(Ordering::Acquire) {
            return Err("not listening yet".into());
        }
        if self.edge.running().is_none() {
            return Err("no policy runs yet".into());
        }
        let Some(isolated) = self.edge.isolated() else {
            return Ok(self.ready());
        };
        let (why, does) = (isolated.why.as_str(), isolated.does.as_str());
        if isolated.refuses() {
            return Err(format!("isolated ({why}): stored responses are refused"));
        }
        Ok(format!("ready, but isolated ({why}): when_isolated={does}"))
    }

    /// A disk tier that can't be used costs hits, and nothing else.
    fn ready(&self) -> String {
        let disk = self.edge.cache.disk();
        match disk.and_then(|disk| disk.trouble()) {
            Some(fault) => format!("ready, but without the disk tier ({})", fault.name()),
            None => "ready".to_owned(),
        }
    }

    fn answer(&self, path: &str) -> (StatusCode, &'static str, Vec<u8>) {
        const TEXT: &str = "text/plain; charset=utf-8";
        match path {
            "/metrics" => match self.edge.render_metrics() {
                Ok(text) => (
                    StatusCode::OK,
                    "text/plain; version=0.0.4; charset=utf-8",
                    text,
                ),
                Err(error) => (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    TEXT,
                    format!("{error}\n").into_bytes(),
                ),
            },
            "/healthz" => (StatusCode::OK, TEXT, b"ok\n".to_vec()),
            "/readyz" => match self.readiness() {
                Ok(how) => (StatusCode::OK, TEXT, format!("{how}\n").into_bytes()),
                Err(why) => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    TEXT,
                    format!("{why}\n").into_bytes(),
                ),
            },
            _ => (
                StatusCode::NOT_FOUND,
                TEXT,
                b"/metrics /healthz /readyz\n".to_vec(),
            ),
        }
    }
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        let is_read = matches!(request.method.as_str(), "GET" | "HEAD");
        let (status, content_type, body) = if is_read {
            self.answer(request.uri.path())
        } else {
            (
                StatusCode::METHOD_NOT_ALLOWED,
                "text/plain; charset=utf-8",
                b"GET or HEAD\n".to_vec(),
            )
        };
        let head_only = request.method == http::Method::HEAD;
        let length = body.len();
        let mut response = Response::new(if head_only { Vec::new() } else { body });
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static(content_type),
        );
        headers.insert(header::CONTENT_LENGTH, length.into());
        headers.insert(
            header::CACHE_CONTROL,
            header::HeaderValue::from_static("no-store"),
        );
        response
    }
}
