//! Purges: what is acknowledged holds, takes what it names, and is written once.

use super::{NAMES, SOON, version_at, versioned};
use latencify_conf::{api::PurgeTarget, change::Mode};
use latencify_tests::{Client, Control, body, policy::one_route, wait_until};
use std::sync::atomic::Ordering;

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
        if reply.status == 503 && reply.headers.contains_key("retry-after") {
            Ok(())
        } else {
            Err(format!("{reply:?}"))
        }
    })
    .await;
    // What is stored is served on, within the lease.
    assert_eq!(version_at(&edges[0], "/a").await, 2);
}
