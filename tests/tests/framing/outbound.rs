//! Requests to origins are made anew: the octets that arrive there are the edge's, whatever the client wrote.

use crate::world::{HOST, Over, World};
use bytes::Bytes;
use latencify_tests::{Client, Protocol, body};

/// The head that the origin got for a request that names this path.
fn head_of(world: &World, path: &str) -> String {
    let (seen, _) = world
        .seen
        .with(path)
        .unwrap_or_else(|| panic!("{}", world.seen.text()));
    let line = seen.split("\r\n").find(|line| line.contains(path)).unwrap();
    let start = seen.find(line).unwrap();
    let head = &seen[start..];
    head[..head.find("\r\n\r\n").unwrap() + 2].to_owned()
}

/// Holds what every head at an origin must be.
#[track_caller]
fn is_sound(head: &str, body: bool) {
    let mut lines = head.split_terminator("\r\n");
    let line = lines.next().unwrap();
    let parts: Vec<_> = line.split(' ').collect();
    assert!(
        parts.len() == 3 && parts[1].starts_with('/') && parts[2] == "HTTP/1.1",
        "{head}"
    );
    let mut names = Vec::new();
    for line in lines {
        let (name, value) = line
            .split_once(": ")
            .unwrap_or_else(|| panic!("{line:?} in {head}"));
        assert!(
            name.bytes()
                .all(|octet| octet.is_ascii_graphic() && octet != b':'),
            "{line:?}"
        );
        assert_eq!(value.trim_matches([' ', '\t']), value, "{line:?}");
        assert!(
            !value
                .bytes()
                .any(|octet| octet.is_ascii_control() && octet != b'\t'),
            "{line:?}"
        );
        names.push(name.to_lowercase());
    }
    let count = |name: &str| names.iter().filter(|known| *known == name).count();
    assert_eq!(count("host"), 1, "{head}");
    assert_eq!(
        count("content-length") + count("transfer-encoding"),
        usize::from(body),
        "{head}"
    );
    for hop in [
        "te",
        "trailer",
        "keep-alive",
        "proxy-connection",
        "upgrade",
        "x-named",
        "content_length",
        "transfer_encoding",
        "x_forwarded_for",
    ] {
        assert_eq!(count(hop), 0, "{hop} in {head}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_1_request_is_made_anew() {
    let world = World::new("", "").await;
    let fields = "CONNECTION: x-named, TE\r\nX-Named: a\r\nTE: trailers\r\nTrailer: x\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\n\
                  Content_Length: 7\r\nTransfer_Encoding: chunked\r\nX_Forwarded_For: 9.9.9.9\r\nX-Odd: \t a \t\r\n";
    for (number, (line, framing, sent, expected)) in [
        ("GET /1%61?q HTTP/1.1", "", "", ""),
        ("get /2/../2/./x HTTP/1.1", "", "", ""),
        (
            "POST /3 HTTP/1.0",
            "Content-Length: 0005\r\n",
            "hello",
            "content-length: 5\r\n",
        ),
        (
            "POST /4 HTTP/1.1",
            "tRANSFER-eNCODING: CHUNKED\r\n",
            "005;x=y\r\nhello\r\n0\r\nx: y\r\n\r\n",
            "transfer-encoding: chunked\r\n",
        ),
        (
            "POST http://shop.example/5 HTTP/1.1",
            "Content-Length: 5\r\n",
            "hello",
            "content-length: 5\r\n",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let marker = format!("x-marker: m{number}\r\n");
        let mut peer = world.connect(Over::Tcp).await;
        peer.send(format!(
            "{line}\r\nhost: {HOST}\r\n{fields}{marker}{framing}\r\n{sent}"
        ))
        .await;
        let answer = peer.answer("GET").await;
        assert_eq!(answer.status, 200, "{line}: {}", answer.head);
        let (seen, _) = world.seen.with(&format!("m{number}\r\n")).unwrap();
        let at = seen.find(&format!("m{number}\r\n")).unwrap();
        let start = seen[..at].rfind(" HTTP/1.1\r\n").unwrap();
        let start = seen[..start].rfind('\n').map_or(0, |at| at + 1);
        let head = &seen[start..start + seen[start..].find("\r\n\r\n").unwrap() + 2];
        is_sound(head, !expected.is_empty());
        assert!(
            head.to_lowercase().contains(expected),
            "{expected:?} in {head}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_2_request_becomes_one_of_http_1() {
    let world = World::new("", "").await;
    let client = Client::new();
    for (path, content, length) in [
        ("/plain", None, false),
        ("/long", Some("hello"), true),
        ("/streamed", Some("hello"), false),
    ] {
        let mut connection = client
            .connect_tls(world.edge.https(), HOST, &world.authority, Protocol::Http2)
            .await
            .unwrap();
        let mut request =
            Client::request(if content.is_some() { "POST" } else { "GET" }, HOST, path)
                .header("te", "trailers");
        if length {
            request = request.header("content-length", "5");
        }
        let body = match content {
            None => body::empty(),
            Some(text) if length => body::full(text),
            Some(text) => body::streamed(futures::stream::iter([Ok(Bytes::from(text))])),
        };
        let reply = connection.send(request.body(body).unwrap()).await.unwrap();
        assert_eq!(reply.status.as_u16(), 200, "{path}");
        is_sound(&head_of(&world, path), content.is_some());
    }
}
