//! Bodies larger than their route takes.

use crate::attacked::{Attacked, HOST, SOON};
use futures::future::join_all;
use latencify_tests::{Client, Protocol, body};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

const ATTACKER: &str = "127.10.0.1";
/// What a route takes that says nothing about it.
const DEFAULT: u64 = 100 << 20;
/// What may be on its way when the edge has seen enough.
const ON_ITS_WAY: u64 = 16 << 20;
const CHUNK: usize = 256 << 10;
const FAULTS: &str = "latencify_gateway_faults_total{fault=\"body_too_large\"}";

async fn answer(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // A reset behind the answer is an end too.
    let _ = timeout(SOON, stream.read_to_end(&mut said))
        .await
        .expect("it is answered and closed");
    String::from_utf8_lossy(&said).into_owned()
}

#[track_caller]
fn is_refused(said: &str) {
    assert!(said.starts_with("HTTP/1.1 413"), "{said}");
    assert!(said.contains("body_too_large"), "{said}");
}

/// One octet more than the default, which nobody waits for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_over_the_default_is_refused_before_the_body() {
    let attacked = Attacked::with("").await;
    let http = attacked.edge.http();
    let asks = (0..100).map(|_| async move {
        let mut stream = Client::at(ATTACKER).tcp(http).await.unwrap();
        let length = DEFAULT + 1;
        let head = format!(
            "POST /echo HTTP/1.1\r\nhost: shop.example\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        answer(&mut stream).await
    });
    for said in join_all(asks).await {
        is_refused(&said);
    }
    attacked.counted(FAULTS, 100.0).await;
    attacked.over().await;
}

/// Sends chunks for as long as the edge takes them; how many octets it took, and what it said.
async fn endless(server: SocketAddr) -> (u64, String) {
    let mut stream = Client::at(ATTACKER).tcp(server).await.unwrap();
    let head = b"POST /echo HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut chunk = format!("{CHUNK:x}\r\n").into_bytes();
    chunk.resize(chunk.len() + CHUNK, b'x');
    chunk.extend(b"\r\n");
    let mut sent = 0;
    while sent < 2 * DEFAULT {
        let sending = timeout(Duration::from_mins(1), stream.write_all(&chunk));
        if sending.await.expect("it is taken or refused").is_err() {
            break;
        }
        sent += CHUNK as u64;
    }
    (sent, answer(&mut stream).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_without_end_are_cut_off_at_the_default() {
    let attacked = Attacked::with("").await;
    let before = attacked.edge.resident_bytes();
    let http = attacked.edge.http();
    for (sent, _) in join_all((0..3).map(|_| endless(http))).await {
        assert!(
            (DEFAULT..DEFAULT + ON_ITS_WAY).contains(&sent),
            "{sent} octets were taken"
        );
    }
    attacked.counted(FAULTS, 3.0).await;
    let grown = attacked.edge.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "grown by {} KiB", grown >> 10);
    attacked.over().await;
}

/// The same over HTTP/2: the stream ends, and the connection serves the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_http2_is_cut_off_alone() {
    let attacked = Attacked::with("").await;
    let mut connection = Client::at(ATTACKER)
        .connect_tls(
            attacked.edge.https(),
            HOST,
            &attacked.authority,
            Protocol::Http2,
        )
        .await
        .unwrap();
    let request = Client::request("POST", HOST, "/echo")
        .body(body::repeated(b'x', DEFAULT + ON_ITS_WAY))
        .unwrap();
    // A client that still sends may see the reset before the answer.
    if let Ok(reply) = connection.send(request).await {
        assert_eq!(reply.status, 413, "{}", reply.text());
    }
    attacked.counted(FAULTS, 1.0).await;
    let next = Client::request("GET", HOST, "/")
        .body(body::empty())
        .unwrap();
    assert_eq!(connection.send(next).await.unwrap().status, 200);
    attacked.over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_the_default_is_taken() {
    let attacked = Attacked::with("").await;
    let request = Client::request("POST", HOST, "/echo")
        .body(body::repeated(b'x', DEFAULT))
        .unwrap();
    let reply = Client::at(ATTACKER)
        .send(attacked.edge.http(), request)
        .await
        .unwrap();
    assert_eq!((reply.status.as_u16(), reply.text()), (200, "104857600"));
    assert!(attacked.edge.metric(FAULTS).await < 1.0);
    attacked.over().await;
}
