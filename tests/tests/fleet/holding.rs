//! After a receipt no request gets the old body, whatever was under way during the purge.

use super::{NAMES, SOON, hammer::Hammer, version_at, versioned};
use latencify_conf::api::{PurgeReceipt, PurgeTarget, ReceiptState};
use latencify_tests::{Control, Edge, Origin, cli, policy::one_route, wait_until};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

const TAG: &str = "all-of-it";
const PREFIX: &str = "http://shop.example/";

/// Who asks for the purge and waits for its receipt.
#[derive(Debug, Clone, Copy)]
enum By {
    /// A program, over the API.
    Api,
    /// An operator: `latencify purge … --wait`.
    Command,
}

/// Every kind of purge that takes the path: as the API and as the command take it.
fn purges(path: &str) -> Vec<(PurgeTarget, Vec<String>)> {
    let url = format!("http://shop.example{path}");
    let tag = |site: Option<&str>| PurgeTarget::Tag {
        tag: TAG.to_owned(),
        site: site.map(str::to_owned),
    };
    let purges: [(PurgeTarget, &[&str]); 6] = [
        (PurgeTarget::Url(url.clone()), &["url", &url]),
        (tag(None), &["tag", TAG]),
        (tag(Some("main")), &["tag", TAG, "--site", "main"]),
        (PurgeTarget::Prefix(PREFIX.to_owned()), &["prefix", PREFIX]),
        (PurgeTarget::Site("main".to_owned()), &["site", "main"]),
        (PurgeTarget::All(true), &["all"]),
    ];
    purges
        .into_iter()
        .map(|(target, words)| (target, words.iter().map(|&word| word.to_owned()).collect()))
        .collect()
}

/// Purges and waits for the receipt, which must name every edge.
async fn purge(control: &Control, by: By, target: PurgeTarget, words: &[String]) {
    let receipt = match by {
        By::Api => {
            let purge = control.purge(vec![target]).await;
            control.receipt(&purge.id).await
        }
        By::Command => {
            let mut arguments = vec!["purge"];
            arguments.extend(words.iter().map(String::as_str));
            arguments.extend(["--wait", "-o", "json"]);
            let said = cli::latencify_at(control, &arguments).await;
            assert_eq!(said.code, 0, "{said:?}");
            serde_json::from_str::<PurgeReceipt>(&said.stdout).unwrap()
        }
    };
    assert!(receipt.complete, "{receipt:?}");
    assert_eq!(receipt.edges.len(), NAMES.len(), "{receipt:?}");
    for edge in &receipt.edges {
        assert_eq!(edge.state, ReceiptState::Acked, "{receipt:?}");
        assert!(edge.latency_us.is_some(), "{receipt:?}");
    }
}

/// Purges the path in every way while it is hammered, each time once `ready` for a purge of the version there is, and
/// checks what is served after each receipt; how many requests the hammer sent meanwhile.
async fn hold(
    control: &Control,
    edges: &[Edge],
    version: &AtomicU64,
    path: &'static str,
    rounds: &[By],
    ready: impl AsyncFn(u64),
) -> u64 {
    let acknowledged = Arc::new(AtomicU64::new(version.load(Ordering::SeqCst)));
    let hammer = Hammer::start(edges, path, &acknowledged);
    for by in rounds {
        for (target, words) in purges(path) {
            ready(version.load(Ordering::SeqCst)).await;
            let new = version.fetch_add(1, Ordering::SeqCst) + 1;
            purge(control, *by, target, &words).await;
            acknowledged.store(new, Ordering::SeqCst);
            let served = edges.iter().map(|edge| version_at(edge, path));
            let served = futures::future::join_all(served).await;
            assert_eq!(served, [new; NAMES.len()], "{by:?} {words:?}");
        }
    }
    hammer.end().await
}

async fn fleet() -> (Control, [Edge; 3], Origin, Arc<AtomicU64>) {
    let (origin, version) = versioned().await;
    let control = Control::embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let edges = control.edges(NAMES).await;
    (control, edges, origin, version)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_receipt_no_request_gets_the_old_body() {
    let (control, edges, _origin, version) = fleet().await;
    let rounds = [By::Api, By::Api, By::Api, By::Command];
    // On /slow a fill is under way during nearly every purge.
    for path in ["/page", "/slow"] {
        let sent = hold(&control, &edges, &version, path, &rounds, async |_| ()).await;
        assert!(sent > 100, "only {sent} requests");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validation_under_way_does_not_bring_the_old_body_back() {
    let (control, edges, origin, version) = fleet().await;
    let rounds = [By::Api, By::Command];
    let validating = async |version: u64| {
        wait_until(
            "every edge asks whether its body is still good",
            SOON,
            async || match validating(&origin, version) {
                edges if edges == NAMES.len() => Ok(()),
                edges => Err(format!("{edges} ask about version {version}")),
            },
        )
        .await;
    };
    // A validation takes longer than a purge, and its answer is about the version from before.
    let sent = hold(
        &control,
        &edges,
        &version,
        "/validated",
        &rounds,
        validating,
    )
    .await;
    // Each of them takes as long as the origin does.
    assert!(sent > 30, "only {sent} requests");
}

/// How many edges have asked whether that version is still good.
fn validating(origin: &Origin, version: u64) -> usize {
    let etag = format!("\"{version}\"");
    let seen = origin.seen();
    let asked = seen.iter().filter(|seen| {
        let about = seen.headers.get("if-none-match");
        about.is_some_and(|about| *about == etag)
    });
    let edges: BTreeSet<_> = asked.map(|seen| seen.headers["via"].as_bytes()).collect();
    edges.len()
}
