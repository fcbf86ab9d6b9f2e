//! A fleet of three edges: purges that are acknowledged hold, policies reach everyone, and nothing blocks a purge.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

use latencify_conf::{
    api::{PurgeTarget, ReceiptState},
    change::Mode,
};
use latencify_tests::{
    Client, Control, Edge, Origin, body, cli, policy::one_route, reply, wait_until,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

const SOON: Duration = Duration::from_secs(30);
const NAMES: [&str; 3] = ["paris", "tokyo", "new-york"];

/// An origin whose content has a version that the test raises.
async fn versioned() -> (Origin, Arc<AtomicU64>) {
    let version = Arc::new(AtomicU64::new(1));
    let current = Arc::clone(&version);
    let origin = Origin::serve(move |call| {
        // Taken when the request comes: a slow answer carries the version from before.
        let now = current.load(Ordering::SeqCst);
        async move {
            if call.path().starts_with("/slow") {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            reply::text(now.to_string())
                .max_age(600)
                .tag("all-of-it")
                .header("etag", format_args!("\"{now}\""))
                .done()
        }
    })
    .await;
    (origin, version)
}

async fn version_at(edge: &Edge, path: &str) -> u64 {
    let reply = edge.get("shop.example", path).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.text().parse().unwrap()
}

/// Hammers all edges, and checks for every answer that it is no older than the newest version whose purge had been
/// acknowledged when the request was sent.
struct Hammer {
    stop: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<u64>>,
}

impl Hammer {
    fn start(edges: &[Edge], path: &'static str, acknowledged: &Arc<AtomicU64>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = edges.iter().flat_map(|edge| [edge.http(); 2]).map(|http| {
            let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(acknowledged));
            tokio::spawn(async move {
                let mut sent = 0;
                let mut connection = Client::new().connect(http).await.unwrap();
                while !stop.load(Ordering::SeqCst) {
                    let promised = acknowledged.load(Ordering::SeqCst);
                    let request = Client::request("GET", "shop.example", path).body(body::empty());
                    let reply = connection.send(request.unwrap()).await.unwrap();
                    assert_eq!(reply.status, 200, "{reply:?}");
                    let got: u64 = reply.text().parse().unwrap();
                    assert!(
                        got >= promised,
                        "{got} after the receipt for {promised}: {reply:?}"
                    );
                    sent += 1;
                }
                sent
            })
        });
        let clients = clients.collect();
        Self { stop, clients }
    }

    /// Ends it; how many requests it sent.
    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        let mut sent = 0;
        for client in self.clients {
            sent += client.await.unwrap();
        }
        sent
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_receipt_no_request_gets_the_old_body() {
    let (origin, version) = versioned().await;
    let control = Control::embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let edges = control.edges(NAMES).await;

    let targets = |path: &str| {
        [
            PurgeTarget::Url(format!("http://shop.example{path}")),
            PurgeTarget::Tag {
                tag: "all-of-it".to_owned(),
                site: None,
            },
            PurgeTarget::Tag {
                tag: "all-of-it".to_owned(),
                site: Some("main".to_owned()),
            },
            PurgeTarget::Prefix("http://shop.example/".to_owned()),
            PurgeTarget::Site("main".to_owned()),
            PurgeTarget::All(true),
        ]
    };
    // On /slow a fill is under way during nearly every purge.
    for path in ["/page", "/slow"] {
        let acknowledged = Arc::new(AtomicU64::new(version.load(Ordering::SeqCst)));
        let hammer = Hammer::start(&edges, path, &acknowledged);
        for round in 0..3 {
            for target in targets(path) {
                let new = version.fetch_add(1, Ordering::SeqCst) + 1;
                let purge = control.purge(vec![target.clone()]).await;
                let receipt = control.receipt(&purge.id).await;
                assert_eq!(receipt.edges.len(), 3, "{receipt:?}");
                for edge in &receipt.edges {
                    assert_eq!(edge.state, ReceiptState::Acked, "{receipt:?}");
                    assert!(edge.latency_us.is_some(), "{receipt:?}");
                }
                acknowledged.store(new, Ordering::SeqCst);
                for edge in &edges {
                    assert_eq!(
                        version_at(edge, path).await,
                        new,
                        "round {round} {target:?}"
                    );
                }
            }
        }
        let sent = hammer.end().await;
        assert!(sent > 100, "only {sent} requests");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_takes_what_it_names_and_nothing_else() {
    let (origin, _) = versioned().await;
    let control = Control::embedded().start().await;
    let policy = one_route(&origin.url(), "cache: true")
        + "  other:\n    hosts: [other.example]\n    routes: [{origins: [app], cache: true}]\n";
    control.apply(&policy).await;
    let [edge] = control.edges(["paris"]).await;
    let all = ["/a", "/a?x=1", "/a/b", "/ab", "/c"];
    let url = |path: &str| format!("http://shop.example{path}");
    let cases = [
        (PurgeTarget::Url(url("/a")), vec!["/a", "/a?x=1"], false),
        (
            PurgeTarget::Prefix(url("/a")),
            vec!["/a", "/a?x=1", "/a/b"],
            false,
        ),
        (
            PurgeTarget::Tag {
                tag: "all-of-it".to_owned(),
                site: Some("main".to_owned()),
            },
            all.to_vec(),
            false,
        ),
        (
            PurgeTarget::Tag {
                tag: "another".to_owned(),
                site: None,
            },
            vec![],
            false,
        ),
        (PurgeTarget::Site("other".to_owned()), vec![], true),
        (PurgeTarget::All(true), all.to_vec(), true),
    ];
    for (target, gone, other_gone) in cases {
        for path in all {
            edge.get("shop.example", path).await;
        }
        edge.get("other.example", "/a").await;
        let purge = control.purge(vec![target.clone()]).await;
        control.receipt(&purge.id).await;
        for path in all {
            let hit = edge.get("shop.example", path).await.is_hit();
            assert_eq!(hit, !gone.contains(&path), "{path} after {target:?}");
        }
        let hit = edge.get("other.example", "/a").await.is_hit();
        assert_eq!(hit, !other_gone, "other.example/a after {target:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_soft_purge_makes_stale_and_the_origin_is_asked() {
    let (origin, version) = versioned().await;
    let control = Control::embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let [edge] = control.edges(["paris"]).await;
    assert_eq!(version_at(&edge, "/a").await, 1);
    version.store(2, Ordering::SeqCst);
    let targets = vec![PurgeTarget::Url("http://shop.example/a".to_owned())];
    let purge = control.purge_with(targets, Mode::Soft, None).await;
    control.receipt(&purge.id).await;
    assert_eq!(version_at(&edge, "/a").await, 2);
    // The stored answer was validated, not thrown away.
    assert_eq!(
        origin.seen().last().unwrap().headers["if-none-match"],
        "\"1\""
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_idempotency_key_is_the_same_purge() {
    let control = Control::embedded().start().await;
    control
        .apply(&one_route("http://127.0.0.1:9", "cache: true"))
        .await;
    let target = || vec![PurgeTarget::All(true)];
    let first = control
        .purge_with(target(), Mode::Hard, Some("key-1"))
        .await;
    let again = control
        .purge_with(target(), Mode::Hard, Some("key-1"))
        .await;
    let other = control
        .purge_with(target(), Mode::Hard, Some("key-2"))
        .await;
    assert_eq!(
        (first.id.as_str(), first.epoch),
        (again.id.as_str(), again.epoch)
    );
    assert!(!first.repeat && again.repeat && !other.repeat);
    assert!(other.epoch > first.epoch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purge_on_an_edge_goes_through_control_and_needs_it() {
    let (origin, version) = versioned().await;
    let mut control = Control::embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let edges = control.edges(NAMES).await;
    for edge in &edges {
        version_at(edge, "/a").await;
    }
    version.store(2, Ordering::SeqCst);
    let purge = || {
        Client::request("PURGE", "shop.example", "/a")
            .body(body::empty())
            .unwrap()
    };
    let reply = Client::new().send(edges[0].http(), purge()).await.unwrap();
    assert!(reply.status.is_success(), "{reply:?}");
    for edge in &edges {
        wait_until(
            &format!("{} obeys", edge.name()),
            SOON,
            async || match version_at(edge, "/a").await {
                2 => Ok(()),
                old => Err(old),
            },
        )
        .await;
    }
    control.kill();
    wait_until("the edge refuses to purge alone", SOON, async || {
        let reply = Client::new().send(edges[0].http(), purge()).await.unwrap();
        if reply.status == 503 {
            Ok(())
        } else {
            Err(format!("{reply:?}"))
        }
    })
    .await;
    // What is stored is served on, within the lease.
    assert_eq!(version_at(&edges[0], "/a").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_was_away_catches_up() {
    let (origin, version) = versioned().await;
    let control = Control::embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let [mut paris, tokyo] = control.edges(["paris", "tokyo"]).await;
    version_at(&paris, "/a").await;
    // Stopped in the middle of its life, not ended: what it holds, it still holds.
    paris.process().signal("STOP");
    version.store(2, Ordering::SeqCst);
    let purge = control
        .purge(vec![PurgeTarget::Url("http://shop.example/a".to_owned())])
        .await;
    let early: latencify_conf::api::PurgeReceipt =
        control.get(&format!("/v1/purges/{}", purge.id)).await;
    assert!(!early.complete, "{early:?}");
    assert_eq!(version_at(&tokyo, "/a").await, 2);
    paris.process().signal("CONT");
    control.receipt(&purge.id).await;
    assert_eq!(version_at(&paris, "/a").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_reaches_all_edges_which_report_its_digest() {
    let (origin, _) = versioned().await;
    let control = Control::embedded().start().await;
    let text = |version: u32| {
        one_route(
            &origin.url(),
            &format!("cache: true, response_headers: {{set: {{x-version: v{version}}}}}"),
        )
    };
    control.apply(&text(1)).await;
    let edges = control.edges(NAMES).await;
    let second = control.apply(&text(2)).await;
    let status = control.everywhere(3).await;
    assert_eq!(
        (status.revision, &status.digest),
        (second.revision, &second.digest)
    );
    for edge in &status.edges {
        assert_eq!(
            edge.policy.digest.as_ref(),
            Some(&second.digest),
            "{edge:?}"
        );
    }
    for edge in &edges {
        assert_eq!(
            edge.get("shop.example", "/").await.header("x-version"),
            "v2"
        );
    }
    let digest = latencify_conf::bundle::Bundle::single("policy.yaml", text(2)).digest();
    assert_eq!(second.digest, digest.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_policy_is_refused_with_its_lines_and_changes_nothing() {
    let control = Control::embedded().start().await;
    control.apply(&one_route("http://127.0.0.1:9", "")).await;
    let bad =
        one_route("http://127.0.0.1:9", "").replace("origins: [app]", "origins: [ap], cach: true");
    let line = 1 + bad.lines().position(|line| line.contains("cach")).unwrap();
    let reply = control.submit(&bad).await;
    assert!(reply.status.is_client_error(), "{reply:?}");
    let problem: latencify_conf::api::Problem = reply.json();
    let lines: Vec<_> = problem.errors.iter().map(|error| error.line).collect();
    assert!(
        problem.errors.len() >= 2 && lines.iter().all(|&at| at == line),
        "{problem:#?}"
    );
    let help: Vec<_> = problem
        .errors
        .iter()
        .filter_map(|error| error.help.as_deref())
        .collect();
    assert!(help.iter().any(|help| help.contains("app")), "{problem:#?}");
    assert!(
        help.iter().any(|help| help.contains("cache")),
        "{problem:#?}"
    );
    let head: latencify_conf::api::PolicyDetail = control.get("/v1/policies/head").await;
    assert_eq!(head.summary.revision.0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revision_that_one_edge_cannot_build_shows_why_and_purges_still_reach_it() {
    let (origin, version) = versioned().await;
    let authority = latencify_tests::Authority::new();
    let control = Control::embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let paris = Edge::member(&control, "paris")
        .certificate(&authority, "main", &["shop.example"])
        .start()
        .await;
    // Tokyo has no such file.
    let tokyo = Edge::member(&control, "tokyo").start().await;
    control.everywhere(2).await;
    let with_certificate = one_route(
        &origin.url(),
        "cache: true, response_headers: {set: {x-version: v2}}",
    )
    .replace("hosts: [\"*\"]", "hosts: [\"*\"]\n    certificate: main")
        + "certificates: {main: {chain: main.pem, key: main.key}}\n";
    control.apply(&with_certificate).await;
    let status = wait_until("one edge runs it and one can't", SOON, async || {
        let status: latencify_conf::api::PolicyStatus =
            control.get("/v1/policies/head/status").await;
        if (status.running, status.failed) == (1, 1) {
            Ok(status)
        } else {
            Err(format!("{status:#?}"))
        }
    })
    .await;
    let failed = status
        .edges
        .iter()
        .find(|edge| edge.edge == "tokyo")
        .unwrap();
    assert_eq!(failed.policy.failed.unwrap(), status.revision);
    assert!(
        failed.policy.reason.as_ref().unwrap().contains("main.pem"),
        "{failed:?}"
    );
    assert_eq!(
        paris.get("shop.example", "/").await.header("x-version"),
        "v2"
    );
    assert_eq!(tokyo.get("shop.example", "/").await.header("x-version"), "");

    for edge in [&paris, &tokyo] {
        version_at(edge, "/a").await;
    }
    version.store(2, Ordering::SeqCst);
    let purge = control
        .purge(vec![PurgeTarget::Url("http://shop.example/a".to_owned())])
        .await;
    let receipt = control.receipt(&purge.id).await;
    assert_eq!(receipt.edges.len(), 2);
    for edge in [&paris, &tokyo] {
        assert_eq!(version_at(edge, "/a").await, 2, "{}", edge.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_starts_without_control_on_its_last_good_policy() {
    let (origin, _) = versioned().await;
    let mut control = Control::embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let [mut edge] = control.edges(["paris"]).await;
    control.kill();
    edge.restart().await;
    wait_until("it serves", SOON, async || {
        let reply = edge.get("shop.example", "/a").await;
        if reply.status == 200 {
            Ok(())
        } else {
            Err(format!("{reply:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_purges_waits_and_says_who_is_missing() {
    let (origin, version) = versioned().await;
    let control = Control::embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let [mut paris, tokyo] = control.edges(["paris", "tokyo"]).await;
    version_at(&paris, "/a").await;
    version.store(2, Ordering::SeqCst);
    let purge = ["purge", "url", "http://shop.example/a", "--wait"];
    let said = cli::latencify_at(&control, &purge).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(version_at(&paris, "/a").await, 2);

    paris.process().signal("STOP");
    let said = cli::latencify_at(&control, &[&purge[..], &["--timeout", "2s"]].concat()).await;
    assert_eq!(said.code, 1, "{said:?}");
    let words = format!("{}{}", said.stdout, said.stderr);
    assert!(words.contains("paris"), "{said:?}");
    paris.process().signal("CONT");
    assert_eq!(version_at(&tokyo, "/a").await, 2);

    let said = cli::latencify_at(&control, &["purge", "nonsense"]).await;
    assert_eq!(said.code, 2, "{said:?}");
}
