//! A canary that fares badly, and one that fares well.

use super::{SOON, bad, begin, ended, first, good, origin, serves, status};
use latencify_conf::{
    api::PolicySummary,
    change::{Gate, RolloutEnd},
};
use latencify_tests::{Control, Edge, cli, wait_until};
use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

/// Asks an edge again and again until it is told to stop, and says how many answers were errors, of how many.
async fn visit(edge: &Edge, stop: &AtomicBool) -> (usize, usize) {
    let (mut errors, mut all) = (0, 0);
    while !stop.load(Ordering::SeqCst) {
        let reply = edge.get("shop.example", "/").await;
        all += 1;
        errors += usize::from(reply.status.is_server_error());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (errors, all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_canary_goes_back_by_itself_and_nobody_else_ever_saw_it() {
    let origin = origin().await;
    let control = Control::embedded().start().await;
    control.apply(&good(&origin, 1)).await;
    let [paris, tokyo, nyc] = control.edges(["paris", "tokyo", "nyc"]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.yaml");
    fs::write(&file, bad(&origin)).unwrap();
    let stop = AtomicBool::new(false);
    let visits = async {
        tokio::join!(
            visit(&paris, &stop),
            visit(&tokyo, &stop),
            visit(&nyc, &stop)
        )
    };
    // The soak is longer than the test: only the gate can end it.
    let apply = async {
        let file = file.display().to_string();
        let said = cli::latencify_at(
            &control,
            &[
                "policy",
                "apply",
                &file,
                "--rollout",
                "canary=paris,100%",
                "--soak",
                "10m",
                "--max-5xx",
                "1%",
                "--min-requests",
                "20",
                "--wait",
                "--timeout",
                "5m",
                "-m",
                "faster",
            ],
        )
        .await;
        stop.store(true, Ordering::SeqCst);
        said
    };
    let (said, visits) = tokio::join!(apply, visits);
    assert_eq!(said.code, 1, "{said:?}");
    for word in ["errors_5xx", "paris", "at most 1%", "requests with 5xx"] {
        assert!(said.stderr.contains(word), "{word}: {said:?}");
    }
    let ((seen, _), (tokyo_saw, tokyo_all), (nyc_saw, nyc_all)) = visits;
    assert!(seen >= 20, "the canary answered {seen} errors");
    assert_eq!((tokyo_saw, nyc_saw), (0, 0), "of {tokyo_all} and {nyc_all}");
    for edge in [&paris, &tokyo, &nyc] {
        serves(edge, "v1").await;
    }
    let over = ended(&control, latencify_conf::change::Revision(2)).await;
    let Some(RolloutEnd::Returned(failure)) = over.ended else {
        panic!("{over:#?}");
    };
    assert_eq!((failure.gate, &*failure.edge), (Gate::Errors5xx, "paris"));
    let head: PolicySummary = control.get("/v1/policies/head").await;
    assert_eq!(head.revision.0, 1, "the fleet's target is what it ran");
    // The next one goes on from there.
    let next = control.apply(&good(&origin, 3)).await;
    assert_eq!(next.revision.0, 3);
    control.everywhere(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_canary_soaks_and_then_all_edges_run_it() {
    let origin = origin().await;
    let control = Control::embedded().start().await;
    control.apply(&good(&origin, 1)).await;
    let [paris, tokyo] = control.edges(["paris", "tokyo"]).await;
    let revision = begin(
        &control,
        &good(&origin, 2),
        first("paris", Duration::from_secs(2)),
    )
    .await;
    serves(&paris, "v2").await;
    // While the canary's own numbers come in, the other edge is not asked to change: its answers say so at every step.
    let stepped = AtomicUsize::new(0);
    wait_until("the rollout is over", SOON, async || {
        let before = status(&control, revision).await;
        let reply = tokyo.get("shop.example", "/").await;
        let after = status(&control, revision).await;
        if before.stage == 0 && after.stage == 0 {
            assert_eq!(reply.header("x-version"), "v1");
            stepped.fetch_add(1, Ordering::SeqCst);
        }
        match after.ended {
            Some(end) => {
                assert_eq!(end, RolloutEnd::Completed);
                Ok(())
            }
            None => Err(format!("{after:#?}")),
        }
    })
    .await;
    serves(&tokyo, "v2").await;
    let last = control.everywhere(2).await;
    assert_eq!(last.revision, revision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_the_canary_can_not_build_goes_back_with_the_reason() {
    let origin = origin().await;
    let control = Control::embedded().start().await;
    control.apply(&good(&origin, 1)).await;
    let [paris, tokyo] = control.edges(["paris", "tokyo"]).await;
    let with_certificate = good(&origin, 2)
        .replace("hosts: [\"*\"]", "hosts: [\"*\"]\n    certificate: main")
        + "certificates: {main: {chain: main.pem, key: main.key}}\n";
    let plan = first("paris", Duration::from_mins(10));
    let revision = begin(&control, &with_certificate, plan).await;
    let over = ended(&control, revision).await;
    let Some(RolloutEnd::Returned(failure)) = over.ended else {
        panic!("{over:#?}");
    };
    assert_eq!((failure.gate, &*failure.edge), (Gate::Build, "paris"));
    assert!(failure.figure.contains("main.pem"), "{failure}");
    for edge in [&paris, &tokyo] {
        serves(edge, "v1").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_during_a_rollout_takes_what_both_revisions_have_stored() {
    use latencify_conf::api::PurgeTarget;
    use latencify_tests::{policy::one_route, reply};
    use std::sync::{Arc, atomic::AtomicU64};

    let version = Arc::new(AtomicU64::new(1));
    let current = Arc::clone(&version);
    let origin = latencify_tests::Origin::serve(move |_| {
        let now = current.load(Ordering::SeqCst);
        async move { reply::text(now.to_string()).max_age(600).done() }
    })
    .await;
    let control = Control::embedded().start().await;
    let policy = one_route(&origin.url(), "cache: true");
    control.apply(&policy).await;
    let [paris, tokyo] = control.edges(["paris", "tokyo"]).await;
    // The candidate has another site for the host: its objects have another id than those that the other edge stores.
    let renamed = policy.replace("  main:", "  other:");
    let revision = begin(&control, &renamed, first("paris", Duration::from_mins(10))).await;
    wait_until("the canary runs it", SOON, async || {
        let now = status(&control, revision).await;
        match now.edges.iter().find(|edge| edge.edge == "paris") {
            Some(edge) if edge.running == Some(revision) => Ok(()),
            _ => Err(format!("{now:#?}")),
        }
    })
    .await;
    for edge in [&paris, &tokyo] {
        edge.keeps("shop.example", "/a", "1").await;
    }
    version.store(2, Ordering::SeqCst);
    let purge = control
        .purge(vec![PurgeTarget::Url("http://shop.example/a".to_owned())])
        .await;
    control.receipt(&purge.id).await;
    for edge in [&paris, &tokyo] {
        let reply = edge.get("shop.example", "/a").await;
        assert_eq!(reply.text(), "2", "{}", edge.name());
    }
}
