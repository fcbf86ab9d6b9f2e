//! What passes through before Pingora goes to the origin and comes back as it does Pingora's way.
//!
//! A request that asks for a protocol that nobody knows is taken for one that does not (RFC 9110 §7.8), and goes Pingora's way:
//! so the same request with [`LONG_WAY`] shows what that way says and answers.

use crate::hot::records;
use latencify_tests::{Client, Edge, RawOrigin, policy::one_route};
use parking_lot::Mutex;
use serde_json::Value;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub const LONG_WAY: &str = "Connection: upgrade\r\nUpgrade: other\r\n";
pub const PASSED: &str = "latencify_gateway_passed_answers_total";
pub const LARGE: usize = 1 << 20;

const ROUTE: &str = "name: all, rate_limits: [{name: each, key: address, rate: 100000/d}], \
    request_headers: {set: {x-set: edge}, remove: [x-remove]}, \
    response_headers: {set: {x-set: s}, add: {x-line: three}, remove: [link]}";

/// A response, and whether the origin closes behind it.
fn answer(path: &str) -> (Vec<u8>, bool) {
    let large = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n{}",
        "0123456789abcdef".repeat(LARGE / 16)
    );
    let signed = format!(
        "1;chunk-signature={}\r\nx\r\n",
        "0123456789abcdef".repeat(4)
    );
    let signed = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        signed.repeat(300)
    );
    let (octets, closes): (&str, bool) = match path {
        "/length" => ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false),
        "/empty" => ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false),
        "/chunks" => (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-T: 1\r\n\r\n",
            false,
        ),
        // As old servers do.
        "/padded" => (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5  \r\nhello\r\n1 \r\n!\r\n0 \r\n\r\n",
            false,
        ),
        "/signed" => (&signed, false),
        "/trailers" => (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\
             Expires: 0\r\nCache-Control: no-store\r\nSet-Cookie: a=b\r\n\r\n",
            false,
        ),
        "/no-chunks" => (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            false,
        ),
        "/closing" => ("HTTP/1.1 200 OK\r\n\r\nhello", true),
        "/close" => (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
            true,
        ),
        "/old" => ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", true),
        "/old-closing" => ("HTTP/1.0 200 OK\r\n\r\nhello", true),
        "/no-content" => ("HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", false),
        "/not-modified" => ("HTTP/1.1 304 Not Modified\r\nETag: \"v\"\r\n\r\n", false),
        "/lengths-of-nothing" => (
            "HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
            false,
        ),
        "/chunks-of-nothing" => (
            "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
            false,
        ),
        "/moved" => (
            "HTTP/1.1 301 Gone There\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n",
            false,
        ),
        "/busy" => (
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3\r\nContent-Length: 4\r\n\r\nbusy",
            false,
        ),
        "/both" => (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            false,
        ),
        "/hints" => (
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            false,
        ),
        "/fields" => (
            "HTTP/1.1 200 OK\r\nConnection: x-hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nVIA: 1.0 inner\r\n\
             Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: s\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n\
             Cache-Status: inner; hit\r\nSurrogate-Key: k\r\nX-Request-Id: another\r\nx-OdD: o\r\nX-Line: one\r\n\
             Link: </x>\r\nX-Fold: a\r\n b\r\nX-Space : c\r\nCache-Control: max-age=60\r\nAge: 7\r\nContent-Length: 5\r\n\r\nhello",
            false,
        ),
        "/large" => (&large, false),
        "/lengths" => (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
            false,
        ),
        "/coding" => (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            false,
        ),
        "/switch" => (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            false,
        ),
        "/garbage" => ("220 mail.example ESMTP\r\n\r\n", false),
        "/nothing" => ("", true),
        "/half" => ("HTTP/1.1 200 OK\r\nContent-Le", true),
        other => panic!("{other}"),
    };
    (octets.as_bytes().to_vec(), closes)
}

/// The heads of requests that an origin heard.
pub type Heard = Arc<Mutex<Vec<String>>>;

