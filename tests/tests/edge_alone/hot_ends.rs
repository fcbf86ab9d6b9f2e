//! How connections end on which hot hits were answered, and what is told of a hot hit that did not come to its end.

use crate::hot::{HOT_ANSWERS, LONG_WAY, Raw, SOON, edge, kinds};
use latencify_tests::{
    Authority, Client, Edge, Origin, Protocol, body,
    frames::{self, HEADERS},
    policy::one_route,
    reply, wait_until,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

const HOST: &str = "shop.example";
/// More than all buffers on the way together.
const LARGE: usize = 32 << 20;

/// All lines of `Connection` are one list (RFC 9110 §5.3, RFC 9112 §9.3).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_in_any_line_ends_the_connection_whichever_way_it_goes() {
    let origin = kinds().await;
    let edge = edge(&origin, "cache: true").await;
    Raw::to(&edge).await.get("/hello").await;
    for way in ["", LONG_WAY] {
        for lines in [
            "Connection: x\r\nConnection: close\r\n",
            "Connection: keep-alive\r\nConnection: Close\r\n",
            "Connection: x, y\r\nX: 1\r\nConnection: z,close\r\n",
        ] {
            let mut client = Raw::to(&edge).await;
            let head = format!("/hello HTTP/1.1\r\nHost: {HOST}\r\n{lines}{way}");
            let answer = client.ask("GET", head.trim_end()).await;
            assert!(answer.is_hit(), "{head}: {answer:?}");
            assert_eq!(answer.field("connection"), Some("close"), "{head}");
            client.closed().await;
        }
        let mut client = Raw::to(&edge).await;
        let lines = "Connection: x\r\nConnection: keep-alive\r\n";
        let head = format!("/hello HTTP/1.0\r\nHost: {HOST}\r\n{lines}{way}");
        for _ in 0..2 {
            let answer = client.ask("GET", head.trim_end()).await;
            assert_eq!(answer.field("connection"), Some("keep-alive"), "{head}");
        }
    }
}

/// An edge that has something large in memory, and its origin.
async fn large() -> (Edge, Authority, Origin) {
    let origin =
        Origin::serve(|_| async { reply::of(body::full(vec![b'x'; LARGE])).max_age(600).done() })
            .await;
    let authority = Authority::new();
    let policy = one_route(&origin.url(), "cache: true")
        .replace(
            "origins:\n",
            "certificates: {main: {chain: main.pem, key: main.key}}\norigins:\n",
        )
        .replace("hosts: [\"*\"]", "hosts: [\"*\"]\n    certificate: main");
    let edge = Edge::alone(&policy)
        .flag("--cache-memory", "128MiB")
        .flag("--drain-timeout", "1s")
        .certificate(&authority, "main", &[HOST])
        .start()
        .await;
    assert_eq!(edge.get(HOST, "/large").await.body.len(), LARGE);
    // The scheme is part of the key.
    let mut secure = Client::new()
        .connect_tls(edge.https(), HOST, &authority, Protocol::Http2)
        .await
        .unwrap();
    let request = Client::request("GET", HOST, "/large")
        .body(body::empty())
        .unwrap();
    let stored = secure.send(request).await.unwrap();
    assert_eq!(stored.body.len(), LARGE);
    (edge, authority, origin)
}

/// Asks for it, and reads the beginning.
async fn begins(edge: &Edge) -> TcpStream {
    // A client that buffers little, so that what it does not read waits at the edge.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut stream = socket.connect(edge.http()).await.unwrap();
    let request = format!("GET /large HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    // Beyond the head.
    stream.read_exact(&mut [0; 4_096]).await.unwrap();
    stream
}

/// The record of the hit.
async fn record(edge: &Edge) -> Value {
    wait_until("the hit has its record", SOON, async || {
        let log = edge.access_log();
        let hit = log.iter().find(|record| record["cache"] == "hit").cloned();
        hit.ok_or_else(|| format!("{log:?}"))
    })
    .await
}

fn broke_off(record: &Value, cause: &str) {
    assert_eq!(record["error"], cause, "{record}");
    assert_eq!(record["status"], 200, "{record}");
    let sent = record["bytes_out"].as_u64().unwrap();
    assert!(sent > 0 && sent < LARGE as u64, "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_hit_that_a_drain_cuts_off_says_how_much_was_sent() {
    let (mut edge, _authority, _origin) = large().await;
    let stream = begins(&edge).await;
    assert_eq!(edge.metric(HOT_ANSWERS).await as u32, 1);
    edge.process().signal("TERM");
    edge.process().ended(SOON).await;
    broke_off(&record(&edge).await, "drain_time");
    drop(stream);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_hit_whose_client_leaves_says_how_much_was_sent() {
    let (edge, _authority, _origin) = large().await;
    drop(begins(&edge).await);
    broke_off(&record(&edge).await, "client_gone");
    assert_eq!(edge.metric(HOT_ANSWERS).await as u32, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_hit_over_http_2_that_a_drain_cuts_off_says_how_much_was_sent() {
    let (mut edge, authority, _origin) = large().await;
    let trust = authority.client(&[b"h2"]);
    let mut raw = frames::Raw::connect(edge.https(), trust, HOST, "127.0.0.1", &[])
        .await
        .unwrap();
    raw.send(&frames::get(1, HOST, "/large")).await.unwrap();
    raw.reader.wait_for(HEADERS, 1).await;
    assert_eq!(edge.metric(HOT_ANSWERS).await as u32, 1);
    edge.process().signal("TERM");
    edge.process().ended(SOON).await;
    broke_off(&record(&edge).await, "drain_time");
}
