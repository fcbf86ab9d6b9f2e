//! Clients that send or take too slowly.

use crate::attacked::{Attacked, HOST, LARGE, SOON};
use latencify_tests::{Client, Protocol, body};
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

const ATTACKER: &str = "127.10.0.1";

/// Waits until the other side ends the connection; what it said before.
pub async fn ends(mut stream: impl AsyncRead + Unpin) -> String {
    let mut said = Vec::new();
    let reading = async {
        let mut piece = [0; 4096];
        // A reset is an end too.
        while let Ok(read @ 1..) = stream.read(&mut piece).await {
            said.extend_from_slice(&piece[..read]);
        }
    };
    timeout(SOON, reading).await.expect("the edge ends it");
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tls_handshake_that_does_not_come_is_cut_off() {
    let attacked = Attacked::with("handshake_time: 1s").await;
    let silent = Client::at(ATTACKER)
        .tcp(attacked.edge.https())
        .await
        .unwrap();
    ends(silent).await;
    attacked.counted_ended("handshake_time", 1.0).await;

    // A hello that comes octet by octet is as late.
    let mut dripping = Client::at(ATTACKER)
        .tcp(attacked.edge.https())
        .await
        .unwrap();
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let drip = async {
        for octet in hello.iter().cycle() {
            if dripping.write_all(&[*octet]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(SOON, drip).await.expect("it is cut off");
    attacked.over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_drips_is_cut_off() {
    let attacked = Attacked::with("header_time: 3s").await;
    let mut stream = Client::at(ATTACKER)
        .tcp(attacked.edge.http())
        .await
        .unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\n")
        .await
        .unwrap();
    let (reader, mut writer) = stream.into_split();
    let dripping = tokio::spawn(async move {
        while writer.write_all(b"x-a: b\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let said = ends(reader).await;
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    attacked.counted_ended("header_time", 1.0).await;
    dripping.await.unwrap();
    attacked.over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_drips_is_cut_off() {
    let attacked = Attacked::with("body_grace: 1s").await;
    let mut stream = Client::at(ATTACKER)
        .tcp(attacked.edge.http())
        .await
        .unwrap();
    let head = b"POST /echo HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 100000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let (reader, mut writer) = stream.into_split();
    let dripping = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let said = ends(reader).await;
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    attacked.counted_ended("body_rate", 1.0).await;
    dripping.await.unwrap();
    attacked.over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_keeps_the_rate_is_taken_however_long_it_lasts() {
    let attacked = Attacked::with("body_grace: 3s, body_rate: 1KiB").await;
    let request = Client::request("POST", HOST, "/echo")
        .body(body::slow(
            vec![vec![b'x'; 2_048]; 12],
            Duration::from_millis(500),
        ))
        .unwrap();
    let reply = Client::at(ATTACKER)
        .send(attacked.edge.http(), request)
        .await
        .unwrap();
    assert_eq!((reply.status.as_u16(), reply.text()), (200, "24576"));
    assert!(attacked.ended("body_rate").await < 1.0);
    attacked.over().await;
}

/// Asks for something large again and again and reads nothing of it, over plain connections and over TLS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_nothing_is_cut_off_and_holds_little_memory() {
    let attacked = Attacked::with("send_grace: 2s").await;
    let stored = attacked.edge.get(HOST, "/large").await;
    assert_eq!(stored.body.len(), LARGE);
    let before = attacked.edge.resident_bytes();
    let mut held = Vec::new();
    for _ in 0..50 {
        let mut stream = Client::at(ATTACKER)
            .tcp(attacked.edge.http())
            .await
            .unwrap();
        stream
            .write_all(b"GET /large HTTP/1.1\r\nhost: shop.example\r\n\r\n")
            .await
            .unwrap();
        held.push(stream);
    }
    let mut over_tls = Vec::new();
    for _ in 0..50 {
        let mut connection = Client::at(ATTACKER)
            .connect_tls(
                attacked.edge.https(),
                HOST,
                &attacked.authority,
                Protocol::Http1,
            )
            .await
            .unwrap();
        let request = Client::request("GET", HOST, "/large")
            .body(body::empty())
            .unwrap();
        over_tls.push((connection.stream(request).await.unwrap(), connection));
    }
    attacked.counted_ended("send_rate", 100.0).await;
    let grown = attacked.edge.resident_bytes().saturating_sub(before);
    // A copy of the object for each would be 3,200 MiB.
    assert!(grown < 64 << 20, "grown by {} KiB", grown >> 10);
    attacked.over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_slowly_but_steadily_gets_all() {
    let attacked = Attacked::with("send_grace: 3s, send_rate: 100KiB").await;
    let mut stream = Client::at(ATTACKER)
        .tcp(attacked.edge.http())
        .await
        .unwrap();
    stream
        .write_all(b"GET /large HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut taken = 0;
    let mut piece = vec![0; 1 << 20];
    loop {
        let read = stream.read(&mut piece).await.unwrap();
        if read == 0 {
            break;
        }
        taken += read;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(taken > LARGE, "{taken}");
    assert!(attacked.ended("send_rate").await < 1.0);
    attacked.over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_closed() {
    let attacked = Attacked::with("idle: 1s").await;
    let mut stream = Client::at(ATTACKER)
        .tcp(attacked.edge.http())
        .await
        .unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n")
        .await
        .unwrap();
    let said = ends(stream).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    attacked.counted_ended("idle", 1.0).await;
    attacked.over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_has_its_number_of_requests() {
    let attacked = Attacked::with("requests: 3").await;
    let mut stream = Client::at(ATTACKER)
        .tcp(attacked.edge.http())
        .await
        .unwrap();
    for _ in 0..3 {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n")
            .await
            .unwrap();
    }
    let said = ends(stream).await;
    assert_eq!(said.matches("HTTP/1.1 200").count(), 3, "{said}");
    assert!(said.to_lowercase().contains("connection: close"), "{said}");
    attacked.counted_ended("requests", 1.0).await;
    attacked.over().await;
}
