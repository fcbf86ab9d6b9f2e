//! Requests that were taken up and do not come to their end: the record says why, by a name that stays, over HTTP/1.1 and
//! HTTP/2 alike.

use crate::world::{HOST, Peer, WITHIN};
use latencify_tests::{
    Authority, Edge, RawOrigin,
    frames::{DATA, END_STREAM, HEADERS, PING, RST_STREAM, Raw, WINDOW_UPDATE, frame, get, post},
    wait_until,
};
use serde_json::Value;
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    sync::Semaphore,
};

/// More than all buffers on the way together.
const LARGE: usize = 32 << 20;
const CANCEL: u32 = 8;
/// A client is cut off soon …
const IMPATIENT: &str = "body_grace: 1s, send_grace: 1s";
/// … or never.
const PATIENT: &str = "body_grace: 10m, send_grace: 10m";

/// An edge, and an origin that gives much, waits for bodies, or never answers.
struct World {
    edge: Edge,
    authority: Authority,
    /// One more for each request that has reached the origin.
    reached: Arc<Semaphore>,
    _origin: RawOrigin,
}

/// What a client does in the middle of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Nothing, until it is cut off.
    Stalls,
    /// Closes the connection.
    Leaves,
    /// Resets the stream; HTTP/2 only.
    Resets,
    /// Sends the beginning of another request and then no more; HTTP/1.1 only.
    Ends,
}

/// Where in its request it does so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum During {
    /// The answer, which it does not read.
    Download,
    /// The same of an answer that is stored on the way.
    Fill,
    /// Its own body.
    Upload,
    /// The origin's silence.
    Silence,
}

impl During {
    fn path(self, number: usize) -> String {
        let kind = match self {
            Self::Download => "much",
            Self::Fill => "kept/much",
            Self::Upload => "upload",
            Self::Silence => "never",
        };
        format!("/{kind}/{number}")
    }
}

impl World {
    async fn new(limits: &str) -> Self {
        let reached = Arc::new(Semaphore::new(0));
        let told = reached.clone();
        let origin = RawOrigin::serve(move |stream| answer(stream, told.clone())).await;
        let authority = Authority::new();
        let policy = format!(
            "version: 1\nedge: {{limits: {{{limits}}}}}\n\
             certificates: {{site: {{chain: site.pem, key: site.key}}}}\n\
             origins: {{app: {{url: '{}'}}}}\n\
             sites: {{main: {{hosts: ['*'], certificate: site, routes: [\n\
             {{match: {{path: '/kept/**'}}, origins: [app], cache: true}},\n\
             {{origins: [app], timeouts: {{first_byte: 10m, between_bytes: 10m}}}}]}}}}\n",
            origin.url()
        );
        let edge = Edge::alone(&policy)
            .certificate(&authority, "site", &[HOST])
            .start()
            .await;
        Self {
            edge,
            authority,
            reached,
            _origin: origin,
        }
    }

    /// The record of the request to that path, once it is over.
    async fn record(&self, path: &str) -> Value {
        wait_until("the record is written", WITHIN, async || {
            let log = self.edge.access_log();
            let found = log.iter().find(|record| record["path"] == path).cloned();
            found.ok_or_else(|| format!("{} records, none of {path}", log.len()))
        })
        .await
    }

    /// Waits until the origin has been asked.
    async fn asked(&self) {
        let asked = tokio::time::timeout(WITHIN, self.reached.acquire()).await;
        asked.expect("the origin is asked").unwrap().forget();
    }

    /// A connection over HTTP/2 that asks for the path, and whose windows are never full.
    async fn with_endless_windows(&self, path: &str) -> Raw {
        let trust = self.authority.client(&[b"h2"]);
        let widest = (u32::MAX >> 1).to_be_bytes();
        let settings = [&[0, 4], &widest[..]].concat();
        let mut raw = Raw::connect(self.edge.https(), trust, HOST, "127.0.0.1", &settings)
            .await
            .unwrap();
        let more = ((u32::MAX >> 1) - 65_535).to_be_bytes();
        let asking = [frame(WINDOW_UPDATE, 0, 0, &more), get(1, HOST, path)].concat();
        raw.send(&asking).await.unwrap();
        raw
    }

