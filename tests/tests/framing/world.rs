//! An edge, clients that write octets, and an origin that keeps every octet it gets.

use latencify_tests::{Authority, Edge, RawOrigin, wait_until};
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use serde_json::Value;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

pub const HOST: &str = "shop.example";
pub const WITHIN: Duration = Duration::from_mins(1);

/// What an origin was sent, connection by connection.
#[derive(Debug, Clone, Default)]
pub struct Seen(Arc<Mutex<Vec<Conversation>>>);

#[derive(Debug, Default)]
struct Conversation {
    octets: Vec<u8>,
    over: bool,
}

/// The cast of a test.
pub struct World {
    pub edge: Edge,
    pub authority: Authority,
    pub seen: Seen,
    _origin: RawOrigin,
}

/// How a client comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Tcp,
    Tls,
}

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A client that writes what it is told.
pub struct Peer {
    stream: Box<dyn Stream>,
    unread: Vec<u8>,
}

/// A response as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl World {
    /// An edge in front of an origin that answers `ok` to whatever it understands.
    pub async fn new(edge_rules: &str, route: &str) -> Self {
        let seen = Seen::default();
        let record = seen.clone();
        let origin =
            RawOrigin::serve(move |stream| answer_everything(stream, record.clone())).await;
        let authority = Authority::new();
        let edge = Edge::alone(&policy(&origin.url(), edge_rules, route))
            .certificate(&authority, "site", &[HOST])
            .start()
            .await;
        Self {
            edge,
            authority,
            seen,
            _origin: origin,
        }
    }

    pub async fn connect(&self, over: Over) -> Peer {
        match over {
            Over::Tcp => Peer::of(TcpStream::connect(self.edge.http()).await.unwrap()),
            Over::Tls => self.connect_with(&[b"http/1.1"]).await,
        }
    }

    /// Over TLS, with these protocols offered.
    pub async fn connect_with(&self, protocols: &[&[u8]]) -> Peer {
        let stream = TcpStream::connect(self.edge.https()).await.unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        let connector = TlsConnector::from(self.authority.client(protocols));
        Peer::of(connector.connect(name, stream).await.unwrap())
    }

    /// The record of a request, by its id.
    pub async fn record(&self, id: &str) -> Value {
        wait_until("the record is written", WITHIN, async || {
            let log = self.edge.access_log();
            let found = log
                .iter()
                .find(|record| record["request_id"] == id)
                .cloned();
            found.ok_or_else(|| format!("{} records, none of {id}", log.len()))
        })
        .await
    }

    /// Waits until each violation has been counted so often.
    pub async fn counted(&self, expected: &HashMap<&'static str, usize>) {
        for (name, count) in expected {
            let metric =
                format!("latencify_gateway_framing_violations_total{{violation=\"{name}\"}}");
            wait_until(&format!("{metric} is {count}"), WITHIN, async || {
                let value = self.edge.metric(&metric).await;
                if (value - *count as f64).abs() < 0.5 {
                    Ok(())
                } else {
                    Err(value)
                }
            })
            .await;
        }
    }
}

fn policy(origin: &str, edge_rules: &str, route: &str) -> String {
    format!(
        r#"
version: 1
edge: {{{edge_rules}}}
certificates: {{site: {{chain: site.pem, key: site.key}}}}
origins:
  app: {{url: "{origin}"}}
sites:
  main:
    hosts: ["*"]
    certificate: site
    routes:
      - {{origins: [app]{route}}}
"#
    )
}

/// Reads request after request, and keeps every octet whatever it means.
async fn answer_everything(mut stream: TcpStream, seen: Seen) -> std::io::Result<()> {
    let number = seen.begin();
    let mut unread = Vec::new();
    loop {
        while let Some(length) = whole_request(&unread) {
            unread.drain(..length);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Origin: raw\r\n\r\nok")
                .await?;
        }
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await;
        let count = *read.as_ref().unwrap_or(&0);
        if count == 0 {
            seen.end(number);
            return read.map(drop);
        }
        unread.extend_from_slice(&piece[..count]);
        seen.add(number, &piece[..count]);
    }
}

/// How long the first request is; none: it has not come yet.
fn whole_request(octets: &[u8]) -> Option<usize> {
    let head = find(octets, b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&octets[..head]).to_ascii_lowercase();
    if text.contains("\r\ntransfer-encoding: chunked\r\n") {
        let end = find(&octets[head..], b"0\r\n\r\n").map(|at| head + at + 5);
        return end;
    }
    let length: usize = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    (octets.len() >= head + length).then_some(head + length)
}

pub fn find(octets: &[u8], what: &[u8]) -> Option<usize> {
    octets.windows(what.len()).position(|window| window == what)
}

