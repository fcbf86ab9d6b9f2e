//! Waiting for what was started: until it says that it is ready, until it ends, or until the time is over.

use super::{
    children::{Children, News},
    layout::Layout,
};
use crate::{failure::Failure, output::Progress};
use serde::de::DeserializeOwned;
use std::{fs, net::SocketAddr, time::Duration};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

/// Between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(30);
/// For one question of readiness.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The steps of a start.
pub struct Steps<'a> {
    layout: &'a Layout,
    progress: Progress,
    http: reqwest::Client,
    done: u64,
}

impl<'a> Steps<'a> {
    /// Steps that are shown by this progress.
    pub fn new(layout: &'a Layout, progress: Progress) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .tls_certs_only([])
            .no_proxy()
            .timeout(PROBE_TIMEOUT)
            .build();
        let http = http.map_err(|error| Failure::failed(format!("no HTTP client: {error}")))?;
        Ok(Self {
            layout,
            progress,
            http,
            done: 0,
        })
    }

    /// What comes next.
    pub fn next(&mut self, what: &str) {
        self.progress.at(self.done, what);
        self.done += 1;
    }

    /// The addresses that a child has bound, once it has written them.
    pub async fn ports<T: DeserializeOwned>(
        &self,
        name: &str,
        limit: Duration,
        children: &mut Children,
    ) -> Result<T, Failure> {
        let file = self.layout.ports(name);
        let bound = async || {
            fs::read(&file)
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        };
        self.until(&format!("{name} to listen"), limit, children, bound)
            .await
    }

    /// Until an admin address answers `/readyz` with 200.
    pub async fn ready(
        &self,
        name: &str,
        admin: SocketAddr,
        limit: Duration,
        children: &mut Children,
    ) -> Result<(), Failure> {
        let url = format!("http://{admin}/readyz");
        let ready = async || {
            let answer = self.http.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        };
        self.until(&format!("{name} to be ready"), limit, children, ready)
            .await
    }

    /// Until something listens.
    pub async fn listens(
        &self,
        name: &str,
        address: SocketAddr,
        limit: Duration,
        children: &mut Children,
    ) -> Result<(), Failure> {
        let listens = async || TcpStream::connect(address).await.ok().map(drop);
        self.until(&format!("{name} to listen"), limit, children, listens)
            .await
    }

    /// Until `look` finds something. A child that ends meanwhile, whichever, fails the start.
    pub async fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        children: &mut Children,
        look: impl AsyncFn() -> Option<T>,
    ) -> Result<T, Failure> {
        let deadline = Instant::now() + limit;
        let found = async {
            loop {
                if let Some(found) = look().await {
                    return Some(found);
                }
                if Instant::now() >= deadline {
                    return None;
                }
                sleep(LOOK_PAUSE).await;
            }
        };
        tokio::select! {
            found = found => found.ok_or_else(|| {
                Failure::failed(format!("waited {limit:?} for {what}"))
                    .with_help(format!("the logs lie in {}", self.layout.dir.join("logs").display()))
            }),
            Some(News::Ended(ended)) = children.next() => Err(Failure::failed(ended.to_string())),
        }
    }
}