pub async fn origin() -> (RawOrigin, Heard) {
    let heard = Heard::default();
    let log = heard.clone();
    let origin = RawOrigin::serve(move |mut stream| {
        let log = log.clone();
        async move {
            loop {
                let head = RawOrigin::head(&mut stream).await?;
                let path = head.split(' ').nth(1).unwrap_or_default();
                let (octets, closes) = answer(path.split('?').next().unwrap());
                log.lock().push(head);
                stream.write_all(&octets).await?;
                if closes {
                    return Ok(());
                }
            }
        }
    })
    .await;
    (origin, heard)
}

pub async fn edge(origin: &RawOrigin, route: &str) -> Edge {
    Edge::alone(&one_route(&origin.url(), route)).start().await
}

/// Says a request, and hears all until the edge closes.
pub async fn all(edge: &Edge, request: &str) -> Vec<u8> {
    let mut stream = Client::new().tcp(edge.http()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    heard
}

/// The lines of a head in one order, without what differs between two exchanges.
fn alike(head: &str) -> Vec<String> {
    let mut lines: Vec<_> = head
        .lines()
        .map(|line| {
            let Some((name, value)) = line.split_once(": ") else {
                return line.to_owned();
            };
            // A line that is added goes by the name as the edge spells it, or as the line before it has it.
            let name = name.to_ascii_lowercase();
            let value = match name.as_str() {
                "x-request-id" => "…".to_owned(),
                "date" if !value.contains("1994") => "…".to_owned(),
                "ratelimit" => value.replace(|c: char| c.is_ascii_digit(), ""),
                _ => value.to_owned(),
            };
            format!("{name}: {value}")
        })
        .collect();
    lines.sort();
    lines
}

/// All heads of an answer, and its body out of its chunks.
fn parts(answer: &[u8]) -> (Vec<Vec<String>>, Vec<u8>) {
    let (mut heads, mut rest) = (Vec::new(), answer);
    loop {
        let end = rest.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(rest))) + 4;
        let head = String::from_utf8(rest[..end].to_vec()).unwrap();
        rest = &rest[end..];
        let is_last = !head.starts_with("HTTP/1.1 1");
        let is_chunked = head
            .to_ascii_lowercase()
            .contains("\r\ntransfer-encoding: chunked");
        let mut lines = alike(&head);
        if head.contains(" 502 ") {
            // The document tells the request's id.
            lines.push("a document".to_owned());
            rest = b"";
        }
        heads.push(lines);
        if is_last && is_chunked {
            return (heads, unchunked(rest));
        }
        if is_last {
            return (heads, rest.to_vec());
        }
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while !rest.is_empty() {
        let end = rest
            .windows(2)
            .position(|window| window == b"\r\n")
            .unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        assert_eq!(&rest[end + 2 + size..end + 4 + size], b"\r\n");
        rest = &rest[end + 4 + size..];
        if size == 0 {
            assert!(rest.is_empty());
        }
    }
    body
}

