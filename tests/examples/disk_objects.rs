//! An edge with many small objects on disk, filled through the edge itself: how long it takes to be usable after `kill -9`, what the
//! index costs in memory, what a look-up finds, and what a purge costs. `cargo run --release -p latencify-tests --example disk_objects
//! [OBJECTS]`, with the edge built by `cargo build --release -p latencify-gateway --bins`; a sweep's round is measured
//! by `cargo run --release -p latencify-disk --example fill`.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a measuring program

use futures::future::join_all;
use latencify_tests::{Client, Edge, body, policy::one_route};
use std::{
    fs,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const HOST: &str = "shop.example";
const BODY_BYTES: usize = 1024;
const CONNECTIONS: u64 = 16;
/// An object for 4 KiB of the tier, and some more.
const DISK_BYTES_PER_OBJECT: u64 = 5 << 10;

#[tokio::main]
async fn main() {
    let objects = std::env::args().nth(1);
    let objects: u64 = objects.map_or(1_000_000, |objects| objects.parse().unwrap());
    let options = Edge::alone(&one_route(&origin().await, "cache: true"));
    let folder = options.folder().join("disk");
    fs::create_dir(&folder).unwrap();
    let bytes = (objects * DISK_BYTES_PER_OBJECT).max(64 << 20);
    let mut edge = options
        .flag("--disk", &folder.display().to_string())
        .flag("--disk-bytes", &format!("{}MiB", bytes >> 20))
        .flag("--cache-memory", "32MiB")
        .start()
        .await;
    until(&edge, "ready", 1.0).await;
    let empty = edge.resident_bytes();

    let began = Instant::now();
    let mut stored = 0.0;
    // What the disk was too slow for is asked for again, as the memory tier has forgotten it.
    for round in 0.. {
        let next = AtomicU64::new(0);
        join_all((0..CONNECTIONS).map(|_| ask_all(edge.http(), objects, &next))).await;
        until_idle(&edge).await;
        stored = disk(&edge, "objects").await;
        println!(
            "round {round}: {stored} of {objects} on disk after {:.1?}",
            began.elapsed()
        );
        if stored >= objects as f64 || round == 3 {
            break;
        }
    }
    println!("{} MiB on disk", disk(&edge, "bytes").await as u64 >> 20);

    edge.process().kill();
    let began = Instant::now();
    edge.restart().await;
    until(&edge, "ready", 1.0).await;
    let usable = began.elapsed();
    let found = disk(&edge, "objects").await;
    let index = edge.resident_bytes().saturating_sub(empty);
    println!(
        "killed; {found} of {stored} usable {usable:.2?} after the start of the process, {:.0} bytes of memory each",
        index as f64 / found
    );
    let began = Instant::now();
    let mut hits = 0;
    for number in (0..1_000).map(|number| number * 7_919 % objects) {
        hits += usize::from(edge.get(HOST, &format!("/{number}")).await.is_hit());
    }
    println!(
        "{hits} of 1000 asked for are hits, in {:.1?}",
        began.elapsed()
    );
    let mut purges = Vec::new();
    for number in 0..100 {
        let request = Client::request("PURGE", HOST, &format!("/{number}"));
        let request = request.body(body::empty()).unwrap();
        let began = Instant::now();
        let purged = edge.client().send(edge.http(), request).await.unwrap();
        assert!(purged.status.is_success(), "{purged:?}");
        purges.push(began.elapsed());
    }
    purges.sort_unstable();
    println!(
        "a purge of one, on disk before it is answered: p50 {:.1?}, most {:.1?}",
        purges[50], purges[99]
    );
    assert!(!edge.get(HOST, "/7").await.is_hit());
}

async fn disk(edge: &Edge, name: &str) -> f64 {
    edge.metric(&format!("latencify_gateway_disk_{name}")).await
}

async fn until(edge: &Edge, name: &str, least: f64) {
    while disk(edge, name).await < least {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Nothing waits to be written.
async fn until_idle(edge: &Edge) {
    while disk(edge, "queue").await + disk(edge, "fills").await > 0.0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks for what nobody has asked for in this round, one after the other.
async fn ask_all(edge: SocketAddr, objects: u64, next: &AtomicU64) {
    let mut stream = TcpStream::connect(edge).await.unwrap();
    let mut read = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= objects {
            return;
        }
        // After so many requests the edge ends a connection.
        while !ask(&mut stream, number, &mut read).await {
            stream = TcpStream::connect(edge).await.unwrap();
        }
    }
}

/// False: the connection has ended.
async fn ask(stream: &mut TcpStream, number: u64, read: &mut Vec<u8>) -> bool {
    let request = format!("GET /{number} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    read.clear();
    if stream.write_all(request.as_bytes()).await.is_err() {
        return false;
    }
    // A head of one read or more, and the body.
    while !is_whole(read) {
        if !matches!(stream.read_buf(read).await, Ok(1..)) {
            return false;
        }
    }
    true
}

fn is_whole(read: &[u8]) -> bool {
    let head = read.windows(4).position(|four| four == b"\r\n\r\n");
    head.is_some_and(|head| read.len() >= head + 4 + BODY_BYTES)
}

/// An origin that does as little as possible.
async fn origin() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {BODY_BYTES}\r\ncache-control: max-age=86400\r\nsurrogate-key: all\r\n\r\n{}",
        "x".repeat(BODY_BYTES)
    );
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut read = Vec::new();
                while stream.read_buf(&mut read).await.is_ok_and(|read| read > 0) {
                    if read.ends_with(b"\r\n\r\n") {
                        read.clear();
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    format!("http://{address}")
}
