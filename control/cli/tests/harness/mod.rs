//! Runs the real binary, and answers it as scripted where only its side of a conversation is under test.
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    reason = "tests: each file uses its part"
)]

pub mod shop;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use std::{
    collections::VecDeque,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Output},
    sync::{Arc, Mutex},
};

/// What a run of the binary came to.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// The binary, without whatever the caller's environment says of a control service.
pub fn latencify() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latencify"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| {
        name.to_str()
            .is_some_and(|name| name.starts_with("LATENCIFY_"))
    }) {
        command.env_remove(name);
    }
    command
        .env("LATENCIFY_CACHE", "/nonexistent")
        .env("LATENCIFY_CONFIG", "/nonexistent");
    command
}

pub fn run(arguments: &[&str]) -> Ran {
    ran(latencify().args(arguments).output().unwrap())
}

pub fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ran {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.out, self.err
        );
        self
    }

    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            let said = format!("{}{}", self.out, self.err);
            assert!(said.contains(part), "{part:?} is not in:\n{said}");
        }
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Arrived {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A scripted answer.
pub struct Answer {
    status: StatusCode,
    content_type: &'static str,
    retry_after: Option<&'static str>,
    body: String,
}

impl Answer {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub fn problem(body: &Value) -> Self {
        let status = u16::try_from(body["status"].as_u64().unwrap()).unwrap();
        Self::new(status, "application/problem+json", body.to_string())
    }

    pub fn text(status: u16, body: &str) -> Self {
        Self::new(status, "text/plain", body.to_owned())
    }

    pub fn retry_at_once(mut self) -> Self {
        self.retry_after = Some("0");
        self
    }

    fn new(status: u16, content_type: &'static str, body: String) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap(),
            content_type,
            retry_after: None,
            body,
        }
    }
}

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    arrived: Vec<Arrived>,
}

/// Answers requests in the order of a script, and remembers them; the last answer repeats.
pub struct Scripted {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

impl Scripted {
    pub fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let script = Arc::new(Mutex::new(Script {
            answers: answers.into_iter().collect(),
            arrived: Vec::new(),
        }));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&script));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router)
                    .await
                    .unwrap();
            });
        });
        Self { address, script }
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        let server = self.url();
        ran(latencify()
            .env("LATENCIFY_SERVER", server)
            .env("LATENCIFY_API_TOKEN", "s3cret")
            .args(arguments)
            .output()
            .unwrap())
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn arrived(&self) -> Vec<Arrived> {
        self.script.lock().unwrap().arrived.clone()
    }
}

async fn answer(
    State(script): State<Arc<Mutex<Script>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut script = script.lock().unwrap();
    script.arrived.push(Arrived {
        method,
        uri,
        headers,
        body,
    });
    let last = script.answers.len() <= 1;
    let next = if last { script.answers.front() } else { None };
    let (status, content_type, retry_after, body) = match next {
        Some(answer) => (
            answer.status,
            answer.content_type,
            answer.retry_after,
            answer.body.clone(),
        ),
        None => match script.answers.pop_front() {
            Some(answer) => (
                answer.status,
                answer.content_type,
                answer.retry_after,
                answer.body,
            ),
            None => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "text/plain",
                None,
                "no answer was scripted".to_owned(),
            ),
        },
    };
    let mut response = (status, [(header::CONTENT_TYPE, content_type)], body).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(
            HeaderName::from_static("retry-after"),
            seconds.parse().unwrap(),
        );
    }
    response
}