    async fn http1(&self, during: During, then: Then, path: &str) {
        // A client that buffers little, so that what it does not read waits at the edge.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 << 10).unwrap();
        let mut peer = Peer::of(socket.connect(self.edge.http()).await.unwrap());
        peer.send(match during {
            During::Upload => format!(
                "POST {path} HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n"
            ),
            _ => format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"),
        })
        .await;
        self.asked().await;
        if matches!(during, During::Download | During::Fill) {
            peer.octets(b"HTTP/1.1 200 OK".len()).await;
        }
        match then {
            // Held until the record is there.
            Then::Stalls => {
                self.record(path).await;
            }
            Then::Leaves => drop(peer),
            Then::Ends => {
                peer.send("G").await;
                peer.shut().await;
                self.record(path).await;
            }
            Then::Resets => unreachable!("HTTP/1.1 has no streams"),
        }
    }

    async fn http2(&self, during: During, then: Then, path: &str) {
        let trust = self.authority.client(&[b"h2"]);
        let mut raw = Raw::connect(self.edge.https(), trust, HOST, "127.0.0.1", &[])
            .await
            .unwrap();
        raw.send(&match during {
            During::Upload => [post(1, HOST, path), frame(DATA, 0, 1, b"b")].concat(),
            _ => get(1, HOST, path),
        })
        .await
        .unwrap();
        self.asked().await;
        if matches!(during, During::Download | During::Fill) {
            raw.reader.wait_for(HEADERS, 1).await;
        }
        match then {
            Then::Stalls => {
                raw.reader.wait_for(RST_STREAM, 1).await;
            }
            Then::Leaves => drop(raw),
            Then::Resets => {
                raw.send(&frame(RST_STREAM, 0, 1, &CANCEL.to_be_bytes()))
                    .await
                    .unwrap();
                self.record(path).await;
            }
            Then::Ends => unreachable!("requests of HTTP/2 are not in a row"),
        }
    }
}

/// The socket of a client is full, so that the library does not read on: what it has not read yet is not refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_behind_a_full_socket_is_served_and_told_once() {
    let world = World::new(PATIENT).await;
    let mut raw = world.with_endless_windows("/much/0").await;
    wait_until("the socket is full", WITHIN, async || {
        match world.edge.metric("latencify_gateway_unsent_bytes").await {
            0.0 => Err("nothing waits"),
            _ => Ok(()),
        }
    })
    .await;
    // The answer to the first has no room.
    let both = [frame(PING, 0, 0, &[0; 8]), get(3, HOST, "/much/1")].concat();
    raw.send(&both).await.unwrap();
    for _ in 0..20 {
        world.edge.metrics().await;
    }
    let mut ended = 0;
    while ended < 2 {
        let frame = raw.reader.next().await.expect("the connection goes on");
        ended += usize::from(frame.kind == DATA && frame.flags & END_STREAM != 0);
    }
    world.record("/much/0").await;
    world.record("/much/1").await;
    let log = world.edge.access_log();
    assert_eq!(log.len(), 2, "{log:?}");
    let refused = "latencify_gateway_http2_requests_refused_total{reason=\"refused\"}";
    assert_eq!(world.edge.metric(refused).await as u32, 0);
}

/// Says that it was asked; then what the path wants.
async fn answer(mut stream: TcpStream, reached: Arc<Semaphore>) -> std::io::Result<()> {
    let head = RawOrigin::head(&mut stream).await?;
    reached.add_permits(1);
    if head.contains("much/") {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\nCache-Control: max-age=600\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        return stream.write_all(&vec![b'x'; LARGE]).await;
    }
    // Until the edge gives it up.
    let mut piece = [0; 4096];
    while stream.read(&mut piece).await? > 0 {}
    Ok(())
}

