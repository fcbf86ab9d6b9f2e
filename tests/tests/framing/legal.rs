//! Requests of an unusual but legal shape pass, and reach the origin in the usual one.

use crate::world::{HOST, Over, World, good};

/// What is sent; the request line and the body that the origin gets.
const CASES: &[(&str, &str, &str)] = &[
    (
        "\r\nGET @ HTTP/1.1\r\nHost: shop.example\r\n\r\n",
        "GET @ HTTP/1.1",
        "",
    ),
    (
        "GET @ HTTP/1.1\r\nhOsT:shop.example\r\n\r\n",
        "GET @ HTTP/1.1",
        "",
    ),
    (
        "GET @ HTTP/1.1\r\nHost: \t shop.example \t\r\nX:\r\nY: caf\u{e9}\r\n\r\n",
        "GET @ HTTP/1.1",
        "",
    ),
    (
        "GET @ HTTP/1.1\r\nHost: SHOP.example.:80\r\n\r\n",
        "GET @ HTTP/1.1",
        "",
    ),
    (
        "GET http://SHOP.example:80@?q HTTP/1.1\r\nHost: shop.example\r\n\r\n",
        "GET @?q HTTP/1.1",
        "",
    ),
    (
        "M-SEARCH @ HTTP/1.1\r\nHost: shop.example\r\n!#$%&'*+-.^_`|~: odd\r\n\r\n",
        "M-SEARCH @ HTTP/1.1",
        "",
    ),
    (
        "GET @?a={b}|c[d]^e'f HTTP/1.1\r\nHost: shop.example\r\n\r\n",
        "GET @?a={b}|c[d]^e'f HTTP/1.1",
        "",
    ),
    (
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0005\r\n\r\nhello",
        "POST @ HTTP/1.1",
        "hello",
    ),
    (
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\n\r\n",
        "POST @ HTTP/1.1",
        "",
    ),
    (
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: CHUNKED\r\n\r\n0005;a=\"b;c\"\r\nhello\r\n0;x\r\nChecksum: 1\r\n\r\n",
        "POST @ HTTP/1.1",
        "hello",
    ),
    (
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        "POST @ HTTP/1.1",
        "hello",
    ),
    (
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 41\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.example\r\n",
        "POST @ HTTP/1.1",
        "GET /smuggled HTTP/1.1\r\nHost: a.example\r\n",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_requests_that_are_legal_pass() {
    let world = World::new("", "").await;
    for (number, (octets, line, body)) in CASES.iter().enumerate() {
        for over in [Over::Tcp, Over::Tls] {
            for slowly in [false, true] {
                let path = format!("/odd-{number}-{over:?}-{slowly}");
                let mut peer = world.connect(over).await;
                let mut request = octets.replace('@', &path);
                if over == Over::Tls {
                    request = request
                        .replace("http://", "https://")
                        .replace(":80", ":443");
                }
                if slowly {
                    for octet in request.as_bytes() {
                        peer.send([*octet]).await;
                        tokio::task::yield_now().await;
                    }
                } else {
                    peer.send(&request).await;
                }
                let answer = peer.answer("GET").await;
                assert_eq!(
                    (answer.status, answer.body.as_slice()),
                    (200, b"ok".as_slice()),
                    "{request:?}: {}",
                    answer.head
                );
                // The connection goes on, and the next request is the next one.
                peer.send(good("/after")).await;
                assert_eq!(peer.answer("GET").await.status, 200, "after {request:?}");

                let (seen, _) = world.seen.with(&path).expect("the origin was asked");
                let start = seen
                    .find(&line.replace('@', &path))
                    .unwrap_or_else(|| panic!("{seen:?}"));
                let own = &seen[start..];
                let (head, rest) = own.split_once("\r\n\r\n").unwrap();
                assert_eq!(of_body(head, rest), *body, "{own:?}");
            }
        }
    }
}

/// The body as the origin understands it.
fn of_body(head: &str, rest: &str) -> String {
    let field = |name: &str| {
        head.lines()
            .find_map(|line| line.to_lowercase().strip_prefix(name).map(str::to_owned))
    };
    if field("transfer-encoding: chunked").is_some() {
        let mut body = String::new();
        let mut rest = rest;
        while let Some((size, after)) = rest.split_once("\r\n") {
            assert!(
                size.bytes().all(|octet| octet.is_ascii_hexdigit()),
                "an extension went on: {size:?}"
            );
            let size = usize::from_str_radix(size, 16).unwrap();
            if size == 0 {
                assert!(after.starts_with("\r\n"), "trailers went on: {after:?}");
                return body;
            }
            body.push_str(&after[..size]);
            rest = &after[size + 2..];
        }
        return body;
    }
    let length = field("content-length: ").map_or(0, |length| length.parse().unwrap());
    rest[..length].to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_answered_in_order() {
    let world = World::new("", "").await;
    for over in [Over::Tcp, Over::Tls] {
        let mut peer = world.connect(over).await;
        let post = format!(
            "POST /p HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        );
        let head = format!("HEAD /h HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        peer.send(format!("{}{post}{head}{}", good("/a"), good("/b")).repeat(5))
            .await;
        for _ in 0..5 {
            for method in ["GET", "POST", "HEAD", "GET"] {
                let answer = peer.answer(method).await;
                assert_eq!(answer.status, 200, "{}", answer.head);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_clients_are_kept_if_they_ask_for_it() {
    let world = World::new("", "").await;
    let mut peer = world.connect(Over::Tcp).await;
    for _ in 0..3 {
        peer.send(format!(
            "GET / HTTP/1.0\r\nHost: {HOST}\r\nConnection: keep-alive\r\n\r\n"
        ))
        .await;
        let answer = peer.answer("GET").await;
        assert_eq!(
            (answer.status, answer.field("connection")),
            (200, Some("keep-alive")),
            "{}",
            answer.head
        );
    }
    peer.send(format!("GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n"))
        .await;
    assert_eq!(peer.answer("GET").await.status, 200);
    assert!(peer.rest().await.is_empty());

    // One that names the host in the target alone.
    let mut peer = world.connect(Over::Tcp).await;
    peer.send(format!("GET http://{HOST}/named HTTP/1.0\r\n\r\n"))
        .await;
    assert_eq!(peer.answer("GET").await.status, 200);
    let (seen, _) = world.seen.with("/named").unwrap();
    assert!(
        seen.contains("GET /named HTTP/1.1\r\n")
            && seen.to_lowercase().contains(&format!("host: {HOST}\r\n")),
        "{seen}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_passes_the_first_parser_passes_the_second() {
    let world = World::new("", "").await;
    let mut lines: Vec<Vec<u8>> = [
        "OPTIONS * HTTP/1.1",
        "GET // HTTP/1.1",
        "GET //user@other.example/x HTTP/1.1",
        "GET //other.example:80/x HTTP/1.1",
        "GET /\\other.example/x HTTP/1.1",
        "GET /http://other.example/x HTTP/1.1",
        "GET /@:80 HTTP/1.1",
        "GET /?//user@other.example HTTP/1.1",
        "GET /%zz%00%0d%0a HTTP/1.1",
        "GET /a%2f..%2f.. HTTP/1.1",
        "!#$%&'*+-.^_`|~ / HTTP/1.1",
    ]
    .into_iter()
    .map(|line| line.as_bytes().to_vec())
    .collect();
    for octet in 0x21..0x7f_u8 {
        lines.push([b"GET /a", [octet].as_slice(), b"b HTTP/1.1"].concat());
        lines.push([b"GET /a?b", [octet].as_slice(), b"c HTTP/1.1"].concat());
    }
    for line in lines {
        let mut peer = world.connect(Over::Tcp).await;
        peer.send([line.as_slice(), b"\r\nHost: shop.example\r\n\r\n"].concat())
            .await;
        let answer = peer.answer("GET").await;
        // Whoever answers, it is nobody below us: those would send no id.
        let told = String::from_utf8_lossy(&line);
        assert!(
            answer.field("x-request-id").is_some(),
            "{told}: {}",
            answer.head
        );
        assert!(
            matches!(answer.status, 200 | 400),
            "{told}: {}",
            answer.head
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_at_the_largest_limits_pass() {
    let world = World::new(
        "limits: {headers: 256, header_bytes: 1MiB, uri_bytes: 1MiB}",
        "",
    )
    .await;
    let check = async |head: String, status: u16| {
        let mut peer = world.connect(Over::Tcp).await;
        peer.send(&head).await;
        let answer = peer.answer("GET").await;
        assert_eq!(answer.status, status, "{}", answer.head);
        assert!(answer.field("x-request-id").is_some(), "{}", answer.head);
    };
    let fields = |count: usize| "X: a\r\n".repeat(count);
    let head = |target: &str, fields: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n")
    };
    check(head("/", &fields(200)), 200).await;
    check(head("/", &fields(256)), 431).await;
    check(head(&format!("/{}", "a".repeat(65_000)), ""), 200).await;
    check(head(&format!("/{}", "a".repeat(65_534)), ""), 414).await;
    check(head("/", &format!("X: {}\r\n", "a".repeat(400_000))), 200).await;
    check(head("/", &format!("{}: a\r\n", "a".repeat(70_000))), 431).await;
    let two = format!("X: {0}\r\nX: {0}\r\n", "a".repeat(524_200));
    check(head("/", &two), 200).await;
    let three = format!("X: {0}\r\nX: {0}\r\n", "a".repeat(524_280));
    check(head("/", &three), 431).await;
}
