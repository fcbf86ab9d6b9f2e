//! Responses of origins that could be read in two ways: nothing ambiguous goes on to clients or is stored, and a
//! connection that brought one is used for nothing else.

use crate::world::{Answer, HOST, Peer, WITHIN, good};
use bytes::Bytes;
use latencify_tests::{
    Authority, Edge, Origin, RawOrigin, body, policy::one_route, reply, wait_until,
};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::{io::AsyncWriteExt, net::TcpStream};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// 502, and the connection is closed.
    Refused,
    /// Passed on with this body and one framing.
    Passed(&'static str),
}

const CASES: &[(&str, Expected)] = &[
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        Expected::Passed("hello"),
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Expected::Passed("hello"),
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        Expected::Refused,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!",
        Expected::Refused,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        Expected::Refused,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello",
        Expected::Refused,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
        Expected::Refused,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        Expected::Passed("hello"),
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Expected::Passed("hello"),
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Expected::Refused,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Expected::Refused,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Expected::Refused,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: a\r\n b\r\n\r\nhello",
        Expected::Passed("hello"),
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: a\r\n\tSet-Cookie: b\r\n\r\nhello",
        Expected::Passed("hello"),
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX : a\r\n\r\nhello",
        Expected::Passed("hello"),
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
        Expected::Passed("hello"),
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: a\rSet-Cookie: b\r\n\r\nhello",
        Expected::Refused,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: a\0b\r\n\r\nhello",
        Expected::Refused,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n: a\r\n\r\nhello",
        Expected::Refused,
    ),
    (
        "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        Expected::Passed("hello"),
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\nX: a\r\n\r\nhello",
        Expected::Passed("hello"),
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5x\r\nhello\r\n0\r\n\r\n",
        Expected::Refused,
    ),
    (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello",
        Expected::Refused,
    ),
    ("not http at all\r\n\r\n", Expected::Refused),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ambiguous_responses_are_refused_or_passed_on_with_one_length() {
    for (number, (response, expected)) in CASES.iter().enumerate() {
        let connections = Arc::new(Mutex::new(Vec::new()));
        let log = connections.clone();
        let origin = RawOrigin::serve(move |stream| serve(stream, response, log.clone())).await;
        // What may be stored would be stored.
        let edge = Edge::alone(&one_route(&origin.url(), "cache: {ttl: 60s}"))
            .start()
            .await;
        for round in 0..2 {
            // Twice the same, so that a stored answer would show; then another, so that a reused connection would.
            for path in ["same", "same", &format!("other-{round}")] {
                let mut peer = Peer::of(TcpStream::connect(edge.http()).await.unwrap());
                peer.send(good(&format!("/{path}"))).await;
                let answer = peer.answer("GET").await;
                check(number, response, *expected, &answer);
            }
        }
        if *expected == Expected::Refused {
            let connections = connections.lock();
            let most = connections.iter().max().copied();
            assert_eq!(
                most,
                Some(1),
                "{response:?}: requests by connection: {connections:?}"
            );
        }
    }
}