/// Each cause has one name over both protocols, and a number under it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_record_says_why_a_request_did_not_come_to_its_end() {
    use During::{Download, Fill, Silence, Upload};
    use Then::{Ends, Leaves, Resets, Stalls};
    let check = async |world: &World, number, protocol, during: During, then, cause: &str| {
        let path = during.path(number);
        match protocol {
            "HTTP/1.1" => world.http1(during, then, &path).await,
            _ => world.http2(during, then, &path).await,
        }
        let record = world.record(&path).await;
        let what = format!("{protocol}, {during:?}, {then:?}: {record}");
        assert_eq!(record["error"], cause, "{what}");
        assert_eq!(record["protocol"], protocol, "{what}");
        let status = match (during, cause, protocol) {
            (Download | Fill, ..) => 200,
            // Said, whether it is heard or not.
            (Upload, "body_rate", "HTTP/1.1") => 408,
            _ => 0,
        };
        assert_eq!(record["status"], status, "{what}");
        if matches!(during, Download | Fill) {
            assert!(
                record["bytes_out"].as_u64().unwrap() < LARGE as u64,
                "{what}"
            );
        }
    };
    let counted = async |world: &World, cause: &str, count: f64| {
        let metric = format!("latencify_gateway_requests_cut_total{{cause=\"{cause}\"}}");
        let value = world.edge.metric(&metric).await;
        assert!((value - count).abs() < 0.5, "{metric} {value}, not {count}");
    };

    let world = World::new(IMPATIENT).await;
    for (number, (protocol, during, cause)) in [
        ("HTTP/1.1", Download, "send_rate"),
        ("HTTP/1.1", Upload, "body_rate"),
        ("HTTP/2", Download, "send_rate"),
        ("HTTP/2", Upload, "body_rate"),
    ]
    .into_iter()
    .enumerate()
    {
        check(&world, number, protocol, during, Stalls, cause).await;
    }
    counted(&world, "send_rate", 2.0).await;
    // The other one was answered.
    counted(&world, "body_rate", 1.0).await;

    let world = World::new(PATIENT).await;
    for (number, (protocol, during, then, cause)) in [
        ("HTTP/1.1", Download, Leaves, "client_gone"),
        ("HTTP/1.1", Fill, Leaves, "client_gone"),
        ("HTTP/1.1", Upload, Leaves, "client_gone"),
        ("HTTP/1.1", Silence, Leaves, "client_gone"),
        ("HTTP/1.1", Silence, Ends, "client_gone"),
        ("HTTP/2", Download, Leaves, "client_gone"),
        ("HTTP/2", Fill, Leaves, "client_gone"),
        ("HTTP/2", Upload, Leaves, "client_gone"),
        ("HTTP/2", Silence, Leaves, "client_gone"),
        ("HTTP/2", Download, Resets, "client_reset"),
        ("HTTP/2", Fill, Resets, "client_reset"),
        ("HTTP/2", Upload, Resets, "client_reset"),
        ("HTTP/2", Silence, Resets, "client_reset"),
    ]
    .into_iter()
    .enumerate()
    {
        check(&world, number, protocol, during, then, cause).await;
    }
    counted(&world, "client_gone", 9.0).await;
    counted(&world, "client_reset", 4.0).await;
}

/// Windows without end, and a socket that nobody reads: the connection is cut off below HTTP/2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_is_not_read_is_the_requests_cause_too() {
    let world = World::new(IMPATIENT).await;
    let raw = world.with_endless_windows("/much/0").await;
    let record = world.record("/much/0").await;
    assert_eq!(
        (&record["error"], &record["status"]),
        (&"send_rate".into(), &200.into()),
        "{record}"
    );
    drop(raw);
}
