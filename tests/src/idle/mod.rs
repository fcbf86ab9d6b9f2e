//! What connections cost that wait for their next request.

use crate::{
    Authority, Client, Edge, Origin,
    frames::{self, HEADERS},
    reply, wait_until,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::Semaphore,
    task::JoinSet,
};

/// Descriptors that each of the two needs besides.
const BESIDES: usize = 1_100;
/// Handshakes at a time.
const AT_ONCE: usize = 64;
const HOST: &str = "shop.example";
const PATIENCE: Duration = Duration::from_mins(3);

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n";

/// How a connection is opened, and has one request answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1.1 in the clear.
    Plain,
    /// HTTP/1.1 over TLS.
    Tls,
    /// HTTP/2 over TLS.
    Http2,
}

trait Held: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Held for T {}

async fn open(
    spoken: Spoken,
    (http, https): (SocketAddr, SocketAddr),
    authority: &Authority,
    number: usize,
) -> Box<dyn Held> {
    // 1,024 of one address are let in.
    let source = format!("127.30.{}.1", number / 1_000);
    match spoken {
        Spoken::Plain => {
            let mut stream = Client::at(&source).tcp(http).await.unwrap();
            ask(&mut stream).await;
            Box::new(stream)
        }
        Spoken::Tls => {
            let mut stream = frames::tls(https, authority.client(&[b"http/1.1"]), HOST, &source)
                .await
                .unwrap();
            ask(&mut stream).await;
            Box::new(stream)
        }
        Spoken::Http2 => {
            let mut raw =
                frames::Raw::connect(https, authority.client(&[b"h2"]), HOST, &source, &[])
                    .await
                    .unwrap();
            raw.send(&frames::get(1, HOST, "/")).await.unwrap();
            raw.reader.wait_for(HEADERS, 1).await;
            Box::new(raw.into_inner())
        }
    }
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    stream.write_all(GET).await.unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 1_024];
    while !answer.ends_with(b"hello") {
        let read = stream.read(&mut piece).await.unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..read]);
    }
}

/// Holds that many connections that have had one request answered each; octets of memory for each, in the edge.
pub async fn cost(spoken: Spoken, count: usize) -> usize {
    let origin = Origin::serve(|_| async { reply::text("hello").max_age(600).done() }).await;
    let authority = Arc::new(Authority::new());
    let policy = format!(
        "version: 1\nedge: {{limits: {{idle: 1h}}}}\n\
         certificates: {{main: {{chain: main.pem, key: main.key}}}}\n\
         origins: {{app: {{url: '{}'}}}}\n\
         sites: {{main: {{hosts: ['*'], certificate: main, routes: [{{origins: [app], cache: true}}]}}}}\n",
        origin.url()
    );
    let edge = Edge::alone(&policy)
        .certificate(&authority, "main", &[HOST])
        .start()
        .await;
    assert_eq!(edge.get(HOST, "/").await.status, 200);
    let addresses = (edge.http(), edge.https());
    // What the first connections bring about once is not theirs.
    let first = hold(spoken, addresses, &authority, 0..200).await;
    let before = edge.resident_bytes();
    let held = hold(spoken, addresses, &authority, 1_000..count + 1_000).await;
    let open = edge.metric("latencify_gateway_connections_open").await;
    assert!(open >= count as f64, "{open} are open");
    let after = edge.resident_bytes();
    let other = edge.get(HOST, "/").await;
    assert_eq!(other.status, 200, "another client is served");
    drop((first, held));
    wait_until("they are forgotten", PATIENCE, async || {
        match edge.metric("latencify_gateway_connections_open").await {
            open if open < 10.0 => Ok(()),
            open => Err(format!("{open} are open")),
        }
    })
    .await;
    after.saturating_sub(before) / count
}

async fn hold(
    spoken: Spoken,
    addresses: (SocketAddr, SocketAddr),
    authority: &Arc<Authority>,
    numbers: std::ops::Range<usize>,
) -> Vec<Box<dyn Held>> {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut opening = JoinSet::new();
    for number in numbers {
        let turn = turns.clone().acquire_owned().await.unwrap();
        let authority = authority.clone();
        opening.spawn(async move {
            let _turn = turn;
            open(spoken, addresses, &authority, number).await
        });
    }
    opening.join_all().await
}

/// As many of them as this machine has descriptors for, in the edge and in the program that asks.
pub fn possible(most: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let may_have = limit.maximum.map_or(usize::MAX, |most| most as usize);
    most.min(may_have.saturating_sub(BESIDES))
}
