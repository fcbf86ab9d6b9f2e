//! Bodies that are refused: the client is told, the origin never gets a whole request, and nothing behind the body is
//! taken for one.

use crate::world::{HOST, Over, WITHIN, World, good};
use latencify_tests::wait_until;
use std::collections::HashMap;

/// A chunked body that is none: its name, and its octets.
const CASES: &[(&str, &str)] = &[
    ("bad_chunk_size", "\r\nhello\r\n0\r\n\r\n"),
    ("bad_chunk_size", "0x5\r\nhello\r\n0\r\n\r\n"),
    ("bad_chunk_size", "+5\r\nhello\r\n0\r\n\r\n"),
    ("bad_chunk_size", "-5\r\nhello\r\n0\r\n\r\n"),
    ("bad_chunk_size", " 5\r\nhello\r\n0\r\n\r\n"),
    ("bad_chunk_size", "5 \r\nhello\r\n0\r\n\r\n"),
    ("bad_chunk_size", "5 ;a\r\nhello\r\n0\r\n\r\n"),
    ("bad_chunk_size", "5\0\r\nhello\r\n0\r\n\r\n"),
    (
        "large_chunk_size",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
    ),
    ("large_chunk_size", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    ("bare_lf", "5\nhello\r\n0\r\n\r\n"),
    ("bare_lf", "5;a\nhello\r\n0\r\n\r\n"),
    ("bare_cr", "5\rX\nhello\r\n0\r\n\r\n"),
    ("bad_chunk_end", "5\r\nhello\n0\r\n\r\n"),
    ("bad_chunk_end", "5\r\nhelloX\r\n0\r\n\r\n"),
    ("bad_chunk_end", "3\r\nhello\r\n0\r\n\r\n"),
    ("bad_chunk_extension", "5;a b\r\nhello\r\n0\r\n\r\n"),
    ("bad_chunk_extension", "5;\r\nhello\r\n0\r\n\r\n"),
    ("bad_chunk_extension", "5;a=\"\r\nhello\r\n0\r\n\r\n"),
    (
        "forbidden_trailer",
        "5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n",
    ),
    (
        "forbidden_trailer",
        "5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    (
        "forbidden_trailer",
        "5\r\nhello\r\n0\r\nHost: other.example\r\n\r\n",
    ),
    ("space_before_colon", "5\r\nhello\r\n0\r\nX : a\r\n\r\n"),
    ("folded_line", "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n"),
    ("bare_lf", "5\r\nhello\r\n0\r\n\n"),
    ("bare_lf", "5\r\nhello\r\n0\r\nX: a\n\r\n"),
    ("control_in_value", "5\r\nhello\r\n0\r\nX: \0\r\n\r\n"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_bodies_are_refused_and_no_origin_gets_a_whole_request() {
    let world = World::new("", "").await;
    let mut counts = HashMap::new();
    let mut ids = Vec::new();
    for (number, (name, body)) in CASES.iter().enumerate() {
        for over in [Over::Tcp, Over::Tls] {
            for later in [false, true] {
                for apart in [false, true] {
                    let path = format!("/bad-{number}-{over:?}-{later}-{apart}");
                    ids.push((
                        check(&world, over, later, apart, &path, body, name).await,
                        *name,
                    ));
                    *counts.entry(*name).or_default() += 1;
                }
            }
        }
    }
    assert!(
        !world.seen.text().contains("smuggled"),
        "{}",
        world.seen.text()
    );
    for (id, name) in ids {
        let record = world.record(&id).await;
        assert_eq!(record["error"], name, "{record}");
        assert_eq!(record["status"], 400, "{record}");
        assert!(record["error_detail"].is_string(), "{record}");
    }
    world.counted(&counts).await;
}

async fn check(
    world: &World,
    over: Over,
    later: bool,
    apart: bool,
    path: &str,
    body: &str,
    name: &str,
) -> String {
    let mut peer = world.connect(over).await;
    if later {
        peer.send(good("/good")).await;
        assert_eq!(peer.answer("GET").await.status, 200);
    }
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let behind = good("/smuggled");
    if apart {
        peer.send(&head).await;
        // The origin is on the line already when the body goes wrong.
        wait_until("the origin has the head", WITHIN, async || {
            world.seen.with(path).ok_or_else(|| world.seen.text())
        })
        .await;
        peer.send(format!("{body}{behind}")).await;
    } else {
        peer.send(format!("{head}{body}{behind}")).await;
    }
    let id = peer.answer("POST").await.refuses(400, name);
    let rest = peer.rest().await;
    assert!(
        rest.is_empty(),
        "{path}: {:?}",
        String::from_utf8_lossy(&rest)
    );
    if apart {
        // What was sent stays unfinished, on a connection that is used for nothing else.
        wait_until(
            "the origin's connection is closed",
            WITHIN,
            async || match world.seen.with(path) {
                Some((_, true)) => Ok(()),
                other => Err(format!("{other:?}")),
            },
        )
        .await;
        let (octets, _) = world.seen.with(path).unwrap();
        let own = octets.split(path).nth(1).unwrap();
        assert!(
            !own.contains("0\r\n\r\n") && !own.contains("HTTP/1.1\r\nGET"),
            "{own:?}"
        );
    }
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_before_the_end_of_the_body_is_not_lost_and_ends_the_connection() {
    let world = World::new("", "").await;
    for over in [Over::Tcp, Over::Tls] {
        for (body, much) in [("5\nhello", false), ("0\r\n\r\n", false), ("", true)] {
            let mut peer = world.connect(over).await;
            // Refused by its method, before any of its body has come.
            let head =
                format!("TRACE / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n");
            peer.send(&head).await;
            if much {
                // More than sockets hold: a reset would take the answer away.
                let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
                for _ in 0..32 {
                    peer.send(&chunk).await;
                }
            }
            let answer = peer.answer("TRACE").await;
            let told = (answer.status, answer.field("connection"));
            assert_eq!(told, (405, Some("close")), "{}", answer.head);
            peer.send(format!("{body}{}", good("/smuggled"))).await;
            assert!(peer.rest().await.is_empty());
        }
    }
    let seen = world.seen.text();
    assert!(!seen.contains("smuggled"), "{seen}");
}
