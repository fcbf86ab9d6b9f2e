//! Publishes one version after the other: the origin has it, a hard purge is sent until it is accepted, and its receipt
//! is waited for. Then, and only then, clients may count on it.

use super::{SOON, hammer::Seen};
use http::Method;
use latencify_conf::{
    api::{
        IDEMPOTENCY_KEY, PolicySubmission, PurgeAccepted, PurgeReceipt, PurgeRequest, PurgeTarget,
    },
    bundle::File,
    change::Mode,
};
use latencify_tests::{Chance, Client, Control, Reply, body};
use serde::Serialize;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

/// So long one question to control may take before it is asked again.
const ANSWER_MAX: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_millis(20);

/// How control's API is reached.
#[derive(Clone, Copy)]
pub enum Api<'a> {
    /// Wherever its process is in its life: the address stays.
    Plain(SocketAddr, &'static str),
    /// Over TLS.
    Of(&'a Control),
}

impl Api<'_> {
    async fn ask(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&impl Serialize>,
    ) -> anyhow::Result<Reply> {
        let (address, token) = match self {
            Self::Of(control) => return control.ask(method, path, key, body).await,
            Self::Plain(address, token) => (*address, token),
        };
        let mut request = Client::request(method.as_str(), &address.to_string(), path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        let body = body.map_or_else(Vec::new, |body| serde_json::to_vec(body).unwrap());
        let request = request.body(body::full(body))?;
        Client::new().send(address, request).await
    }

    /// Asks until the answer has that status, whatever happens to control meanwhile.
    async fn insist(
        &self,
        status: u16,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&impl Serialize>,
    ) -> Reply {
        let end = Instant::now() + SOON;
        loop {
            let asked = timeout(ANSWER_MAX, self.ask(method.clone(), path, key, body)).await;
            let saw = match asked {
                Ok(Ok(reply)) if reply.status == status => return reply,
                Ok(Ok(reply)) => format!("{} {}", reply.status, reply.text()),
                Ok(Err(error)) => format!("{error:#}"),
                Err(_) => "no answer".to_owned(),
            };
            assert!(Instant::now() < end, "{method} {path}: {saw}");
            sleep(PAUSE).await;
        }
    }
}

/// What was published.
#[derive(Debug, Clone)]
pub struct Published {
    pub version: u64,
    pub purge: PurgeAccepted,
    pub receipt: PurgeReceipt,
}

/// Publishes versions, one after the other.
pub struct Publisher {
    seen: Arc<Seen>,
    /// The version that the origin has.
    origin: Arc<AtomicU64>,
    pub published: Vec<Published>,
}

impl Publisher {
    pub fn new(seen: Arc<Seen>, origin: Arc<AtomicU64>) -> Self {
        Self {
            seen,
            origin,
            published: Vec::new(),
        }
    }

    /// Publishes the next version.
    pub async fn publish(&mut self, api: &Api<'_>, chance: &mut Chance) -> &Published {
        let version = self.origin.fetch_add(1, Ordering::SeqCst) + 1;
        let whole_site = "http://shop.example/".to_owned();
        let targets = match chance.below(4) {
            0 => vec![PurgeTarget::All(true)],
            1 => vec![PurgeTarget::Prefix(whole_site)],
            2 => vec![PurgeTarget::Tag {
                tag: "all-of-it".to_owned(),
                site: None,
            }],
            _ => super::hammer::PATHS
                .iter()
                .map(|path| PurgeTarget::Url(format!("http://shop.example{path}")))
                .collect(),
        };
        let request = PurgeRequest {
            targets,
            mode: Mode::Hard,
        };
        let key = format!("version-{version}");
        let accepted = api.insist(202, Method::POST, "/v1/purges", Some(&key), Some(&request));
        let purge: PurgeAccepted = accepted.await.json();
        let receipt = self.receipt(api, &purge).await;
        self.seen.acknowledge(version);
        self.published.push(Published {
            version,
            purge,
            receipt,
        });
        self.published.last().unwrap()
    }

    async fn receipt(&self, api: &Api<'_>, purge: &PurgeAccepted) -> PurgeReceipt {
        let path = format!("/v1/purges/{}?wait=2s", purge.id);
        let end = Instant::now() + SOON;
        loop {
            let asked = api.insist(200, Method::GET, &path, None, None::<&()>);
            let receipt: PurgeReceipt = asked.await.json();
            if receipt.complete {
                return receipt;
            }
            assert!(Instant::now() < end, "never complete: {receipt:#?}");
            self.seen.check();
        }
    }

    /// Makes another policy the fleet's.
    pub async fn apply(&self, api: &Api<'_>, policy: &str, key: &str) {
        let submission = PolicySubmission {
            files: vec![File {
                name: "policy.yaml".to_owned(),
                text: policy.to_owned(),
            }],
            message: String::new(),
            base: None,
            dry_run: false,
            rollout: None,
        };
        // A repeat of what was accepted is answered with the same status.
        api.insist(
            201,
            Method::POST,
            "/v1/policies",
            Some(key),
            Some(&submission),
        )
        .await;
    }
}
