//! What a client learns when something is wrong: problem+json or HTML, with the request's id and nothing of the inside.

use latencify_tests::{Client, Edge, Origin, RawOrigin, Reply, body, policy::one_route, reply};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// An origin that hangs goes on by itself then, so that a limit which does not hold shows as an answer: long after the
/// limits of these tests, long before those that hold by default.
const TOO_LATE: Duration = Duration::from_secs(20);

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
        tokio::time::sleep(TOO_LATE).await;
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await
    })
    .await;
    let route = "timeouts: {first_byte: 300ms, between_bytes: 300ms}, limits: {retries: 0}";
    let edge = Edge::alone(&one_route(&hanging.url(), route)).start().await;
    check(&edge.get("shop.example", "/").await, 504, "origin_timeout");

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
    tokio::time::timeout(Duration::from_mins(1), read)
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

/// Each limit holds by itself, whichever of the two is the longer one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_may_be_silent_as_long_as_each_limit_says() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n";
    /// More than the shorter limit, which is long enough for a busy machine to go on with what is no pause.
    const PAUSE: Duration = Duration::from_secs(4);
    let origin = RawOrigin::serve(|mut stream| async move {
        let head = RawOrigin::head(&mut stream).await?;
        let path = head.split(' ').nth(1).unwrap_or_default();
        let sized = format!("{HEAD}Content-Length: 4\r\n\r\n");
        let open = format!("{HEAD}\r\n");
        let (head_wait, head, hangs) = match path {
            "/late-head" => (PAUSE, &sized, false),
            "/no-head" => (TOO_LATE, &sized, false),
            "/late-body" => (Duration::ZERO, &sized, false),
            "/no-body" => (Duration::ZERO, &sized, true),
            _ => (Duration::ZERO, &open, true),
        };
        tokio::time::sleep(head_wait).await;
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(b"be").await?;
        if hangs {
            tokio::time::sleep(TOO_LATE).await;
        }
        if path == "/late-body" {
            tokio::time::sleep(PAUSE).await;
        }
        stream.write_all(b"gi").await
    })
    .await;
    // (limits, what is served, what is ended)
    let cases = [
        (
            "first_byte: 30s, between_bytes: 2s",
            "/late-head",
            ["/no-body", "/open-body"].as_slice(),
        ),
        (
            "first_byte: 2s, between_bytes: 30s",
            "/late-body",
            ["/no-head"].as_slice(),
        ),
    ];
    for (limits, served, ended) in cases {
        let route = format!("cache: true, timeouts: {{{limits}}}, limits: {{retries: 0}}");
        let edge = Edge::alone(&one_route(&origin.url(), &route)).start().await;
        assert_eq!(edge.get("shop.example", served).await.text(), "begi");
        for path in ended {
            // Twice: half a body must not have been stored as a whole one.
            for _ in 0..2 {
                let request = Client::request("GET", "shop.example", path)
                    .body(body::empty())
                    .unwrap();
                match Client::new().send(edge.http(), request).await {
                    Ok(reply) => check(&reply, 504, "origin_timeout"),
                    Err(_) => assert_ne!(*path, "/no-head", "{limits}"),
                }
            }
        }
    }
}
