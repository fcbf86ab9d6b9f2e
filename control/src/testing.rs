//! A whole replica in this process, on ports that the system chose, and a client for it.

use crate::{
    run::{self, Running},
    settings::Settings,
};
use clap::Parser as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub const API_TOKEN: &str = "api-token-of-the-tests";
pub const JOIN_TOKEN: &str = "join-token-of-the-tests";
/// What every wait of a test is bounded by.
pub const WAIT_MAX: Duration = Duration::from_mins(1);

/// A replica and its data folder, which outlives a restart.
pub struct Replica {
    pub running: Running,
    settings: Settings,
    folder: TempDir,
    client: reqwest::Client,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Replica {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With more flags.
    pub async fn start_with(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(&folder.path().join("data"), more);
        Self::on(folder, settings).await
    }

    /// Restarts it with these flags instead.
    pub async fn restart_with(mut self, more: &[&str]) -> Self {
        self.settings = settings(&self.settings.data, more);
        self.restart().await
    }

    async fn on(folder: TempDir, settings: Settings) -> Self {
        let running = run::start(&settings).await.unwrap();
        Self {
            running,
            settings,
            folder,
            client: reqwest::Client::new(),
        }
    }

    pub async fn restart(self) -> Self {
        self.restart_after(async |_| ()).await
    }

    /// Restarts it after something happened to its data folder.
    pub async fn restart_after(self, happens: impl AsyncFnOnce(PathBuf)) -> Self {
        self.running.stop().await;
        happens(self.settings.data.clone()).await;
        Self::on(self.folder, self.settings).await
    }

    /// Where it keeps what it keeps.
    pub fn data(&self) -> &Path {
        &self.settings.data
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client
            .request(method, format!("http://{}{path}", self.running.api))
            .timeout(WAIT_MAX)
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path).bearer_auth(API_TOKEN)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        answer(
            self.request(Method::POST, path)
                .bearer_auth(API_TOKEN)
                .json(&body),
        )
        .await
    }

    pub async fn admin(&self, path: &str) -> (StatusCode, String) {
        let answer = self
            .client
            .get(format!("http://{}{path}", self.running.admin))
            .send()
            .await
            .unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// Makes a policy of these sites, each with one host `SITE.example`, the head.
    pub async fn apply(&self, sites: &[&str]) -> Answer {
        let files = json!([{"name": "policy.yaml", "text": policy(sites)}]);
        let answer = self.post("/v1/policies", json!({"files": files})).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer
    }
}

pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    Answer {
        status,
        headers,
        body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
    }
}

pub fn settings(data: &std::path::Path, more: &[&str]) -> Settings {
    let data = data.to_str().unwrap();
    let flags = [
        "latencify-control",
        "--data",
        data,
        "--api-token",
        API_TOKEN,
        "--join-token",
        JOIN_TOKEN,
    ];
    let ports = [
        "--api",
        "127.0.0.1:0",
        "--fleet",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ];
    Settings::try_parse_from(flags.iter().chain(&ports).chain(more)).unwrap()
}

pub fn policy(sites: &[&str]) -> String {
    let site = |site: &&str| {
        format!(
            "  {site}: {{ hosts: [{site}.example], routes: [{{ origins: [app], cache: true }}] }}\n"
        )
    };
    let sites = sites.iter().map(site).collect::<Vec<_>>().concat();
    format!("version: 1\norigins:\n  app: {{ url: \"http://127.0.0.1:9\" }}\nsites:\n{sites}")
}

/// Asks until something holds.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A self-signed certificate for `localhost` and 127.0.0.1, and its key, as files.
pub fn certificate(folder: &std::path::Path) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
        .unwrap();
    let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (chain, key)
}
