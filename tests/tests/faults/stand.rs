//! What every test of this suite stands on: an origin whose content has a version, and what must hold in the end.

use super::{
    SOON,
    hammer::{Seen, Target},
    publisher::{Published, Publisher},
};
use latencify_conf::{
    api::{Edges, LogOutcome},
    change::Epoch,
};
use latencify_tests::{
    Control, ControlOptions, Edge, EdgeOptions, Origin, Wire, reply, wait_until,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How long the origin takes for a slow answer.
const SLOW: Duration = Duration::from_millis(120);

/// An origin, and what clients know of its versions.
pub struct Stand {
    pub origin: Origin,
    pub seen: Arc<Seen>,
    pub publisher: Publisher,
}

impl Stand {
    /// With an origin on 127.0.0.1.
    pub async fn new() -> Self {
        Self::at(Ipv4Addr::LOCALHOST.into()).await
    }

    /// With an origin on that address.
    pub async fn at(address: IpAddr) -> Self {
        let version = Arc::new(AtomicU64::new(1));
        let current = Arc::clone(&version);
        let origin = Origin::serve_on(address, move |call| {
            // Taken when the request comes: a slow answer carries the version from before.
            let now = current.load(Ordering::SeqCst);
            async move {
                let (path, etag) = (call.path().to_owned(), format!("\"{now}\""));
                if path != "/stored" {
                    tokio::time::sleep(SLOW).await;
                }
                let is_validated = path == "/validated";
                let answer = if call.header("if-none-match") == etag {
                    reply::status(304)
                } else {
                    reply::text(now.to_string())
                };
                answer
                    .max_age(if is_validated { 0 } else { 600 })
                    .tag("all-of-it")
                    .header("etag", etag)
                    .done()
            }
        })
        .await;
        let seen = Arc::<Seen>::default();
        Self {
            origin,
            publisher: Publisher::new(Arc::clone(&seen), version),
            seen,
        }
    }

    /// A policy for that origin; the number tells it from others.
    pub fn policy(&self, number: u64) -> String {
        format!(
            "version: 1\norigins: {{app: {{url: '{}'}}}}\nsites: {{shop: {{hosts: ['*'], routes: [{{origins: [app], \
             cache: {{default_ttl: {}s}}}}]}}}}\n",
            self.origin.url(),
            number + 1
        )
    }
}

/// Starts control with the lease of this suite.
pub async fn start(options: ControlOptions) -> Control {
    let lease = format!("{}ms", super::LEASE.as_millis());
    options.flag("--edge-lease", &lease).start().await
}

/// Three edges, and what each does while it is isolated.
pub const THREE: [(&str, &str); 3] = [
    ("paris", "revalidate"),
    ("tokyo", "refuse"),
    ("rome", "revalidate"),
];

/// Edges of that control's fleet that run its policy.
pub async fn members(control: &Control, edges: &[(&str, &str)]) -> Vec<Edge> {
    let mut members = Vec::new();
    for (name, mode) in edges {
        let edge = Edge::member(control, name);
        members.push(when_isolated(edge, mode).start().await);
    }
    control.everywhere(members.len()).await;
    members
}

/// The same, each behind a wire of its own.
pub async fn wired_members(control: &Control, edges: &[(&str, &str)]) -> (Vec<Edge>, Vec<Wire>) {
    let (mut members, mut wires) = (Vec::new(), Vec::new());
    for (name, mode) in edges {
        let wire = Wire::before(control.fleet()).await;
        let edge = Edge::member_at(control, &wire.url(), name);
        members.push(when_isolated(edge, mode).start().await);
        wires.push(wire);
    }
    control.everywhere(members.len()).await;
    (members, wires)
}

/// Where clients ask an edge, which refuses while it is isolated if [`THREE`] says so of its name.
pub fn target(edge: &Edge) -> Target {
    Target {
        client: edge.client(),
        edge: edge.http(),
        refuses: THREE.contains(&(edge.name(), "refuse")),
    }
}

/// An edge that, cut off, does that with what it has stored.
pub fn when_isolated(options: EdgeOptions, mode: &str) -> EdgeOptions {
    options.flag("--when-isolated", mode)
}

/// Waits until everybody who lives is connected and obeys the head, and nobody else is counted on; then checks what must
/// hold whatever has happened.
pub async fn check(control: &Control, stand: &Stand, targets: &[Target], seed: u64) {
    let roster = settled(control, targets.len(), seed).await;
    let digests: BTreeSet<_> = roster
        .edges
        .iter()
        .filter(|edge| edge.fenced || edge.unheard_ms.is_some_and(|ms| ms < 30_000))
        .filter(|edge| edge.acked == roster.head)
        .map(|edge| (edge.policy.revision, edge.policy.digest.clone()))
        .collect();
    assert_eq!(
        digests.len(),
        1,
        "seed {seed}: one epoch, one policy: {roster:#?}"
    );
    in_the_log_once(control, &stand.publisher.published, seed).await;
    stand.seen.all_serve(targets, seed).await;
}

async fn settled(control: &Control, edges: usize, seed: u64) -> Edges {
    wait_until(
        &format!("seed {seed}: {edges} edges obey the head and run its policy"),
        SOON,
        async || {
            let roster = control.roster().await;
            let obeys = roster.edges.iter().filter(|edge| {
                edge.acked == roster.head && !edge.fenced && edge.policy.digest.is_some()
            });
            let revisions: BTreeSet<_> = obeys.clone().map(|edge| edge.policy.revision).collect();
            if obeys.count() == edges && revisions.len() == 1 {
                Ok(roster)
            } else {
                Err(format!("{roster:#?}"))
            }
        },
    )
    .await
}

/// Every acknowledged write is in the log once, and in order.
async fn in_the_log_once(control: &Control, published: &[Published], seed: u64) {
    let log = control.log().await;
    let mut times: BTreeMap<String, Vec<Epoch>> = BTreeMap::new();
    for entry in &log.entries {
        if entry.outcome == LogOutcome::Accepted
            && let Some(key) = entry.entry["key"].as_str()
        {
            times.entry(key.to_owned()).or_default().push(entry.epoch);
        }
    }
    for one in published {
        let key = format!("api/version-{}", one.version);
        assert_eq!(
            times.get(&key),
            Some(&vec![one.purge.epoch]),
            "seed {seed}: version {}, once",
            one.version
        );
    }
    assert!(
        published.is_sorted_by_key(|one| one.purge.epoch),
        "seed {seed}: in order"
    );
}
