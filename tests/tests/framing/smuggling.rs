//! The classic attempts, each with what it would gain: a second request at the origin that the edge never decided on.

use crate::world::{HOST, Over, WITHIN, World, good};
use latencify_tests::wait_until;

/// Requests that some pair of parsers reads differently. Each carries `GET /smuggled` where one of the two would find it.
fn attempts() -> Vec<String> {
    let inner = "GET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    let post = |fields: &str, body: &str| {
        format!("POST /outer HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n{body}")
    };
    let long = inner.len() + 5;
    let mut all = vec![
        // CL.TE and TE.CL
        post(
            &format!("Content-Length: {long}\r\nTransfer-Encoding: chunked\r\n"),
            &format!("0\r\n\r\n{inner}"),
        ),
        post(
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            &format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len()),
        ),
        // CL.CL
        post(
            &format!("Content-Length: 0\r\nContent-Length: {}\r\n", inner.len()),
            inner,
        ),
        // CL.0 by a value that one parser can't read
        post(
            &format!("Content-Length: {}\r\nContent-Length: 0\r\n", inner.len()),
            inner,
        ),
        // 0.CL: a body where none is expected is still a body, and never the next request
        format!(
            "GET /outer HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n{inner}",
            inner.len()
        ),
        // chunk sizes, ends and extensions
        post(
            "Transfer-Encoding: chunked\r\n",
            &format!("0;\n\r\n{inner}"),
        ),
        post(
            "Transfer-Encoding: chunked\r\n",
            &format!("5;a\nxxxx{inner}\r\n0\r\n\r\n"),
        ),
        post("Transfer-Encoding: chunked\r\n", &format!("2\r\nxx{inner}")),
        post(
            "Transfer-Encoding: chunked\r\n",
            &format!("2\r\nxx\n0\r\n\r\n{inner}"),
        ),
        post(
            "Transfer-Encoding: chunked\r\n",
            &format!("0\r\nX: a\n\n{inner}"),
        ),
        post(
            "Transfer-Encoding: chunked\r\n",
            &format!("100000000000000000\r\n{inner}"),
        ),
        // a head inside a head
        format!("GET /outer HTTP/1.1\r\nHost: {HOST}\r\nX: a\n\n{inner}"),
        format!("GET /outer HTTP/1.1\r\nHost: {HOST}\r\nX: a\r\r\n{inner}"),
        format!("GET /outer HTTP/1.1\r\nHost: {HOST}\r\nX: a\r\n \r\n{inner}"),
        format!("GET /outer\r\n{inner}"),
    ];
    // TE.TE: every spelling of which one of two parsers might say that it is not chunked.
    for coding in [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\x0bchunked",
        " Transfer-Encoding: chunked",
        "X: a\r\n Transfer-Encoding: chunked",
        "X: a\nTransfer-Encoding: chunked",
        "Transfer-Encoding\n: chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked;",
        "Transfer-Encoding: 'chunked'",
        "transfer-encoding\0: chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer_Encoding: chunked",
        "Transfer-Encoding: chunKed\x00",
    ] {
        all.push(post(
            &format!("Content-Length: {long}\r\n{coding}\r\n"),
            &format!("0\r\n\r\n{inner}"),
        ));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_smuggled_past_the_edge() {
    let world = World::new("", "").await;
    for over in [Over::Tcp, Over::Tls] {
        for attempt in attempts() {
            for before in ["", "/before"] {
                let mut peer = world.connect(over).await;
                if !before.is_empty() {
                    peer.send(good(before)).await;
                    peer.answer("GET").await;
                }
                peer.send(&attempt).await;
                peer.shut().await;
                // Whatever the edge says, it says about one request.
                let told = String::from_utf8_lossy(&peer.rest().await).into_owned();
                let answers = told.matches("HTTP/1.1 ").count();
                assert!(answers <= 1, "{attempt:?} got {told}");
            }
        }
    }
    // What reached the origin reached it as the body of one request, framed by the edge.
    let seen = world.seen.text();
    for own in seen.split("/outer HTTP/1.1\r\n").skip(1) {
        let (head, _) = own.split_once("\r\n\r\n").unwrap();
        let head = head.to_lowercase();
        let lengths = head.matches("content-length:").count()
            + head.matches("transfer-encoding: chunked").count();
        assert!(lengths <= 1, "{head}");
    }
    // The next client's request is its own.
    let mut peer = world.connect(Over::Tcp).await;
    peer.send(good("/innocent")).await;
    assert_eq!(peer.answer("GET").await.body, b"ok");
    // Records come a moment later: what was decided before is told by then.
    let decided = wait_until("its record is written", WITHIN, async || {
        let records = world.edge.access_log();
        let is_there = records.iter().any(|record| record["path"] == "/innocent");
        if is_there {
            Ok(records)
        } else {
            Err(format!("{} others", records.len()))
        }
    })
    .await;
    assert!(
        decided.iter().all(|record| record["path"] != "/smuggled"),
        "the edge took it for a request of its own"
    );
    assert_eq!(
        world.seen.text().matches("GET /innocent HTTP/1.1").count(),
        1
    );
}
