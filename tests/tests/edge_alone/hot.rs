//! Hot hits: what is answered before Pingora is answered as Pingora would.
//!
//! A range in a unit that nobody knows is ignored (RFC 9110 §14.2), and every request with a range goes the long way: so
//! the same request with [`LONG_WAY`] shows what the long way answers.

use latencify_tests::{Client, Edge, Origin, policy::one_route, reply, wait_until};
use serde_json::Value;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub const SOON: Duration = Duration::from_mins(1);
pub const LONG_WAY: &str = "Range: acts=1-2\r\n";
pub const HOT_ANSWERS: &str = "latencify_gateway_hot_answers_total";
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// A response as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1);
        lines.find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn is_hit(&self) -> bool {
        self.field("cache-status")
            .is_some_and(|status| status.contains("; hit"))
    }

    /// Without what differs between two requests: their ids, ages and counts.
    fn alike(mut self) -> Self {
        let lines = self.head.split_inclusive("\r\n").map(|line| {
            let name = line.split(':').next().unwrap().to_ascii_lowercase();
            match name.as_str() {
                "x-request-id" => format!("{name}: …\r\n"),
                "age" | "cache-status" | "ratelimit" => {
                    line.replace(|c: char| c.is_ascii_digit(), "")
                }
                _ => line.to_owned(),
            }
        });
        self.head = lines.collect();
        self
    }
}

/// A connection of a client that says what it likes.
pub struct Raw(TcpStream, Vec<u8>);

impl Raw {
    pub async fn to(edge: &Edge) -> Self {
        Self(Client::new().tcp(edge.http()).await.unwrap(), Vec::new())
    }

    pub async fn say(&mut self, octets: impl AsRef<[u8]>) {
        self.0.write_all(octets.as_ref()).await.unwrap();
    }

    /// The next response, to a request of that method.
    pub async fn hear(&mut self, method: &str) -> Answer {
        let end = loop {
            let end = self.1.windows(4).position(|window| window == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None => assert!(self.more().await > 0, "closed: {:?}", self.1),
            }
        };
        let head = String::from_utf8(self.1.drain(..end).collect()).unwrap();
        let mut answer = Answer {
            head,
            body: Vec::new(),
        };
        let has_body = method != "HEAD" && !answer.head.contains(" 304 ");
        let length = answer.field("content-length").filter(|_| has_body);
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        while self.1.len() < length {
            assert!(self.more().await > 0, "closed within a body: {answer:?}");
        }
        answer.body = self.1.drain(..length).collect();
        answer
    }

    async fn more(&mut self) -> usize {
        self.0.read_buf(&mut self.1).await.unwrap()
    }

    /// Says a request and hears its answer. `head` is all behind the method.
    pub async fn ask(&mut self, method: &str, head: &str) -> Answer {
        self.say(format!("{method} {head}\r\n\r\n")).await;
        self.hear(method).await
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", &format!("{path} HTTP/1.1\r\nHost: shop.example"))
            .await
    }

    /// Waits until the edge has closed it.
    pub async fn closed(mut self) {
        while self.more().await > 0 {}
        assert!(self.1.is_empty(), "{:?}", self.1);
    }
}

/// Every kind of response that a cache keeps, by path; its number is in `X-Number`.
pub async fn kinds() -> Origin {
    Origin::serve(|call| async move {
        let answer = match call.path() {
            "/empty" => reply::text(""),
            "/gone" => reply::text("gone").status(404),
            "/no-content" => reply::status(204),
            "/moved" => reply::text("over there")
                .status(301)
                .header("location", "/a"),
            "/large" => reply::text("0123456789abcdef".repeat(1 << 16)),
            "/middling" => reply::text("0123456789abcdef".repeat(2_000)),
            "/validators" => reply::text("v")
                .header("etag", "\"v\"")
                .header("last-modified", MODIFIED),
            "/tags" => reply::text("t").tag("a b").header("cache-tag", "c"),
            "/lines" => reply::text("l")
                .header("x-line", "one")
                .header("x-line", "two")
                .header("link", "</x>; rel=preload"),
            "/vary" => reply::text(call.header("accept-language").to_owned())
                .header("vary", "Accept-Language"),
            "/old" => reply::text("o").header("age", 5),
            "/told" => reply::text("t")
                .header("cache-status", "inner; hit; ttl=1")
                .header("cache-status", "outer; fwd=miss")
                .header("x-request-id", "another"),
            _ => reply::text("hello"),
        };
        let answer = answer.max_age(600).header("x-number", call.number);
        answer.done()
    })
    .await
}

pub const ROUTE: &str = "name: all, cache: {ttl_by_status: {404: 10m, 204: 10m, 301: 10m}}, \
    rate_limits: [{name: each, key: address, rate: 100000/d}], \
    response_headers: {set: {x-set: s}, add: {x-line: three}, remove: [link]}";

pub const EDITING_ROUTE: &str = "cache: {ttl_by_status: {404: 10m, 204: 10m, 301: 10m}}, \
    response_headers: {set: {x-request-id: mine}, add: {cache-status: '\"more\"; hit'}, remove: [age]}";

