//! A connection from its first octet to its end: late heads, idle time, the number of requests, interim answers, other
//! protocols.

use crate::world::{HOST, Over, Peer, WITHIN, World, find, good};
use latencify_tests::{Edge, RawOrigin, policy::one_route, wait_until};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Long enough for a busy machine to send what it has.
const SHORT: &str = "limits: {header_time: 3s, idle: 3s, requests: 3}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_comes_too_slowly_is_answered_and_one_that_never_begins_is_not() {
    let world = World::new(SHORT, "").await;
    let mut late = 0;
    for over in [Over::Tcp, Over::Tls] {
        for later in [false, true] {
            for begun in [
                "GET /tardy HTTP/1.1\r\nHost: shop.example\r\nX: a",
                "GET /tar",
                "\r\nG",
            ] {
                let mut peer = world.connect(over).await;
                if later {
                    peer.send(good("/good")).await;
                    peer.answer("GET").await;
                }
                peer.send(begun).await;
                late += 1;
                let id = peer.answer("GET").await.refuses(408, "request_timeout");
                assert!(peer.rest().await.is_empty());
                let record = world.record(&id).await;
                assert_eq!(record["error"], "request_timeout", "{record}");
            }
            let mut peer = world.connect(over).await;
            if later {
                peer.send(good("/good")).await;
                peer.answer("GET").await;
                // An empty line is no request.
                peer.send("\r\n").await;
            }
            let rest = peer.rest().await;
            assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
            late += 1;
        }
    }
    let ended = "latencify_gateway_connections_ended_total{reason=\"header_time\"}";
    let count = world.edge.metric(ended).await;
    assert!((count - f64::from(late)).abs() < 0.5, "{count} of {late}");
    assert!(!world.seen.text().contains("tar"), "{}", world.seen.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_answer_is_not_a_late_head() {
    let origin = RawOrigin::serve(|mut stream: TcpStream| async move {
        RawOrigin::head(&mut stream).await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await
    })
    .await;
    let policy = one_route(&origin.url(), "").replace("edge: {", &format!("edge: {{{SHORT}, "));
    let edge = Edge::alone(&policy).start().await;
    let mut peer = Peer::of(TcpStream::connect(edge.http()).await.unwrap());
    peer.send(good("/")).await;
    assert_eq!(peer.answer("GET").await.body, b"ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_request_of_a_connection_is_told() {
    let world = World::new(SHORT, "").await;
    for over in [Over::Tcp, Over::Tls] {
        let mut peer = world.connect(over).await;
        for (number, told) in [(1, "keep-alive"), (2, "keep-alive"), (3, "close")] {
            peer.send(good("/")).await;
            let answer = peer.answer("GET").await;
            assert_eq!(
                (answer.status, answer.field("connection")),
                (200, Some(told)),
                "{number}"
            );
        }
        assert!(peer.rest().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_body_is_sent_when_the_origin_asks_for_it() {
    let origin = RawOrigin::serve(|mut stream: TcpStream| async move {
        let head = RawOrigin::head(&mut stream).await?;
        assert!(
            head.to_lowercase().contains("expect: 100-continue"),
            "{head}"
        );
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        let mut body = [0; 5];
        stream.read_exact(&mut body).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            .await?;
        stream.write_all(&body).await
    })
    .await;
    let edge = Edge::alone(&one_route(&origin.url(), "")).start().await;
    let mut peer = Peer::of(TcpStream::connect(edge.http()).await.unwrap());
    peer.send(format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    ))
    .await;
    assert_eq!(peer.answer("POST").await.status, 100);
    peer.send("hello").await;
    assert_eq!(peer.answer("POST").await.body, b"hello");
}

const UPGRADE: &str =
    "GET /chat HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_passes_once_another_protocol_is_agreed_on() {
    let origin = RawOrigin::serve(|mut stream: TcpStream| async move {
        RawOrigin::head(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await?;
        let mut piece = [0; 1024];
        loop {
            let count = stream.read(&mut piece).await?;
            if count == 0 {
                return Ok(());
            }
            stream.write_all(&piece[..count]).await?;
        }
    })
    .await;
    let edge = Edge::alone(&one_route(&origin.url(), "")).start().await;
    // Octets that no request may have, some of them sent before the answer is there.
    let noise: Vec<u8> = (0..=255).cycle().take(4096).collect();
    let mut peer = Peer::of(TcpStream::connect(edge.http()).await.unwrap());
    peer.send([UPGRADE.as_bytes(), b"\0\n\rearly"].concat())
        .await;
    assert_eq!(peer.answer("GET").await.status, 101);
    assert_eq!(peer.octets(8).await, b"\0\n\rearly");
    for _ in 0..3 {
        peer.send(&noise).await;
        assert_eq!(peer.octets(noise.len()).await, noise);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_upgrade_leaves_requests() {
    let world = World::new("", "").await;
    let mut peer = world.connect(Over::Tcp).await;
    peer.send(format!("{UPGRADE}\0\n\r{}", good("/smuggled")))
        .await;
    let answer = peer.answer("GET").await;
    assert_eq!(answer.status, 200, "{}", answer.head);
    // Whether the edge goes on or not: what follows is no request.
    let rest = String::from_utf8_lossy(&peer.rest().await).into_owned();
    assert!(
        rest.is_empty() || rest.starts_with("HTTP/1.1 400 "),
        "{rest}"
    );
    assert!(!world.seen.text().contains("smuggled"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_in_the_middle_of_its_body_leaves_no_whole_request() {
    let world = World::new("", "").await;
    for body in [
        "Content-Length: 10\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ] {
        let path = format!("/left-{}", body.len());
        let mut peer = world.connect(Over::Tcp).await;
        peer.send(format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\n{body}"))
            .await;
        wait_until("the origin has the head", WITHIN, async || {
            world
                .seen
                .with(&path)
                .filter(|(seen, _)| seen.contains("hello"))
                .ok_or_else(|| world.seen.text())
        })
        .await;
        drop(peer);
        wait_until(
            "the origin's connection is closed",
            WITHIN,
            async || match world.seen.with(&path) {
                Some((_, true)) => Ok(()),
                other => Err(format!("{other:?}")),
            },
        )
        .await;
        let (seen, _) = world.seen.with(&path).unwrap();
        assert!(find(seen.as_bytes(), b"0\r\n\r\n").is_none(), "{seen}");
    }
}
