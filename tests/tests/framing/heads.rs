//! Heads that are refused: on the first and on a later request of a connection, alone and pipelined, plain and over TLS.

use crate::world::{HOST, Over, World, good};
use std::collections::HashMap;

/// Where on a connection the bad request stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    First,
    Later,
    Pipelined,
}

/// A bad request: its status, its name, its octets. `@` stands for a path that belongs to the case.
type Case = (u16, &'static str, &'static str);

const CASES: &[Case] = &[
    (400, "bare_lf", "GET @ HTTP/1.1\nHost: shop.example\n\n"),
    (
        400,
        "bare_lf",
        "GET @ HTTP/1.1\r\nHost: shop.example\nX: a\r\n\r\n",
    ),
    (
        400,
        "bare_cr",
        "GET @ HTTP/1.1\r\nHost: shop.example\rX: a\r\n\r\n",
    ),
    (400, "bare_cr", "GET @ HTTP/1.1\rHost: shop.example\r\n\r\n"),
    (
        400,
        "empty_lines",
        "\r\n\r\nGET @ HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_request_line",
        "GET  @ HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_request_line",
        "GET @ HTTP/1.1 \r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_request_line",
        "GET @ x HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_method",
        "G\0ET @ HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        501,
        "long_method",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ @ HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        405,
        "connect",
        "CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n\r\n",
    ),
    (
        400,
        "control_in_target",
        "GET @\0 HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "control_in_target",
        "GET @\x0b HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "non_ascii_target",
        "GET @\u{e9} HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "fragment_in_target",
        "GET @#x HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_target_octet",
        "GET @<x> HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_target",
        "GET france HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_target",
        "GET * HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_target",
        "GET shop.example:80 HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_target",
        "GET ftp://shop.example@ HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_version",
        "GET @ http/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        505,
        "unsupported_version",
        "GET @ HTTP/1.2\r\nHost: shop.example\r\n\r\n",
    ),
    (
        505,
        "unsupported_version",
        "GET @ HTTP/3.0\r\nHost: shop.example\r\n\r\n",
    ),
    (505, "prior_knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (505, "http_0_9", "GET @\r\n\r\n"),
    (
        400,
        "leading_whitespace",
        "GET @ HTTP/1.1\r\n Host: shop.example\r\n\r\n",
    ),
    (
        400,
        "folded_line",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nX: a\r\n b\r\n\r\n",
    ),
    (
        400,
        "folded_line",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\n\tTransfer-Encoding: chunked\r\n\r\n",
    ),
    (
        400,
        "empty_name",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\n: a\r\n\r\n",
    ),
    (
        400,
        "space_before_colon",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length : 5\r\n\r\n",
    ),
    (
        400,
        "space_in_name",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nX Y: a\r\n\r\n",
    ),
    (
        400,
        "control_in_name",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nX\0: a\r\n\r\n",
    ),
    (
        400,
        "bad_name",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding\u{e9}: chunked\r\n\r\n",
    ),
    (
        400,
        "bad_name",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nX(y): a\r\n\r\n",
    ),
    (
        400,
        "no_colon",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nX\r\n\r\n",
    ),
    (
        400,
        "control_in_value",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nX: a\0b\r\n\r\n",
    ),
    (
        400,
        "control_in_value",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding:\x0bchunked\r\n\r\n",
    ),
    (400, "missing_host", "GET @ HTTP/1.1\r\n\r\n"),
    (
        400,
        "duplicate_host",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_host",
        "GET @ HTTP/1.1\r\nHost: shop.example, other.example\r\n\r\n",
    ),
    (
        400,
        "bad_host",
        "GET @ HTTP/1.1\r\nHost: user@shop.example\r\n\r\n",
    ),
    (400, "bad_host", "GET @ HTTP/1.1\r\nHost:\r\n\r\n"),
    (
        400,
        "host_mismatch",
        "GET http://other.example@ HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "host_mismatch",
        "GET http://shop.example:81@ HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "both_lengths",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "both_lengths",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "duplicate_length",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    ),
    (
        400,
        "duplicate_length",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5, 5\r\n\r\nhello",
    ),
    (
        400,
        "bad_length",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length: +5\r\n\r\nhello",
    ),
    (
        400,
        "bad_length",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length: -5\r\n\r\nhello",
    ),
    (
        400,
        "bad_length",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5 5\r\n\r\nhello",
    ),
    (
        400,
        "bad_length",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length:\r\n\r\nhello",
    ),
    (
        400,
        "large_length",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 18446744073709551621\r\n\r\nhello",
    ),
    (
        400,
        "coding_in_old_version",
        "POST @ HTTP/1.0\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "duplicate_coding",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "bad_coding",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "bad_coding",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "bad_coding",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    ),
    (
        501,
        "unknown_coding",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        417,
        "unknown_expectation",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nExpect: magic\r\nContent-Length: 5\r\n\r\nhello",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_heads_are_refused_wherever_they_stand() {
    let world = World::new("", "").await;
    let mut counts = HashMap::new();
    let mut ids = Vec::new();
    for (number, (status, name, octets)) in CASES.iter().enumerate() {
        for over in [Over::Tcp, Over::Tls] {
            for place in [Place::First, Place::Later, Place::Pipelined] {
                let bad = octets.replace('@', &format!("/bad-{number}"));
                let id = check(&world, over, place, &bad, *status, name).await;
                ids.push((id, *name, *status));
                *counts.entry(*name).or_default() += 1;
            }
        }
    }
    let seen = world.seen.text();
    assert!(
        !seen.contains("bad-") && !seen.contains("smuggled"),
        "the origin saw {seen}"
    );
    for (id, name, status) in ids {
        let record = world.record(&id).await;
        assert_eq!(
            (&record["error"], &record["status"]),
            (&name.into(), &status.into()),
            "{record}"
        );
        assert_eq!(
            record["decisions"],
            serde_json::json!(["framing"]),
            "{record}"
        );
    }
    world.counted(&counts).await;
}

/// Sends one bad request, with another behind it that would be answered if anybody took it for one.
async fn check(
    world: &World,
    over: Over,
    place: Place,
    bad: &str,
    status: u16,
    name: &'static str,
) -> String {
    let mut peer = world.connect(over).await;
    let follow = good("/smuggled");
    match place {
        Place::First => peer.send(format!("{bad}{follow}")).await,
        Place::Later => {
            peer.send(good("/good")).await;
            assert_eq!(peer.answer("GET").await.status, 200);
            peer.send(format!("{bad}{follow}")).await;
        }
        Place::Pipelined => {
            peer.send(format!("{}{bad}{follow}", good("/good"))).await;
            assert_eq!(peer.answer("GET").await.status, 200);
        }
    }
    let id = peer.answer("GET").await.refuses(status, name);
    let rest = peer.rest().await;
    assert!(
        rest.is_empty(),
        "{over:?} {place:?} {bad:?}: {:?}",
        String::from_utf8_lossy(&rest)
    );
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_over_a_limit_are_refused_as_the_policy_says() {
    let world = World::new(
        "limits: {headers: 8, header_bytes: 2KiB, uri_bytes: 500B}",
        "",
    )
    .await;
    let fields = |count: usize| "X: a\r\n".repeat(count);
    let long = |octets: usize| "a".repeat(octets);
    let check = async |head: String, refused: Option<(u16, &'static str)>| {
        for over in [Over::Tcp, Over::Tls] {
            let mut peer = world.connect(over).await;
            peer.send(&head).await;
            let answer = peer.answer("GET").await;
            match refused {
                Some((status, name)) => drop(answer.refuses(status, name)),
                None => assert_eq!(answer.status, 200, "{}", answer.head),
            }
        }
    };
    let head = |target: &str, fields: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n")
    };
    check(head("/", &fields(7)), None).await;
    check(head("/", &fields(8)), Some((431, "many_fields"))).await;
    check(head(&format!("/{}", long(499)), ""), None).await;
    check(
        head(&format!("/{}", long(500)), ""),
        Some((414, "long_target")),
    )
    .await;
    // Nothing waits for the end of what is too long already.
    check(format!("GET /{}", long(5_000)), Some((414, "long_target"))).await;
    check(head("/", &format!("X: {}\r\n", long(1_021))), None).await;
    check(
        head("/", &format!("X: {}\r\n", long(1_022))),
        Some((431, "long_field")),
    )
    .await;
    let two = format!("X: {}\r\nY: {}\r\n", long(1_000), long(1_001));
    check(head("/", &two), Some((431, "long_head"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browsers_get_a_page_and_head_gets_no_body() {
    let world = World::new("", "").await;
    let mut peer = world.connect(Over::Tcp).await;
    peer.send(format!(
        "GET / HTTP/1.1\r\nAccept: text/html\r\nHost: {HOST}\r\nX : a\r\n\r\n"
    ))
    .await;
    let page = peer.answer("GET").await;
    assert_eq!(
        (page.status, page.field("content-type")),
        (400, Some("text/html; charset=utf-8"))
    );
    assert!(
        String::from_utf8_lossy(&page.body).contains("<h1>"),
        "{page:?}"
    );

    let mut peer = world.connect(Over::Tcp).await;
    peer.send(format!("HEAD / HTTP/1.1\r\nHost: {HOST}\r\nX : a\r\n\r\n"))
        .await;
    let head = peer.answer("HEAD").await;
    assert_eq!(head.status, 400);
    assert!(
        peer.rest().await.is_empty(),
        "no body follows the answer to HEAD"
    );
}