#[track_caller]
fn check(number: usize, response: &str, expected: Expected, answer: &Answer) {
    let told = format!(
        "{number} {response:?}: {}{:?}",
        answer.head,
        String::from_utf8_lossy(&answer.body)
    );
    let head = answer.head.to_lowercase();
    let lengths = head.matches("\r\ncontent-length: ").count();
    let codings = head.matches("\r\ntransfer-encoding: chunked\r\n").count();
    assert_eq!(lengths + codings, 1, "{told}");
    assert!(
        !head.lines().any(|line| line.starts_with([' ', '\t'])),
        "{told}"
    );
    assert!(!head.contains(['\0']) && !head.contains(" :"), "{told}");
    match expected {
        Expected::Refused => {
            assert_eq!(answer.status, 502, "{told}");
            assert_eq!(answer.field("connection"), Some("close"), "{told}");
            assert!(
                String::from_utf8_lossy(&answer.body).contains("/problems/origin_failed"),
                "{told}"
            );
        }
        Expected::Passed(body) => {
            assert_eq!(answer.status, 200, "{told}");
            let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
            let text = String::from_utf8_lossy(&answer.body);
            assert!(text == body || (codings == 1 && text == chunked), "{told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_response_behind_the_first_is_nobodys() {
    // The origin answers one request with two responses: the second must not become the next client's.
    const RESPONSE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let origin = RawOrigin::serve(move |stream| serve(stream, RESPONSE, Arc::default())).await;
    let edge = Edge::alone(&one_route(&origin.url(), "")).start().await;
    for _ in 0..5 {
        let mut peer = Peer::of(TcpStream::connect(edge.http()).await.unwrap());
        for _ in 0..3 {
            peer.send(good("/")).await;
            assert_eq!(peer.answer("GET").await.body, b"hello");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_interim_answers_and_fields_end() {
    let many = |line: &str, count: usize| line.repeat(count);
    let floods = [
        format!(
            "HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n",
            many("X: a\r\n", 300)
        ),
        format!(
            "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n",
            "a".repeat(2 << 20)
        ),
    ];
    let interim = format!(
        "{}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        many("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 200)
    );
    for flood in floods.into_iter().chain([interim]) {
        let flood: &'static str = flood.leak();
        let origin = RawOrigin::serve(move |stream| serve(stream, flood, Arc::default())).await;
        let edge = Edge::alone(&one_route(&origin.url(), "")).start().await;
        let mut peer = Peer::of(TcpStream::connect(edge.http()).await.unwrap());
        peer.send(good("/")).await;
        let mut interim = 0;
        let answer = loop {
            let answer = peer.answer("GET").await;
            if answer.status >= 200 {
                break answer;
            }
            interim += 1;
        };
        assert!(interim <= 32, "{interim} interim answers");
        assert_eq!(answer.status, 502, "{}", answer.head);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_client_gets_no_chunks() {
    const RESPONSE: &str =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let origin = RawOrigin::serve(move |stream| serve(stream, RESPONSE, Arc::default())).await;
    for cache in ["", "cache: {ttl: 60s}"] {
        let edge = Edge::alone(&one_route(&origin.url(), cache)).start().await;
        for _ in 0..2 {
            let mut peer = Peer::of(TcpStream::connect(edge.http()).await.unwrap());
            peer.send(format!("GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n"))
                .await;
            let answer = peer.answer("GET").await;
            assert!(
                answer.field("transfer-encoding").is_none(),
                "{}",
                answer.head
            );
            assert_eq!(answer.body, b"hello", "{}", answer.head);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_client_gets_no_chunks_of_an_http_2_origin_either() {
    let identity = Authority::new().issue(&["origin.example"]);
    let origin = Origin::serve_tls(&identity, |_| async {
        let parts = ["hel", "lo"].map(|part| Ok(Bytes::from(part)));
        reply::of(body::streamed(futures::stream::iter(parts))).done()
    })
    .await;
    let policy = one_route(&origin.url(), "");
    let url = format!("{{url: \"{}\"}}", origin.url());
    let insecure = format!("{{url: \"{}\", tls: {{insecure: true}}}}", origin.url());
    assert!(policy.contains(&url), "{policy}");
    let edge = Edge::alone(&policy.replace(&url, &insecure)).start().await;
    for (version, chunked) in [("1.1", true), ("1.0", false)] {
        let mut peer = Peer::of(TcpStream::connect(edge.http()).await.unwrap());
        peer.send(format!(
            "GET / HTTP/{version}\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
        ))
        .await;
        let answer = peer.answer("GET").await;
        assert_eq!(answer.status, 200, "{}", answer.head);
        let coding = answer.field("transfer-encoding").is_some();
        assert_eq!(coding, chunked, "{}", answer.head);
        assert!(chunked || answer.body == b"hello", "{answer:?}");
    }
}

/// What an origin that closes idle connections has heard.
#[derive(Default)]
struct Closing {
    /// Requests by path, in the order in which they came.
    asked: Mutex<Vec<String>>,
    /// Connections whose first request waits for the others.
    waiting: Mutex<usize>,
    all_wait: tokio::sync::Notify,
}

impl Closing {
    /// Connections that are idle together.
    const CONNECTIONS: usize = 8;

    fn asked(&self, path: &str) -> usize {
        self.asked
            .lock()
            .iter()
            .filter(|asked| *asked == path)
            .count()
    }

    /// Answers the first request of each connection, of the first few when all of them are there; closes at the second.
    async fn serve(self: Arc<Self>, mut stream: TcpStream) -> std::io::Result<()> {
        let note = |head: String| {
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            self.asked.lock().push(path);
        };
        note(RawOrigin::head(&mut stream).await?);
        let woken = self.all_wait.notified();
        let number = {
            let mut waiting = self.waiting.lock();
            *waiting += 1;
            *waiting
        };
        match number {
            ..Self::CONNECTIONS => woken.await,
            Self::CONNECTIONS => self.all_wait.notify_waiters(),
            _ => {}
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await?;
        note(RawOrigin::head(&mut stream).await?);
        Ok(())
    }
}

/// A request that meets an idle connection which was closed may be sent again, if its method lets it: over a new connection,
/// and not over each of the idle ones, which were closed with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_closed_while_idle_cost_a_request_one_attempt() {
    let (sent, sent_otherwise) = ("", "Connection: upgrade\r\nUpgrade: other\r\n");
    for (method, fields, status, asked) in [
        ("POST", "Content-Length: 0\r\n", 502, 1),
        ("GET", sent, 200, 2),
        ("GET", sent_otherwise, 200, 2),
    ] {
        all_closed_while_idle(method, fields, status, asked).await;
    }
}

async fn all_closed_while_idle(method: &str, fields: &str, status: u16, asked: usize) {
    let closing = Arc::new(Closing::default());
    let heard = closing.clone();
    let origin = RawOrigin::serve(move |stream| heard.clone().serve(stream)).await;
    let edge = Edge::alone(&one_route(&origin.url(), "")).start().await;
    let ask = async |path: &str| {
        let mut peer = Peer::of(TcpStream::connect(edge.http()).await.unwrap());
        let line = format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n");
        peer.send(format!("{line}{fields}\r\n")).await;
        peer.answer(method).await
    };
    let first = (0..Closing::CONNECTIONS).map(|_| ask("/first"));
    for answer in futures::future::join_all(first).await {
        assert_eq!(answer.status, 200, "{}", answer.head);
    }
    let then = ask("/then").await;
    let what = format!("{method} {fields:?}");
    assert_eq!(
        (then.status, closing.asked("/then")),
        (status, asked),
        "{what}"
    );
    let counted = async |outcome: &str| {
        let metric = format!(
            "latencify_gateway_origin_attempts_total{{origin=\"app\",outcome=\"{outcome}\"}}"
        );
        edge.metric(&metric).await as usize
    };
    assert_eq!(counted("idle_closed").await, 1, "{what}");
    let answers = Closing::CONNECTIONS + asked - 1;
    assert_eq!(counted("response").await, answers, "{what}");
    let record = wait_until("the record is written", WITHIN, async || {
        let log = edge.access_log();
        let found = log.iter().find(|record| record["path"] == "/then").cloned();
        found.ok_or_else(|| format!("{log:?}"))
    })
    .await;
    assert_eq!(record["attempts"], asked, "{what}: {record}");
}

/// Answers each request so, and counts them by connection.
async fn serve(
    mut stream: TcpStream,
    response: &str,
    connections: Arc<Mutex<Vec<usize>>>,
) -> std::io::Result<()> {
    let number = {
        let mut connections = connections.lock();
        connections.push(0);
        connections.len() - 1
    };
    loop {
        RawOrigin::head(&mut stream).await?;
        connections.lock()[number] += 1;
        stream.write_all(response.as_bytes()).await?;
    }
}