impl Seen {
    fn begin(&self) -> usize {
        let mut all = self.0.lock();
        all.push(Conversation::default());
        all.len() - 1
    }

    fn add(&self, number: usize, octets: &[u8]) {
        self.0.lock()[number].octets.extend_from_slice(octets);
    }

    fn end(&self, number: usize) {
        self.0.lock()[number].over = true;
    }

    /// Everything that came, on whatever connection.
    pub fn text(&self) -> String {
        let all = self.0.lock();
        all.iter()
            .map(|one| String::from_utf8_lossy(&one.octets).into_owned())
            .collect()
    }

    /// What came on the connection that this came on, and whether it is over.
    pub fn with(&self, text: &str) -> Option<(String, bool)> {
        let all = self.0.lock();
        all.iter()
            .map(|one| (String::from_utf8_lossy(&one.octets).into_owned(), one.over))
            .find(|(octets, _)| octets.contains(text))
    }
}

impl Peer {
    pub fn of(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            unread: Vec::new(),
        }
    }

    /// Writes; a connection that was closed meanwhile is no mistake.
    pub async fn send(&mut self, octets: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(octets.as_ref()).await;
        let _ = self.stream.flush().await;
    }

    pub async fn shut(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// The next response that is final or not.
    pub async fn answer(&mut self, method: &str) -> Answer {
        let text = self
            .until(|octets| find(octets, b"\r\n\r\n").map(|at| at + 4))
            .await;
        let head = String::from_utf8(text).unwrap();
        let status: u16 = head
            .split(' ')
            .nth(1)
            .unwrap_or_else(|| panic!("{head:?}"))
            .parse()
            .unwrap();
        let field = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name)
                    .then(|| value.trim().to_owned())
            })
        };
        let body = if method == "HEAD" || status < 200 || matches!(status, 204 | 304) {
            Vec::new()
        } else if let Some(length) = field("content-length") {
            let length: usize = length.parse().unwrap();
            self.until(|octets| (octets.len() >= length).then_some(length))
                .await
        } else if field("transfer-encoding").is_some() {
            self.until(|octets| find(octets, b"0\r\n\r\n").map(|at| at + 5))
                .await
        } else {
            self.rest().await
        };
        Answer { status, head, body }
    }

    /// Reads until the server closes; what came.
    pub async fn rest(&mut self) -> Vec<u8> {
        let read = timeout(WITHIN, async {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = self.stream.read(&mut piece).await {
                self.unread.extend_from_slice(&piece[..count]);
            }
        });
        let read = read.await;
        assert!(
            read.is_ok(),
            "not closed; so far: {:?}",
            String::from_utf8_lossy(&self.unread)
        );
        std::mem::take(&mut self.unread)
    }

    /// Reads at least `count` octets.
    pub async fn octets(&mut self, count: usize) -> Vec<u8> {
        self.until(|octets| (octets.len() >= count).then_some(count))
            .await
    }

    async fn until(&mut self, end: impl Fn(&[u8]) -> Option<usize>) -> Vec<u8> {
        let reading = timeout(WITHIN, async {
            let mut piece = [0; 4096];
            loop {
                if let Some(end) = end(&self.unread) {
                    return Ok(self.unread.drain(..end).collect());
                }
                match self.stream.read(&mut piece).await {
                    Ok(count @ 1..) => self.unread.extend_from_slice(&piece[..count]),
                    other => return Err(format!("{other:?}")),
                }
            }
        });
        match reading.await {
            Ok(Ok(octets)) => octets,
            other => panic!(
                "{other:?} after {:?}",
                String::from_utf8_lossy(&self.unread)
            ),
        }
    }
}

impl Answer {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Holds a refusal of that name, and gives its request's id.
    #[track_caller]
    pub fn refuses(&self, status: u16, name: &str) -> String {
        let told = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{}{told}", self.head);
        assert_eq!(
            self.field("content-type"),
            Some("application/problem+json"),
            "{}",
            self.head
        );
        assert_eq!(self.field("connection"), Some("close"), "{}", self.head);
        assert_eq!(
            self.field("cache-control"),
            Some("no-store"),
            "{}",
            self.head
        );
        let problem: Value =
            serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {told}"));
        assert_eq!(problem["type"], format!("/problems/{name}"), "{told}");
        assert_eq!(problem["status"], status, "{told}");
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| detail.len() > 20),
            "{told}"
        );
        let id = problem["request_id"]
            .as_str()
            .unwrap_or_else(|| panic!("{told}"));
        assert_eq!(self.field("x-request-id"), Some(id), "{}", self.head);
        id.to_owned()
    }
}

/// A request that is as it should be.
pub fn good(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}
