//! Reloads: no request fails, and a policy that is wrong changes nothing.

use latencify_tests::{
    Authority, Client, Connection, Edge, Origin, Protocol, body, policy::one_route, reply,
    wait_until,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

const SOON: Duration = Duration::from_mins(1);
const NAME: &str = "shop.example";

fn versioned(origin: &Origin, version: usize) -> String {
    one_route(
        &origin.url(),
        &format!("response_headers: {{set: {{x-version: v{version}}}}}"),
    )
}

async fn runs(edge: &Edge, version: usize) {
    let expected = format!("v{version}");
    wait_until(&format!("policy {version} runs"), SOON, async || {
        let reply = edge.get("shop.example", "/").await;
        if reply.header("x-version") == expected {
            Ok(())
        } else {
            Err(format!("{reply:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_fail_no_request() {
    let origin = Origin::serve(|_| async { reply::text("ok").done() }).await;
    let edge = Edge::alone(&versioned(&origin, 0)).start().await;
    let (stop, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let http = edge.http();
    let clients: Vec<_> = (0..4)
        .map(|index| {
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            tokio::spawn(async move {
                let client = Client::at(&format!("127.0.1.{index}"));
                // Half of the clients keep their connection, half open one for each request.
                let mut kept = client.connect(http).await.unwrap();
                while !stop.load(Ordering::SeqCst) {
                    let request = Client::request("GET", "shop.example", "/").body(body::empty());
                    let request = request.unwrap();
                    let reply = if index % 2 == 0 {
                        kept.send(request).await
                    } else {
                        client.send(http, request).await
                    };
                    let reply = reply.unwrap_or_else(|error| panic!("client {index}: {error:#}"));
                    assert_eq!((reply.status.as_u16(), reply.text()), (200, "ok"));
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for version in 1..=10 {
        edge.write_policy(&versioned(&origin, version));
        runs(&edge, version).await;
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    assert!(sent.load(Ordering::SeqCst) > 100, "{sent:?} requests");
}

/// One policy of two that differ in the certificate that the site shows.
fn certified(origin: &Origin, version: usize) -> String {
    let certificate = format!("hosts: [\"*\"]\n    certificate: c{}", version % 2);
    versioned(origin, version).replace("hosts: [\"*\"]", &certificate)
        + "certificates: {c0: {chain: c0.pem, key: c0.key}, c1: {chain: c1.pem, key: c1.key}}\n"
}

/// A new connection for HTTP/2, which must come about.
async fn http2(edge: SocketAddr, authority: &Authority) -> Connection {
    Client::at("127.0.1.9")
        .connect_tls(edge, NAME, authority, Protocol::Http2)
        .await
        .unwrap_or_else(|error| panic!("a TLS connection failed: {error:#}"))
}

/// A request over it, which must be answered well.
async fn ok_over(connection: &mut Connection) {
    let request = Client::request("GET", NAME, "/").body(body::empty());
    let reply = connection
        .send(request.unwrap())
        .await
        .unwrap_or_else(|error| panic!("a request over HTTP/2 failed: {error:#}"));
    assert_eq!((reply.status.as_u16(), reply.text()), (200, "ok"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_that_change_the_certificate_fail_no_request_over_tls() {
    let origin = Origin::serve(|_| async { reply::text("ok").done() }).await;
    let authority = Arc::new(Authority::new());
    let edge = Edge::alone(&certified(&origin, 0))
        .certificate(&authority, "c0", &[NAME])
        .certificate(&authority, "c1", &[NAME])
        .start()
        .await;
    let https = edge.https();
    let (stop, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    // Two send over one connection from before the first reload, side by side; two open one for each request.
    let kept = http2(https, &authority).await;
    let clients: Vec<_> = (0..4)
        .map(|index| {
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            let authority = Arc::clone(&authority);
            let mut kept = (index % 2 == 0).then(|| kept.sender());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    match &mut kept {
                        Some(kept) => ok_over(kept).await,
                        None => ok_over(&mut http2(https, &authority).await).await,
                    }
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let mut shown = http2(https, &authority).await.certificate.clone();
    for version in 1..=6 {
        edge.write_policy(&certified(&origin, version));
        let old = shown;
        shown = wait_until("another certificate is shown", SOON, async || {
            let now = http2(https, &authority).await.certificate.clone();
            if now == old { Err("the old") } else { Ok(now) }
        })
        .await;
        runs(&edge, version).await;
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    assert!(sent.load(Ordering::SeqCst) > 100, "{sent:?} requests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_is_wrong_is_told_and_the_old_one_stays() {
    let origin = Origin::serve(|_| async { reply::text("ok").done() }).await;
    let mut edge = Edge::alone(&versioned(&origin, 1)).start().await;
    edge.write_policy("version: 1\nsights: {}\n");
    edge.process().signal("HUP");
    wait_until("the edge names the wrong key", SOON, async || {
        if edge.process().said().contains("sights") {
            Ok(())
        } else {
            Err("not yet")
        }
    })
    .await;
    runs(&edge, 1).await;
    edge.write_policy(&versioned(&origin, 2));
    runs(&edge, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_is_wrong_at_the_start_ends_the_program() {
    let (mut process, _folder) = Edge::alone("version: 1\nsights: {}\n").start_in_vain();
    let status = process.ended(SOON).await;
    assert!(!status.success());
    let said = process.said();
    assert!(said.contains("sights") && said.contains("sites"), "{said}");
}
