//! The demo origin: what the tour relies on.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod harness;

use harness::latencify;
use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    process::{Child, Stdio},
    time::{Duration, Instant},
};

/// The origin in two places.
struct Origin {
    process: Child,
    paris: String,
    tokyo: String,
    http: reqwest::Client,
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Origin {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports = folder.path().join("ports.json");
        let process = latencify()
            .args([
                "dev-origin",
                "--listen",
                "paris=127.0.0.1:0",
                "--listen",
                "tokyo=127.0.0.1:0",
                "--ports-file",
            ])
            .arg(&ports)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        let bound: Value = loop {
            if let Ok(bytes) = std::fs::read(&ports) {
                break serde_json::from_slice(&bytes).unwrap();
            }
            assert!(Instant::now() < deadline, "the origin does not listen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let url = |place: &str| format!("http://{}", bound[place].as_str().unwrap());
        let http = reqwest::Client::builder()
            .tls_certs_only([])
            .build()
            .unwrap();
        Self {
            process,
            paris: url("paris"),
            tokyo: url("tokyo"),
            http,
        }
    }

    async fn get(&self, place: &str, path: &str) -> reqwest::Response {
        self.http
            .get(format!("{place}{path}"))
            .send()
            .await
            .unwrap()
    }

    async fn post(&self, place: &str, path: &str) -> StatusCode {
        self.http
            .post(format!("{place}{path}"))
            .send()
            .await
            .unwrap()
            .status()
    }
}

#[tokio::test]
async fn pages_say_how_long_they_last_and_what_they_are_tagged() {
    let origin = Origin::start().await;
    let page = origin.get(&origin.paris, "/articles/7").await;
    assert_eq!(page.headers()["cache-control"], "public, max-age=3600");
    assert_eq!(page.headers()["surrogate-key"], "page article article-7");
    assert_eq!(page.headers()["etag"], "\"1\"");
    for path in ["/where", "/uncacheable", "/france", "/api/hello"] {
        assert_eq!(
            origin.get(&origin.paris, path).await.headers()["cache-control"],
            "no-store",
            "{path}"
        );
    }
}

#[tokio::test]
async fn publishing_in_one_place_changes_the_pages_of_all() {
    let origin = Origin::start().await;
    assert_eq!(origin.post(&origin.paris, "/publish").await, StatusCode::OK);
    for place in [&origin.paris, &origin.tokyo] {
        assert!(
            origin
                .get(place, "/")
                .await
                .text()
                .await
                .unwrap()
                .contains("Version 2")
        );
    }
}

#[tokio::test]
async fn a_place_goes_down_alone_and_comes_back() {
    let origin = Origin::start().await;
    origin.post(&origin.tokyo, "/down").await;
    for path in ["/", "/healthz", "/where"] {
        assert_eq!(
            origin.get(&origin.tokyo, path).await.status(),
            StatusCode::SERVICE_UNAVAILABLE,
            "{path}"
        );
        assert_eq!(
            origin.get(&origin.paris, path).await.status(),
            StatusCode::OK,
            "{path}"
        );
    }
    origin.post(&origin.tokyo, "/up").await;
    assert_eq!(
        origin.get(&origin.tokyo, "/healthz").await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn events_are_streamed() {
    let origin = Origin::start().await;
    let mut events = origin.get(&origin.tokyo, "/events").await;
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let first = events.chunk().await.unwrap().unwrap();
    assert!(
        first.starts_with(b"id: 0\ndata: tick 0 from tokyo"),
        "{first:?}"
    );
}

#[tokio::test]
async fn sigterm_ends_it_well() {
    let mut origin = Origin::start().await;
    let id = Pid::from_raw(i32::try_from(origin.process.id()).unwrap()).unwrap();
    kill_process(id, Signal::TERM).unwrap();
    assert!(origin.process.wait().unwrap().success());
}
