//! How long an edge waits for a client, and for whom a connection was upgraded: as long as the policy says.

use crate::world::{HOST, Peer, WITHIN, good};
use latencify_tests::{Edge, RawOrigin, wait_until};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::sleep,
};

const UPGRADE: &str =
    "GET /chat HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
/// Longer than any time limit that is not the policy's.
const PAUSE: Duration = Duration::from_secs(65);
const LARGE: usize = 16 << 20;

/// Speaks back what is said over an upgraded connection, answers `POST` with its body's length once that has come, begins
/// its answer to `POST /early` before any of the body, and answers whatever else with much.
async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let head = RawOrigin::head(&mut stream).await?;
    let mut piece = vec![0; 4096];
    if head.starts_with("GET /chat") {
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await?;
        loop {
            let count = stream.read(&mut piece).await?;
            if count == 0 {
                return Ok(());
            }
            stream.write_all(&piece[..count]).await?;
        }
    }
    if head.starts_with("POST /early") {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
            .await?;
        until_last_chunk(&mut stream).await?;
        return stream.write_all(b"1\r\nz\r\n0\r\n\r\n").await;
    }
    if head.starts_with("POST /over") {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await?;
        return until_last_chunk(&mut stream).await;
    }
    if head.starts_with("POST") {
        until_last_chunk(&mut stream).await?;
        return stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await;
    }
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&vec![b'x'; LARGE]).await
}

async fn until_last_chunk(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut came = Vec::new();
    while !came.ends_with(b"0\r\n\r\n") {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Ok(());
        }
        came.extend_from_slice(&piece[..count]);
    }
    Ok(())
}

async fn edge(limits: &str, timeouts: &str) -> (Edge, RawOrigin) {
    let origin = RawOrigin::serve(answer).await;
    let policy = format!(
        "version: 1\nedge: {{limits: {{{limits}}}}}\norigins: {{app: {{url: '{}'}}}}\n\
         sites: {{main: {{hosts: ['*'], routes: [{{origins: [app], timeouts: {{{timeouts}}}}}]}}}}\n",
        origin.url()
    );
    (Edge::alone(&policy).start().await, origin)
}

async fn peer(edge: &Edge) -> Peer {
    Peer::of(TcpStream::connect(edge.http()).await.unwrap())
}

/// The error in the record of the only request to this path, once it is over.
async fn error_of(edge: &Edge, path: &str) -> String {
    wait_until("the record is written", WITHIN, async || {
        let log = edge.access_log();
        let found = log.iter().find(|record| record["path"] == path);
        found
            .map(|record| record["error"].to_string())
            .ok_or_else(|| format!("{} records", log.len()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgraded_connection_ends_when_the_origin_is_silent_for_too_long() {
    for timeouts in [
        "first_byte: 3s, between_bytes: 3s",
        "first_byte: 60s, between_bytes: 3s",
    ] {
        let (edge, _origin) = edge("", timeouts).await;
        let mut peer = peer(&edge).await;
        peer.send(UPGRADE).await;
        assert_eq!(peer.answer("GET").await.status, 101);
        for _ in 0..4 {
            peer.send("ping").await;
            assert_eq!(peer.octets(4).await, b"ping");
            sleep(Duration::from_secs(1)).await;
        }
        assert!(peer.rest().await.is_empty());
        assert_eq!(
            error_of(&edge, "/chat").await,
            "\"origin_timeout\"",
            "{timeouts}"
        );
    }
}

/// A client that buffers little, so that what it does not read waits at the edge.
async fn little_window(edge: &Edge) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    socket.connect(edge.http()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_answers_while_it_is_asked_is_not_hurried_and_whoever_has_answered_waits_no_longer()
{
    let (edge, _origin) = edge("body_grace: 1s", "").await;
    let chunked = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n"
        )
    };
    // The conversation of two that both have begun lasts as long as they like.
    let mut talks = peer(&edge).await;
    talks.send(chunked("/early")).await;
    talks.octets(b"HTTP/1.1 200 OK".len()).await;
    sleep(Duration::from_secs(3)).await;
    talks.send("0\r\n\r\n").await;
    let said = String::from_utf8(talks.octets(1).await).unwrap();
    assert!(!said.is_empty());
    assert_eq!(error_of(&edge, "/early").await, "null");
    // A body that the origin waits for must come, and one that nobody waits for too.
    for path in ["/late", "/over"] {
        let mut silent = peer(&edge).await;
        silent.send(chunked(path)).await;
        silent.rest().await;
        assert_eq!(error_of(&edge, path).await, "\"body_rate\"", "{path}");
    }
}

/// Everybody pauses for longer than Pingora's own timers would let them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_grace_is_honoured() {
    let (edge, _origin) = edge(
        "body_grace: 5m, send_grace: 5m",
        "first_byte: 5m, between_bytes: 5m",
    )
    .await;
    let mut chats = peer(&edge).await;
    chats.send(UPGRADE).await;
    assert_eq!(chats.answer("GET").await.status, 101);
    let mut brings = peer(&edge).await;
    brings
        .send(format!(
            "POST /late HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n"
        ))
        .await;
    let mut takes = little_window(&edge).await;
    takes.write_all(good("/much").as_bytes()).await.unwrap();
    sleep(PAUSE).await;
    chats.send("ping").await;
    assert_eq!(chats.octets(4).await, b"ping");
    brings.send("0\r\n\r\n").await;
    assert_eq!(brings.answer("POST").await.status, 200);
    let answer = Peer::of(takes).answer("GET").await;
    assert_eq!((answer.status, answer.body.len()), (200, LARGE));
}
