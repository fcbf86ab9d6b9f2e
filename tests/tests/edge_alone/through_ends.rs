//! Connections, clients and bodies that end early, where requests pass through before Pingora.

use crate::{
    hot::{Raw, SOON, records},
    through::{LARGE, LONG_WAY, PASSED, all, edge, origin},
};
use latencify_tests::{
    Authority, Client, Edge, Origin, Protocol, RawOrigin, body, policy::one_route, reply,
    wait_until,
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Answers as many requests as it may on each of its connections, and closes without a word at the next. Tells of every
/// request the number of its connection.
async fn closing_after(requests: usize) -> (RawOrigin, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let made = connections.clone();
    let origin = RawOrigin::serve(move |mut stream| {
        let number = made.fetch_add(1, SeqCst);
        async move {
            for _ in 0..requests {
                RawOrigin::head(&mut stream).await?;
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}");
                stream.write_all(answer.as_bytes()).await?;
            }
            RawOrigin::head(&mut stream).await.map(drop)
        }
    })
    .await;
    (origin, connections)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_used_again_those_of_retries_too() {
    let (origin, connections) = closing_after(3).await;
    let edge = edge(&origin, "").await;
    let mut client = Raw::to(&edge).await;
    let mut bodies = Vec::new();
    for _ in 0..8 {
        let answer = client.get("/").await;
        assert!(answer.head.starts_with("HTTP/1.1 200 "), "{answer:?}");
        bodies.extend(answer.body);
    }
    assert_eq!(String::from_utf8(bodies).unwrap(), "00011122");
    assert_eq!(connections.load(SeqCst), 3);
    let raced = r#"latencify_gateway_origin_attempts_total{origin="app",outcome="idle_closed"}"#;
    assert_eq!(edge.metric(raced).await as usize, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_waits_as_long_as_its_origin_says() {
    for (said, expected) in [("timeout=0", 3), ("max=9, Timeout = 600", 1), ("max=9", 1)] {
        let connections = Arc::new(AtomicUsize::new(0));
        let made = connections.clone();
        let origin = RawOrigin::serve(move |mut stream| {
            made.fetch_add(1, SeqCst);
            async move {
                loop {
                    RawOrigin::head(&mut stream).await?;
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nKeep-Alive: {said}\r\nContent-Length: 1\r\n\r\n."
                    );
                    stream.write_all(answer.as_bytes()).await?;
                }
            }
        })
        .await;
        let edge = edge(&origin, "").await;
        let mut client = Raw::to(&edge).await;
        for _ in 0..3 {
            assert_eq!(client.get("/").await.body, b".");
        }
        assert_eq!(connections.load(SeqCst), expected, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_at_once_is_answered_in_order() {
    let (origin, _) = origin().await;
    let edge = edge(&origin, "").await;
    let mut client = Raw::to(&edge).await;
    let host = "HTTP/1.1\r\nHost: shop.example\r\n";
    let said = format!(
        "GET /length {host}\r\nHEAD /busy {host}\r\nGET /moved {host}{LONG_WAY}\r\nGET /large {host}\r\nGET /busy {host}\r\n"
    );
    client.say(said).await;
    let expected = [
        ("GET", "200", 5),
        ("HEAD", "503", 0),
        ("GET", "301", 0),
        ("GET", "200", LARGE),
        ("GET", "503", 4),
    ];
    for (method, status, length) in expected {
        let answer = client.hear(method).await;
        assert_eq!(answer.head.split(' ').nth(1), Some(status), "{answer:?}");
        assert_eq!(answer.body.len(), length);
    }
}

/// A response that nobody asked for, over a connection that waits, ends that connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_over_an_idle_connection_is_nobodys() {
    const EVIL: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let closed = Arc::new(AtomicUsize::new(0));
    let count = closed.clone();
    let origin = RawOrigin::serve(move |mut stream| {
        let count = count.clone();
        async move {
            RawOrigin::head(&mut stream).await?;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                .await?;
            stream.write_all(EVIL).await?;
            let more = stream.read(&mut [0; 1]).await;
            assert!(matches!(more, Ok(0) | Err(_)), "asked again: {more:?}");
            count.fetch_add(1, SeqCst);
            Ok(())
        }
    })
    .await;
    let edge = edge(&origin, "").await;
    for round in 1..=2 {
        assert_eq!(Raw::to(&edge).await.get("/").await.body, b"hello");
        wait_until("the edge has closed it", SOON, async || {
            match closed.load(SeqCst) {
                closed if closed == round => Ok(()),
                closed => Err(closed),
            }
        })
        .await;
    }
}

/// Answers with the beginning of a body, and then what `then` does.
async fn broken<F, R>(then: F) -> RawOrigin
where
    F: Fn(TcpStream) -> R + Copy + Send + Sync + 'static,
    R: Future<Output = io::Result<()>> + Send + 'static,
{
    RawOrigin::serve(move |mut stream| async move {
        let head = RawOrigin::head(&mut stream).await?;
        let framing = if head.contains("/chunks") {
            "Transfer-Encoding: chunked\r\n\r\nA\r\nhello"
        } else {
            "Content-Length: 10\r\n\r\nhello"
        };
        let answer = format!("HTTP/1.1 200 OK\r\n{framing}");
        stream.write_all(answer.as_bytes()).await?;
        then(stream).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_breaks_off_for_the_client_too() {
    let closes = broken(|_| async { Ok(()) }).await;
    let stops = broken(|mut stream| async move { stream.read(&mut [0; 1]).await.map(drop) }).await;
    let goes_wrong = broken(|mut stream| async move {
        stream.write_all(b"world and more\r\n0\r\n\r\n").await?;
        stream.read(&mut [0; 1]).await.map(drop)
    })
    .await;
    let cases = [
        (&closes, "/length", Some("origin_failed")),
        (&closes, "/chunks", Some("origin_failed")),
        (&stops, "/length", Some("origin_timeout")),
        (&stops, "/chunks", Some("origin_timeout")),
        (&goes_wrong, "/length", None),
        // What is wrong with the first octets that come is told by a 502.
        (&goes_wrong, "/chunks", Some("origin_failed")),
    ];
    for (origin, path, error) in cases {
        let is_silent = error == Some("origin_timeout");
        let route = is_silent.then_some("timeouts: {between_bytes: 300ms}");
        let edge = edge(origin, route.unwrap_or_default()).await;
        for way in ["", LONG_WAY] {
            let line = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{way}\r\n");
            let heard = String::from_utf8(all(&edge, &line).await).unwrap();
            let is_whole = heard.ends_with("\r\n0\r\n\r\n") || heard.ends_with("helloworld");
            assert_eq!(
                is_whole,
                error.is_none(),
                "{path} {error:?} {way:?}: {heard:?}"
            );
        }
        for record in records(&edge, 2).await {
            assert_eq!(record["error"].as_str(), error, "{path}: {record}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_ends_the_fetch() {
    let (asked, left) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (asked.clone(), left.clone());
    let origin = RawOrigin::serve(move |mut stream| {
        let (asked, left) = counts.clone();
        async move {
            let head = RawOrigin::head(&mut stream).await?;
            asked.fetch_add(1, SeqCst);
            if head.contains("/body") {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
                stream.write_all(answer).await?;
            }
            // Until the edge closes.
            let _ = stream.read(&mut [0; 1]).await;
            left.fetch_add(1, SeqCst);
            Ok(())
        }
    })
    .await;
    let edge = edge(&origin, "").await;
    let reaches = async |what: &str, count: &AtomicUsize, wanted: usize| {
        wait_until(what, SOON, async || match count.load(SeqCst) {
            count if count == wanted => Ok(()),
            count => Err(count),
        })
        .await;
    };
    for (round, path) in (1..).zip(["/head", "/body"]) {
        let mut stream = Client::new().tcp(edge.http()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        reaches("the origin is asked", &asked, round).await;
        if path == "/body" {
            let mut heard = Vec::new();
            while !heard.ends_with(b"hello") {
                assert!(stream.read_buf(&mut heard).await.unwrap() > 0);
            }
        }
        drop(stream);
        reaches("the origin is left", &left, round).await;
    }
    let records = records(&edge, 2).await;
    let told: Vec<_> = records
        .iter()
        .map(|record| (record["status"].as_u64(), record["error"].as_str()))
        .collect();
    let gone = Some("client_gone");
    assert_eq!(told, [(Some(0), gone), (Some(200), gone)], "{records:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_too() {
    let origin = Origin::serve(|_| async { reply::of(body::full(vec![b'x'; LARGE])).done() }).await;
    let authority = Authority::new();
    let policy = one_route(&origin.url(), "")
        .replace("hosts: [\"*\"]", "hosts: [\"*\"]\n    certificate: main")
        + "certificates: {main: {chain: main.pem, key: main.key}}\n";
    let edge = Edge::alone(&policy)
        .certificate(&authority, "main", &["shop.example"])
        .start()
        .await;
    let mut connection = Client::new()
        .connect_tls(edge.https(), "shop.example", &authority, Protocol::Http1)
        .await
        .unwrap();
    for _ in 0..3 {
        let request = Client::request("GET", "shop.example", "/")
            .body(body::empty())
            .unwrap();
        let reply = connection.send(request).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.body.len()), (200, LARGE));
        assert_eq!(origin.seen()[0].headers["x-forwarded-proto"], "https");
    }
    // Counted behind the last octet.
    wait_until("three have passed", SOON, async || {
        match edge.metric(PASSED).await as usize {
            3 => Ok(()),
            passed => Err(passed),
        }
    })
    .await;
}
