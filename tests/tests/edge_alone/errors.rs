//! What a client learns when something is wrong: problem+json or HTML, with the request's id and nothing of the inside.

use latencify_tests::{Client, Edge, Origin, RawOrigin, Reply, body, policy::one_route, reply};
use std::time::{Duration, Instant};

fn check(reply: &Reply, status: u16, kind: &str) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(
        reply.header("content-type"),
        "application/problem+json",
        "{reply:?}"
    );
    let problem: serde_json::Value = reply.json();
    assert_eq!(problem["type"], format!("/problems/{kind}"), "{problem}");
    assert_eq!(problem["status"], status, "{problem}");
    let id = problem["request_id"].as_str().unwrap();
    assert!(!id.is_empty(), "{problem}");
    assert_eq!(reply.header("x-request-id"), id, "{reply:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_that_is_down_is_told_apart_from_one_that_hangs_or_babbles() {
    let mut down = Origin::serve(|_| async { reply::status(200).done() }).await;
    down.stop().await;
    let edge = Edge::alone(&one_route(&down.url(), "")).start().await;
    let reply = edge.get("shop.example", "/").await;
    assert!(matches!(reply.status.as_u16(), 502 | 503), "{reply:?}");

    let hanging = RawOrigin::serve(|mut stream| async move {
        RawOrigin::head(&mut stream).await?;
        std::future::pending().await
    })
    .await;
    let route = "timeouts: {first_byte: 300ms, between_bytes: 300ms}, limits: {retries: 0}";
    let edge = Edge::alone(&one_route(&hanging.url(), route)).start().await;
    let began = Instant::now();
    check(&edge.get("shop.example", "/").await, 504, "origin_timeout");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );

    let babbling = RawOrigin::serve(|mut stream| async move {
        RawOrigin::head(&mut stream).await?;
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"what?\r\n\r\n").await
    })
    .await;
    let edge = Edge::alone(&one_route(&babbling.url(), "limits: {retries: 0}"))
        .start()
        .await;
    check(&edge.get("shop.example", "/").await, 502, "origin_failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browsers_get_a_page() {
    let origin = Origin::serve(|_| async { reply::text("ok").done() }).await;
    let edge = Edge::alone(&one_route(&origin.url(), "match: {path: /only}"))
        .start()
        .await;
    check(&edge.get("shop.example", "/else").await, 404, "no_route");
    let request = Client::request("GET", "shop.example", "/else")
        .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
        .body(body::empty())
        .unwrap();
    let page = Client::new().send(edge.http(), request).await.unwrap();
    assert_eq!(page.status, 404);
    assert!(
        page.header("content-type").starts_with("text/html"),
        "{page:?}"
    );
    assert!(
        page.text().contains(page.header("x-request-id")),
        "{page:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loops_and_unknown_hosts_are_refused() {
    let origin = Origin::serve(|_| async { reply::text("ok").done() }).await;
    let edge = Edge::alone(&one_route(&origin.url(), "").replace("\"*\"", "shop.example"))
        .start()
        .await;
    check(&edge.get("elsewhere.example", "/").await, 404, "no_site");

    // What this edge adds to a request is what it refuses when it comes back.
    edge.get("shop.example", "/").await;
    let token = origin.seen()[0].headers["cdn-loop"].clone();
    let request = Client::request("GET", "shop.example", "/")
        .header("cdn-loop", token)
        .body(body::empty())
        .unwrap();
    let reply = Client::new().send(edge.http(), request).await.unwrap();
    check(&reply, 508, "loop_detected");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_not_http_ends_its_own_connection_alone() {
    let origin = Origin::serve(|_| async { reply::text("ok").done() }).await;
    let edge = Edge::alone(&one_route(&origin.url(), "")).start().await;
    let cases: [&[u8]; 3] = [
        b"\x16\x03\x01 this is TLS\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
    ];
    for bytes in cases {
        let mut stream = Client::new().tcp(edge.http()).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, bytes)
            .await
            .unwrap();
        let mut answer = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(5), read).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused, "{:?}: {answer}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(origin.requests(), 0);
    assert_eq!(edge.get("shop.example", "/").await.text(), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_with_two_lengths_can_smuggle_nothing() {
    let origin = Origin::serve(|_| async { reply::text("ok").done() }).await;
    let edge = Edge::alone(&one_route(&origin.url(), "")).start().await;
    let mut stream = Client::new().tcp(edge.http()).await.unwrap();
    let bytes = b"POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
                  0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, bytes)
        .await
        .unwrap();
    let mut answer = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer);
    // Refused, or answered by the chunked body alone; closed in both cases (RFC 9112 §6.1).
    tokio::time::timeout(Duration::from_secs(10), read)
        .await
        .expect("the connection is closed")
        .unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert_eq!(origin.requests_for("/smuggled"), 0);
    for seen in origin.seen() {
        let lengths = ["content-length", "transfer-encoding"];
        let told = lengths
            .iter()
            .filter(|name| seen.headers.contains_key(**name))
            .count();
        assert!(told <= 1, "{seen:?}");
    }
}
