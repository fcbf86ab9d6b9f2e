//! Policies: they reach everyone, the bad are refused, and nothing blocks a purge.

use super::{NAMES, SOON, version_at, versioned};
use latencify_conf::api::PurgeTarget;
use latencify_tests::{Control, Edge, policy::one_route, wait_until};
use std::sync::atomic::Ordering;

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
