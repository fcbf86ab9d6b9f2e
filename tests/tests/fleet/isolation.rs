//! Edges that control can't reach: what they do with what they have stored, and how they come back.

mod cut_off;
mod restarted;
mod under_way;

use super::SOON;
use http::HeaderMap;
use latencify_tests::{
    Call, Control, Edge, EdgeOptions, Origin, Reply, Wire, body::Body, policy::one_route, reply,
    wait_until,
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Short, so that it runs out while a test waits.
const LEASE: &str = "2s";
const HOST: &str = "shop.example";
const MODES: [&str; 3] = ["revalidate", "serve", "refuse"];

/// A control, an edge that reaches it over a wire, and an origin whose content has a version.
struct Setting {
    control: Control,
    edge: Edge,
    wire: Wire,
    origin: Origin,
    version: Arc<AtomicU64>,
}

impl Setting {
    /// One edge, whose lease runs, and which runs the policy.
    async fn new(mode: &str) -> Self {
        Self::with(mode, |options| options).await
    }

    async fn with(mode: &str, more: impl FnOnce(EdgeOptions) -> EdgeOptions) -> Self {
        let version = Arc::new(AtomicU64::new(1));
        let current = version.clone();
        let origin = Origin::serve(move |call| {
            let now = current.load(Ordering::SeqCst);
            async move { answer(&call, now) }
        })
        .await;
        let control = Control::embedded()
            .flag("--edge-lease", LEASE)
            .start()
            .await;
        control
            .apply(&one_route(&origin.url(), "cache: {stale_if_error: 1h}"))
            .await;
        let wire = Wire::before(control.fleet()).await;
        let options = Edge::member_at(&control, &wire.url(), "paris").flag("--when-isolated", mode);
        let edge = more(options).start().await;
        control.everywhere(1).await;
        let setting = Self {
            control,
            edge,
            wire,
            origin,
            version,
        };
        setting.trusted().await;
        setting
    }

    async fn get(&self, path: &str) -> Reply {
        self.edge.get(HOST, path).await
    }

    /// Stores these, and sees that they hit, as soon as the lease runs.
    async fn store(&self, paths: &[&str]) {
        for path in paths {
            wait_until(&format!("{path} hits"), SOON, async || {
                let reply = self.get(path).await;
                if reply.is_hit() && !has(&reply, &["detail=isolated"]) {
                    Ok(())
                } else {
                    Err(format!("{reply:?}"))
                }
            })
            .await;
        }
    }

    /// Cuts the edge off and waits until it knows.
    async fn cut_off(&self) {
        self.wire.cut();
        self.isolated("lease_over").await;
    }

    async fn isolated(&self, reason: &str) {
        let gauge = format!("latencify_gateway_isolated{{reason=\"{reason}\"}}");
        wait_until(
            &format!("it is isolated: {reason}"),
            SOON,
            async || match self.edge.metric(&gauge).await {
                1.0 => Ok(()),
                other => Err(other),
            },
        )
        .await;
    }

    /// Waits until it is not isolated.
    async fn trusted(&self) {
        wait_until("it is not isolated", SOON, async || {
            let metrics = self.edge.metrics().await;
            let isolated = metrics.lines().find(|line| {
                line.starts_with("latencify_gateway_isolated{") && line.ends_with(" 1")
            });
            isolated.map_or(Ok(()), |line| Err(line.to_owned()))
        })
        .await;
    }

    /// Waits until it is ready, and nothing is to be said about it.
    async fn ready(&self) {
        wait_until("it is ready", SOON, async || match self.readiness().await {
            (200, text) if text == "ready\n" => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }

    /// `/readyz`: its status and text.
    async fn readiness(&self) -> (u16, String) {
        let reply = latencify_tests::Client::new()
            .get(self.edge.admin(), "admin", "/readyz")
            .await;
        (reply.status.as_u16(), reply.text().to_owned())
    }

    /// The conditional requests that the origin has seen for that path.
    fn validations(&self, path: &str) -> usize {
        let seen = self.origin.seen();
        let conditional = |headers: &HeaderMap| headers.contains_key("if-none-match");
        seen.iter()
            .filter(|seen| seen.uri.path() == path && conditional(&seen.headers))
            .count()
    }
}

/// The version, fresh for long. `/bare…` has no validator; `/swr` and `/sie` are stale at once.
fn answer(call: &Call, now: u64) -> http::Response<Body> {
    let etag = format!("\"{now}\"");
    if call.header("if-none-match") == etag {
        return reply::status(304).max_age(600).header("etag", etag).done();
    }
    let answer = reply::text(now.to_string());
    let answer = match call.path() {
        "/swr" => answer.header("cache-control", "max-age=0, stale-while-revalidate=600"),
        "/sie" => answer.header("cache-control", "max-age=0, stale-if-error=600"),
        _ => answer.max_age(600),
    };
    if call.path().starts_with("/bare") {
        return answer.done();
    }
    answer.header("etag", etag).done()
}

fn has(reply: &Reply, parts: &[&str]) -> bool {
    let status = reply.header("cache-status");
    parts
        .iter()
        .all(|part| status.split(';').any(|said| said.trim() == *part))
}