pub const TELLING_ROUTE: &str = "cache: {ttl_by_status: {404: 10m, 204: 10m, 301: 10m}, \
    cache_status: {key: true}}";

pub async fn edge(origin: &Origin, route: &str) -> Edge {
    Edge::alone(&one_route(&origin.url(), route)).start().await
}

/// The records of all requests, in the order in which they came, when there are so many.
pub async fn records(edge: &Edge, count: usize) -> Vec<Value> {
    wait_until("a record of each request", SOON, async || {
        let mut records = edge.access_log();
        records.sort_by_key(|record| record["request_id"].to_string());
        if records.len() == count {
            Ok(records)
        } else {
            Err(format!("{records:?}"))
        }
    })
    .await
}

/// What a record tells, but for what differs between two requests for the same.
pub fn told(record: &Value) -> Value {
    let mut record = record.clone();
    let fields = record.as_object_mut().unwrap();
    for differs in ["time", "request_id", "duration_us", "ttfb_us", "age"] {
        assert!(fields.remove(differs).is_some(), "{differs}: {fields:?}");
    }
    record
}

/// Waits until the edge counts no request as under way.
pub async fn nothing_is_under_way(edge: &Edge) {
    wait_until("nothing is under way", SOON, async || {
        match edge.metric("latencify_gateway_requests_under_way").await {
            0.0 => Ok(()),
            under_way => Err(under_way),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_answer_alike() {
    answer_alike(ROUTE).await;
}

/// Heads of hot objects are kept written, but for what differs each time; a policy may differ there itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_answer_alike_where_a_policy_edits_what_differs_each_time() {
    answer_alike(EDITING_ROUTE).await;
    answer_alike(TELLING_ROUTE).await;
}

async fn answer_alike(route: &str) {
    let origin = kinds().await;
    let edge = edge(&origin, route).await;
    let paths = [
        "/hello",
        "/empty",
        "/gone",
        "/no-content",
        "/moved",
        "/large",
        "/middling",
        "/validators",
        "/tags",
        "/lines",
        "/vary",
        "/old",
        "/told",
        "/hello?q=1",
        "/a%7Eb/../hello",
    ];
    let requests = [
        ("GET", "1.1", ""),
        ("HEAD", "1.1", ""),
        ("GET", "1.1", "Connection: close\r\n"),
        ("GET", "1.1", "Connection: x\r\nConnection: close\r\n"),
        (
            "GET",
            "1.1",
            "Connection: X-Not-For-You\r\nX-Not-For-You: 1\r\n",
        ),
        ("GET", "1.0", ""),
        ("GET", "1.0", "Connection: keep-alive\r\n"),
        ("GET", "1.0", "Connection: x\r\nConnection: keep-alive\r\n"),
        ("HEAD", "1.0", ""),
        ("GET", "1.1", "If-None-Match: \"v\"\r\n"),
        ("HEAD", "1.1", "If-None-Match: W/\"v\"\r\n"),
        ("GET", "1.1", "If-None-Match: \"other\"\r\n"),
        (
            "GET",
            "1.1",
            "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        ),
        (
            "GET",
            "1.1",
            "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n",
        ),
        ("GET", "1.1", "Cache-Control: max-stale\r\n"),
        ("GET", "1.1", "Cache-Control: only-if-cached\r\n"),
        ("GET", "1.1", "Accept-Language: de\r\n"),
        ("GET", "1.1", "Content-Length: 0\r\n"),
        ("GET", "1.1", "Via: 1.1 somebody\r\nCookie: a=b\r\n"),
    ];
    for path in paths {
        for language in ["", "Accept-Language: de\r\n"] {
            let head = format!("{path} HTTP/1.1\r\nHost: shop.example\r\n{language}");
            Raw::to(&edge).await.ask("GET", head.trim_end()).await;
        }
    }
    let before = edge.metric(HOT_ANSWERS).await as usize;
    for path in paths {
        for (method, version, fields) in requests {
            let head = |way: &str| {
                let head = format!("{path} HTTP/{version}\r\nHost: shop.example\r\n{fields}{way}");
                head.trim_end().to_owned()
            };
            let hot = Raw::to(&edge).await.ask(method, &head("")).await;
            let long = Raw::to(&edge).await.ask(method, &head(LONG_WAY)).await;
            let what = format!("{method} {path} {version} {fields:?}");
            assert!(hot.is_hit(), "{what}: {hot:?}");
            assert_eq!(hot.alike(), long.alike(), "{what}");
        }
    }
    let answers = edge.metric(HOT_ANSWERS).await as usize - before;
    assert_eq!(answers, paths.len() * requests.len(), "one of two each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_are_limited_counted_and_told_of_alike() {
    let origin = kinds().await;
    let route = "name: all, cache: true, rate_limits: [{name: each, key: address, rate: 5/d}]";
    let edge = edge(&origin, route).await;
    let head = "/hello?q=1 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: u\r\nReferer: r";
    let long = format!("{head}\r\n{}", LONG_WAY.trim_end());
    let mut client = Raw::to(&edge).await;
    // One that is fetched, three of memory, one of them the long way; each takes one from the limit.
    for (left, head) in [(4, head), (3, head), (2, &long), (1, head)] {
        let answer = client.ask("GET", head).await;
        let limit = answer.field("ratelimit").unwrap();
        assert!(limit.contains(&format!("r={left}")), "{answer:?}");
    }
    assert_eq!(
        client.get("/hello").await.head.split(' ').nth(1),
        Some("200")
    );
    let refused = client.get("/hello").await;
    assert!(refused.head.starts_with("HTTP/1.1 429 "), "{refused:?}");

    let records = records(&edge, 6).await;
    assert_eq!(
        told(&records[1]),
        told(&records[2]),
        "a hot hit, and the long way"
    );
    assert_eq!(told(&records[1]), told(&records[3]));
    assert_eq!(records[1]["cache"], "hit");
    assert_eq!(records[1]["bytes_out"], 5);
    assert_eq!(records[5]["error"], "rate_limited");
    assert_eq!(edge.metric(HOT_ANSWERS).await as u32, 2);
    let counted = r#"latencify_gateway_requests_total{cache="hit",route="all",site="main",status_class="2xx"}"#;
    assert_eq!(edge.metric(counted).await as u32, 3);
    let sent = r#"latencify_gateway_response_body_bytes_total{cache="hit",site="main"}"#;
    assert_eq!(edge.metric(sent).await as u32, 3 * 5);
    nothing_is_under_way(&edge).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_holds_on_connections_that_are_open() {
    let origin = kinds().await;
    let edge = edge(&origin, "cache: true").await;
    let (mut client, mut purger) = (Raw::to(&edge).await, Raw::to(&edge).await);
    for round in 0..5 {
        assert!(!client.get("/hello").await.is_hit(), "{round}");
        let stored = client.get("/hello").await;
        assert!(stored.is_hit(), "{round}: {stored:?}");
        let purge = "/hello HTTP/1.1\r\nHost: shop.example";
        let purged = purger.ask("PURGE", purge).await;
        assert!(purged.head.starts_with("HTTP/1.1 200 "), "{purged:?}");
    }
    assert_eq!(edge.metric(HOT_ANSWERS).await as u32, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_at_once_is_answered_in_order_whichever_way_it_goes() {
    let origin = kinds().await;
    let edge = edge(&origin, "cache: true").await;
    let mut client = Raw::to(&edge).await;
    client.get("/hello").await;
    client.get("/large").await;
    let host = "HTTP/1.1\r\nHost: shop.example\r\n";
    let said = [
        ("GET", format!("GET /hello {host}\r\n"), true),
        ("GET", format!("GET /fetched {host}\r\n"), false),
        ("HEAD", format!("HEAD /hello {host}\r\n"), true),
        (
            "POST",
            format!("POST /posted {host}Content-Length: 3\r\n\r\nabc"),
            false,
        ),
        ("GET", format!("GET /large {host}\r\n"), true),
        ("GET", format!("GET /hello {host}{LONG_WAY}\r\n"), true),
        (
            "GET",
            format!("GET /hello {host}Connection: close\r\n\r\n"),
            true,
        ),
    ];
    let all: String = said
        .iter()
        .map(|(_, request, _)| request.as_str())
        .collect();
    client.say(all).await;
    for (method, request, hit) in &said {
        let answer = client.hear(method).await;
        assert_eq!(answer.is_hit(), *hit, "{request}: {}", answer.head);
    }
    client.closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_ends_when_it_has_had_its_requests() {
    let origin = kinds().await;
    let policy = one_route(&origin.url(), "cache: true")
        .replace("edge: {", "edge: {limits: {requests: 3}, ");
    let edge = Edge::alone(&policy).start().await;
    let mut client = Raw::to(&edge).await;
    for connection in ["keep-alive", "keep-alive", "close"] {
        let answer = client.get("/hello").await;
        assert_eq!(answer.field("connection"), Some(connection), "{answer:?}");
    }
    client.closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_serves_a_hot_hit_once_more_and_closes() {
    let origin = kinds().await;
    let mut edge = Edge::alone(&one_route(&origin.url(), "cache: true"))
        .flag("--drain-timeout", "10m")
        .start()
        .await;
    let mut client = Raw::to(&edge).await;
    client.get("/hello").await;
    assert!(client.get("/hello").await.is_hit());
    edge.process().signal("TERM");
    wait_until("the edge drains", SOON, async || {
        let ready = edge.client().get(edge.admin(), "admin", "/readyz").await;
        if ready.status == 503 {
            Ok(())
        } else {
            Err(ready.status)
        }
    })
    .await;
    let last = client.get("/hello").await;
    assert!(last.is_hit(), "{last:?}");
    assert_eq!(last.field("connection"), Some("close"), "{last:?}");
    client.closed().await;
    let status = edge.process().ended(SOON).await;
    assert!(status.success(), "{status}");
}
