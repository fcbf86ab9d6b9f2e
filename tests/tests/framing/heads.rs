//! Heads that are refused: on the first and on a later request of a connection, alone and pipelined, plain and over TLS.

use crate::{
    cases::CASES,
    world::{HOST, Over, World, good},
};
use std::collections::HashMap;

/// Where on a connection the bad request stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    First,
    Later,
    Pipelined,
}

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
    // With the slash: a request id may hold `bad-`.
    assert!(
        !seen.contains("/bad-") && !seen.contains("smuggled"),
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