/// What a record tells, but for what differs, and the words of errors.
fn told(record: &Value) -> Value {
    let mut record = record.clone();
    let fields = record.as_object_mut().unwrap();
    for differs in [
        "time",
        "request_id",
        "duration_us",
        "ttfb_us",
        "error_detail",
    ] {
        fields.remove(differs);
    }
    record
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_pass_alike() {
    let answered = [
        "/length",
        "/empty",
        "/chunks",
        "/padded",
        "/signed",
        "/trailers",
        "/no-chunks",
        "/closing",
        "/close",
        "/old",
        "/old-closing",
        "/no-content",
        "/lengths-of-nothing",
        "/chunks-of-nothing",
        "/moved",
        "/busy",
        "/both",
        "/hints",
        "/fields",
        "/large",
    ];
    pass_alike(&answered, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_tell_alike_of_an_origin_that_fails() {
    let failing = [
        "/lengths",
        "/coding",
        "/switch",
        "/garbage",
        "/nothing",
        "/half",
        "/not-modified",
    ];
    pass_alike(&failing, false).await;
}

async fn pass_alike(paths: &[&str], is_answer: bool) {
    let (origin, heard) = origin().await;
    let edge = edge(&origin, ROUTE).await;
    let requests = [
        ("GET", "1.1", "Connection: close\r\n"),
        ("HEAD", "1.1", "Connection: close\r\n"),
        ("GET", "1.0", ""),
        ("HEAD", "1.0", ""),
        (
            "GET",
            "1.1",
            "connection: close, X-Hop\r\nX-HOP: 1\r\nTE: trailers\r\nVia: 1.1 a\r\nX-Forwarded-For: 1.2.3.4\r\n\
             uSer-aGent: u\r\nCookie: a=b\r\nCookie: c=d\r\nX-Remove: 1\r\nX-Set: 1\r\nContent_Length: 3\r\nAccept: text/html\r\n",
        ),
        (
            "GET",
            "1.1",
            "Connection: close\r\nContent-Length: 00\r\nCache-Control: no-cache\r\nRange: bytes=0-1\r\n",
        ),
    ];
    let mut asked = 0;
    for path in paths {
        for (method, version, fields) in requests {
            // This origin sends bodies to HEAD, too: a large one would be on its way when the connection is asked again.
            if (method, *path) == ("HEAD", "/large") {
                continue;
            }
            let line =
                format!("{method} {path}?{asked:03} HTTP/{version}\r\nHost: shop.example\r\n");
            let what = format!("{line}{fields}");
            let before = heard.lock().len();
            let short = all(&edge, &format!("{line}{fields}\r\n")).await;
            let long = all(&edge, &format!("{line}{fields}{LONG_WAY}\r\n")).await;
            let (short, long) = (parts(&short), parts(&long));
            assert_eq!(short.0, long.0, "{what}");
            let framed = |line: &String| {
                line.starts_with("content-length") || line.starts_with("transfer-encoding")
            };
            if path.ends_with("-of-nothing") {
                let framed: Vec<_> = short
                    .0
                    .iter()
                    .flatten()
                    .filter(|line| framed(line))
                    .collect();
                assert!(framed.is_empty(), "{what}: {framed:?}");
            }
            assert!(short.1 == long.1, "the bodies of {what}");
            let heads = heard.lock()[before..].to_vec();
            let [first, second] = heads.as_slice() else {
                panic!("{what}: {heads:?}");
            };
            assert_eq!(alike(first), alike(second), "{what}");
            asked += 1;
        }
    }
    let passed = if is_answer { asked } else { 0 };
    assert_eq!(edge.metric(PASSED).await as usize, passed);
    let mut records = records(&edge, 2 * asked).await;
    records.sort_by_key(|record| record["query"].to_string());
    for pair in records.chunks(2) {
        assert_eq!(told(&pair[0]), told(&pair[1]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_keep_their_spelling_either_way() {
    let (origin, heard) = origin().await;
    let edge = edge(&origin, "").await;
    for way in ["", LONG_WAY] {
        let line = "GET /fields HTTP/1.1\r\nhOST: a\r\nConnection: close\r\nX-aSked: 1\r\n";
        let answer = all(&edge, &format!("{line}{way}\r\n")).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains("\r\nx-OdD: o\r\n"), "{answer}");
        let head = heard.lock().pop().unwrap();
        assert!(head.contains("\r\nX-aSked: 1\r\n"), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_304_goes_to_whoever_asked_for_it() {
    let (origin, _) = origin().await;
    let edge = edge(&origin, "").await;
    let line =
        "GET /not-modified HTTP/1.1\r\nHost: a\r\nConnection: close\r\nIf-None-Match: \"v\"\r\n";
    for way in ["", LONG_WAY] {
        let (heads, body) = parts(&all(&edge, &format!("{line}{way}\r\n")).await);
        assert!(
            heads[0].iter().any(|line| line.contains(" 304 ")),
            "{heads:?}"
        );
        assert!(body.is_empty());
    }
}
