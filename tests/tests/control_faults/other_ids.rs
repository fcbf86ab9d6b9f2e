//! An older copy of the log that was put back, and has given sites other ids since, under requests that are on their way.

use crate::{
    moving::copy,
    writers::{SOON, embedded},
};
use latencify_conf::api::{PolicyStatus, PurgeTarget};
use latencify_tests::{Authority, Client, Control, Edge, Origin, Reply, Wire, reply, wait_until};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{sync::watch, task::JoinHandle};

const HOST: &str = "shop.example";
/// What is asked for before the log is put back, and what after that.
const PATHS: [&str; 2] = ["/before", "/after"];

/// Control may take its time to come back.
const TIMEOUTS: &str = "timeouts: {first_byte: 10m}";

/// An origin that says the version at which it was asked, when it is let.
struct Slow {
    origin: Origin,
    version: Arc<AtomicUsize>,
    answers: watch::Sender<bool>,
}

impl Slow {
    async fn start() -> Self {
        let version = Arc::new(AtomicUsize::new(1));
        let (answers, lets) = watch::channel(true);
        let current = version.clone();
        let origin = Origin::serve(move |_| {
            let (asked_at, mut lets) = (current.load(Ordering::SeqCst), lets.clone());
            async move {
                let _ = lets.wait_for(|lets| *lets).await;
                let body = format!("v{asked_at}");
                reply::text(body).max_age(3_600).done()
            }
        })
        .await;
        Self {
            origin,
            version,
            answers,
        }
    }

    /// Somebody asks the edge, and the edge asks the origin.
    async fn asked(&self, edge: &Edge, path: &'static str) -> JoinHandle<Reply> {
        let (before, http) = (self.origin.requests_for(path), edge.http());
        let asking = tokio::spawn(async move { Client::new().get(http, HOST, path).await });
        wait_until(&format!("{path} is fetched"), SOON, async || {
            match self.origin.requests_for(path) {
                now if now > before => Ok(()),
                now => Err(now),
            }
        })
        .await;
        asking
    }

    /// A policy of these sites: name, host, and what else is said of it.
    fn policy(&self, certificates: &str, sites: &[(&str, &str, &str)]) -> String {
        let sites: Vec<_> = sites
            .iter()
            .map(|(name, host, more)| {
                format!("  {name}: {{hosts: [{host}], {more}routes: [{{origins: [app], cache: true, {TIMEOUTS}}}]}}")
            })
            .collect();
        let sites = sites.join("\n");
        let url = self.origin.url();
        format!("version: 1\n{certificates}origins: {{app: {{url: '{url}'}}}}\nsites:\n{sites}\n")
    }
}

/// Waits until an edge has started over in the log that it followed, and its lease runs.
async fn has_started_over(edge: &Edge) {
    let is = |line: &&str, name: &str| line.contains(name) && line.ends_with(" 1");
    wait_until("the edge starts over, and is trusted", SOON, async || {
        let metrics = edge.metrics().await;
        let forked = metrics.lines().find(|line| is(line, "log_forked"));
        let isolated = (metrics.lines()).find(|line| is(line, "latencify_gateway_isolated{"));
        match (forked, isolated) {
            (Some(_), None) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// Waits until control hears that an edge can't build the policy that it is to run.
async fn cannot_build(control: &Control) {
    wait_until("the edge keeps its policy", SOON, async || {
        let status: PolicyStatus = control.get("/v1/policies/head/status").await;
        if status.failed == 1 {
            Ok(())
        } else {
            Err(format!("{status:?}"))
        }
    })
    .await;
}

async fn purge(control: &Control) {
    let urls = PATHS.map(|path| PurgeTarget::Url(format!("http://{HOST}{path}")));
    let purged = control.purge(urls.into()).await;
    let receipt = control.receipt(&purged.id).await;
    assert_eq!(receipt.edges.len(), 1, "{receipt:?}");
}

/// The edge still runs the policy of before, because it misses a file for the new one. Purges name the site by an id that this
/// policy does not know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_fetched_by_a_policy_of_another_history_is_not_there_after_a_purge() {
    let slow = Slow::start().await;
    let mut control = embedded().start().await;
    let (data, older) = (
        control.folder().join("data"),
        control.folder().join("older"),
    );
    control.kill();
    copy(&data, &older);
    control.restart().await;
    let shop = ("shop", HOST, "");
    control.apply(&slow.policy("", &[shop])).await;
    let wire = Wire::before(control.fleet()).await;
    let paris = Edge::member_at(&control, &wire.url(), "paris")
        .start()
        .await;
    control.everywhere(1).await;
    slow.answers.send_replace(false);
    let before = slow.asked(&paris, PATHS[0]).await;

    wire.cut();
    control.kill();
    copy(&older, &data);
    control.restart().await;
    // The first site gets the id that the shop had.
    let other = ("other", "other.example", "");
    control.apply(&slow.policy("", &[other])).await;
    let certificates = "certificates: {late: {chain: late.pem, key: late.key}}\n";
    let shop = ("shop", HOST, "certificate: late, ");
    control
        .apply(&slow.policy(certificates, &[other, shop]))
        .await;
    // More than was lost.
    for _ in 0..5 {
        control.purge(vec![PurgeTarget::All(true)]).await;
    }
    wire.mend();
    has_started_over(&paris).await;
    cannot_build(&control).await;
    let after = slow.asked(&paris, PATHS[1]).await;
    slow.version.store(2, Ordering::SeqCst);
    purge(&control).await;
    slow.answers.send_replace(true);
    for asked in [before, after] {
        // It had asked before the purge.
        assert_eq!(asked.await.unwrap().text(), "v1");
    }
    for path in PATHS {
        let reply = paris.get(HOST, path).await;
        assert_eq!(reply.text(), "v2", "{path}: {reply:?}");
    }
    for path in PATHS {
        let reply = paris.get(HOST, path).await;
        assert_eq!((reply.text(), reply.is_hit()), ("v2", false), "{reply:?}");
    }

    // What it missed is there: it goes on as any other.
    let authority = Authority::new();
    let folder = paris.folder().join("certificates");
    authority.issue(&[HOST]).write(&folder, "late");
    paris.signal("HUP");
    control.everywhere(1).await;
    for path in PATHS {
        paris.keeps(HOST, path, "v2").await;
    }
    slow.version.store(3, Ordering::SeqCst);
    purge(&control).await;
    for path in PATHS {
        assert_eq!(paris.get(HOST, path).await.text(), "v3", "{path}");
    }
}
