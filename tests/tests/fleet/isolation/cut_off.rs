//! A running edge is cut off, and comes back.

use super::{HOST, MODES, Setting, has};
use http::Method;
use latencify_conf::api::{PurgeReceipt, PurgeTarget, ReceiptState};
use latencify_tests::{Client, Reply, body, wait_until};
use std::sync::atomic::Ordering;

async fn ask(setting: &Setting, method: Method, path: &str, range: bool) -> Reply {
    let mut request = Client::request(method.as_str(), HOST, path);
    if range {
        request = request.header("range", "bytes=0-0");
    }
    let request = request.body(body::empty()).unwrap();
    Client::new()
        .send(setting.edge.http(), request)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revalidate_asks_the_origin_before_each_use() {
    let setting = Setting::new("revalidate").await;
    setting
        .store(&["/a", "/head", "/range", "/bare", "/gone"])
        .await;
    setting.cut_off().await;
    let (status, text) = setting.readiness().await;
    assert_eq!(status, 200, "{text}");
    assert!(
        text.contains("isolated (lease_over)") && text.contains("revalidate"),
        "{text}"
    );

    // Still good: the body is the stored one.
    let before = ["/a", "/head", "/range"].map(|path| setting.validations(path));
    for round in 1..=2 {
        let reply = setting.get("/a").await;
        assert_eq!((reply.status.as_u16(), reply.text()), (200, "1"));
        assert!(
            has(&reply, &["fwd=stale", "fwd-status=304", "detail=isolated"]),
            "{reply:?}"
        );
        assert_eq!(
            setting.validations("/a"),
            before[0] + round,
            "each use is validated"
        );
    }
    let head = ask(&setting, Method::HEAD, "/head", false).await;
    assert_eq!(head.status, 200, "{head:?}");
    assert_eq!(setting.validations("/head"), before[1] + 1, "{head:?}");
    let part = ask(&setting, Method::GET, "/range", true).await;
    assert_eq!((part.status.as_u16(), part.text()), (206, "1"), "{part:?}");
    assert_eq!(setting.validations("/range"), before[2] + 1, "{part:?}");

    // Changed, or not to be validated: the new one comes.
    setting.version.store(2, Ordering::SeqCst);
    for path in ["/a", "/bare", "/head", "/range"] {
        let reply = setting.get(path).await;
        assert_eq!(reply.text(), "2", "{path}: {reply:?}");
        assert!(has(&reply, &["detail=isolated"]), "{path}: {reply:?}");
    }
    // What was never stored is stored now, and doubted like the rest.
    assert_eq!(setting.get("/new").await.text(), "2");
    assert!(!setting.get("/new").await.is_hit());
    let only_stored = Client::request("GET", HOST, "/a").header("cache-control", "only-if-cached");
    let only_stored = only_stored.body(body::empty()).unwrap();
    let reply = Client::new()
        .send(setting.edge.http(), only_stored)
        .await
        .unwrap();
    assert_eq!(reply.status, 504, "{reply:?}");
    let record = wait_until("a record of the refetch", super::SOON, async || {
        let records = setting.edge.access_log().into_iter();
        let mut records = records.filter(|record| record["path"] == "/bare");
        records
            .find(|record| record["cache"] == "expired")
            .ok_or("not yet")
    })
    .await;
    assert_eq!(record["cache_reason"], "isolated", "{record}");
    assert!(
        record["decisions"]
            .as_array()
            .unwrap()
            .contains(&"isolated:lease_over".into()),
        "{record}"
    );
    let counter = "latencify_gateway_isolated_requests_total{when_isolated=\"revalidate\"}";
    assert!(setting.edge.metric(counter).await >= 7.0);
}

/// Whoever waits for another's fetch looks again, and the origin is not trampled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_come_together_share_a_validation() {
    let setting = Setting::new("revalidate").await;
    setting.store(&["/a"]).await;
    setting.cut_off().await;
    let before = setting.origin.requests_for("/a");
    let asked = 60;
    let replies = futures::future::join_all((0..asked).map(|_| setting.get("/a"))).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    let sent = setting.origin.requests_for("/a") - before;
    assert!(
        (1..asked).contains(&sent),
        "{sent} requests to the origin for {asked}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_goes_on_as_always() {
    let setting = Setting::new("serve").await;
    setting.store(&["/a"]).await;
    setting.get("/swr").await;
    setting.cut_off().await;
    assert_eq!(setting.readiness().await.0, 200);
    setting.version.store(2, Ordering::SeqCst);
    let reply = setting.get("/a").await;
    assert_eq!(reply.text(), "1");
    assert!(has(&reply, &["hit", "detail=isolated"]), "{reply:?}");
    assert_eq!(setting.get("/swr").await.text(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuse_answers_503_where_a_stored_response_would_have_answered() {
    let setting = Setting::new("refuse").await;
    setting.store(&["/a", "/bare"]).await;
    setting.get("/swr").await;
    setting.cut_off().await;
    let (status, text) = setting.readiness().await;
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("isolated (lease_over)"), "{text}");
    let before = setting.origin.requests();
    for (method, path, range) in [
        (Method::GET, "/a", false),
        (Method::GET, "/a", true),
        (Method::HEAD, "/a", false),
        (Method::GET, "/bare", false),
        (Method::GET, "/swr", false),
    ] {
        let reply = ask(&setting, method.clone(), path, range).await;
        assert_eq!(reply.status, 503, "{method} {path}: {reply:?}");
        assert!(!reply.header("retry-after").is_empty(), "{reply:?}");
        if method == Method::GET {
            let problem: latencify_conf::api::Problem = reply.json();
            assert_eq!(problem.kind, "/problems/isolated");
            assert!(problem.retryable);
        }
    }
    let many = futures::future::join_all((0..40).map(|_| setting.get("/a"))).await;
    assert!(many.iter().all(|reply| reply.status == 503));
    assert_eq!(setting.origin.requests(), before, "nobody was asked");
    let reply = setting.get("/new").await;
    assert_eq!((reply.status.as_u16(), reply.text()), (200, "1"));
    assert_eq!(setting.get("/new").await.status, 503, "stored by now");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stale_is_served_but_by_serve() {
    for (mode, swr, sie) in [
        ("revalidate", 502, 502),
        ("serve", 200, 200),
        ("refuse", 503, 502),
    ] {
        let mut setting = Setting::new(mode).await;
        setting.get("/swr").await;
        setting.get("/sie").await;
        setting.cut_off().await;
        setting.origin.stop().await;
        for (path, status) in [("/swr", swr), ("/sie", sie)] {
            let reply = setting.get(path).await;
            assert_eq!(reply.status.as_u16(), status, "{mode} {path}: {reply:?}");
        }
    }
}

/// Purged while the edge was away: when it is back, its first hit is of after the purge.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_purged_meanwhile_is_obeyed_before_the_first_hit() {
    for mode in MODES {
        let setting = Setting::new(mode).await;
        setting.store(&["/purged", "/kept"]).await;
        setting.cut_off().await;
        setting.version.store(2, Ordering::SeqCst);
        let target = PurgeTarget::Url(format!("http://{HOST}/purged"));
        let purge = setting.control.purge(vec![target]).await;
        let expected = match mode {
            "serve" => ReceiptState::Missing,
            _ => ReceiptState::Fenced,
        };
        wait_until("the receipt says so", super::SOON, async || {
            let receipt: PurgeReceipt = setting
                .control
                .get(&format!("/v1/purges/{}", purge.id))
                .await;
            match &receipt.edges[..] {
                [edge] if edge.state == expected => Ok(()),
                _ => Err(format!("{mode}: {receipt:?}")),
            }
        })
        .await;
        setting.wire.mend();
        wait_until("what was kept hits again", super::SOON, async || {
            let purged = setting.get("/purged").await;
            if mode != "serve" && purged.status == 200 {
                assert_eq!(purged.text(), "2", "{mode}: {purged:?}");
            }
            let kept = setting.get("/kept").await;
            let hits = kept.is_hit() && !has(&kept, &["detail=isolated"]);
            if hits {
                Ok(())
            } else {
                Err(format!("{mode}: {kept:?}"))
            }
        })
        .await;
        assert_eq!(setting.get("/purged").await.text(), "2", "{mode}");
        let receipt = setting.control.receipt(&purge.id).await;
        assert_eq!(receipt.edges[0].state, ReceiptState::Acked, "{receipt:?}");
        setting.ready().await;
    }
}

/// It wakes up with a lease that ran out while it slept, and nobody told it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_was_stopped_serves_nothing_old_when_it_wakes_up() {
    let mut setting = Setting::new("revalidate").await;
    setting.store(&["/a", "/b"]).await;
    for path in ["/a", "/b"] {
        setting.edge.process().signal("STOP");
        let new = setting.version.fetch_add(1, Ordering::SeqCst) + 1;
        let target = PurgeTarget::Url(format!("http://{HOST}{path}"));
        let purge = setting.control.purge(vec![target]).await;
        let receipt = setting.control.receipt(&purge.id).await;
        assert_eq!(receipt.edges[0].state, ReceiptState::Fenced, "{receipt:?}");
        // Requests that wait for it when it wakes up were sent after the receipt.
        let replies = (0..20).map(|_| setting.get(path));
        let asking = futures::future::join_all(replies);
        let waking = async {
            tokio::task::yield_now().await;
            setting.edge.signal("CONT");
        };
        let (replies, ()) = futures::join!(asking, waking);
        for reply in replies {
            assert_eq!(reply.text(), new.to_string(), "{path}: {reply:?}");
        }
        setting.trusted().await;
    }
}
