//! What of a message is for one connection, or one moment, alone (RFC 9110 §7.6.1, §15.2).

use super::{
    case::{answer, case},
    world::World,
};
use latencify_tests::{Client, Edge, Protocol, RawOrigin, policy::one_route};
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Semaphore,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_for_one_connection_is_neither_stored_nor_passed_on() {
    let world = World::start().await;
    let stored = "cache-control: max-age=3600";
    let cases = vec![
        case("RFC 9111 §3.1", "hop-by-hop fields of a response")
            .answers([answer(
                "cache-control: max-age=3600 | connection: x-own | x-own: a | keep-alive: timeout=5 | proxy-authentication-info: b | x-open: c",
            )])
            .get("")
            .fetched(1)
            .lacks("x-own")
            .lacks("keep-alive")
            .lacks("proxy-authentication-info")
            .has("x-open: c")
            .get("")
            .hit(1)
            .lacks("x-own")
            .lacks("keep-alive")
            .has("x-open: c"),
        case("RFC 9110 §7.6.3", "Via names every hop")
            .answers([answer("cache-control: max-age=3600 | via: 1.1 inner")])
            .get("")
            .fetched(1)
            .has("via: *")
            .origin_saw("via: *")
            .get("")
            .hit(1)
            .has("via: *"),
        case("RFC 9110 §6.6.1", "what has no Date gets one, stored or not")
            .answers([answer("cache-control: no-store").dateless()])
            .get("")
            .fetched(1)
            .has("date: *"),
        case("RFC 9110 §7.6.1", "fields that nobody knows are stored")
            .answers([answer("cache-control: max-age=3600 | x-anything: at, all | foo: bar")])
            .get("")
            .fetched(1)
            .get("")
            .hit(1)
            .has("x-anything: at, all | foo: bar"),
        case("RFC 9111 §3.1", "several lines of a field are stored")
            .answers([answer("cache-control: max-age=3600 | x-many: one | x-many: two")])
            .get("")
            .fetched(1)
            .get("")
            .hit(1)
            .has("x-many: one, two"),
        case("RFC 9110 §15.2", "interim answers are never stored")
            .answers([answer(stored)
                .after(103, "link: </style.css>; rel=preload")
                .after(102, "x-progress: half")])
            .get("")
            .fetched(1)
            .get("")
            .hit(1)
            .after(&[]),
    ];
    world
        .check(cases, &[Protocol::Http1, Protocol::Http2])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interim_answers_go_on_and_are_not_stored() {
    let heard = Arc::new(Semaphore::new(0));
    let hold = Arc::clone(&heard);
    // The final answer waits until the client has the interim ones.
    let origin = RawOrigin::serve(move |mut stream| {
        let hold = Arc::clone(&hold);
        async move {
            RawOrigin::head(&mut stream).await?;
            stream
                .write_all(
                    b"HTTP/1.1 102 Processing\r\n\r\n\
                      HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",
                )
                .await?;
            hold.acquire().await.unwrap().forget();
            stream
                .write_all(
                    b"HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: 5\r\n\r\nhello",
                )
                .await
        }
    })
    .await;
    let edge = Edge::alone(&one_route(&origin.url(), "cache: true"))
        .start()
        .await;
    let mut client = Client::new().tcp(edge.http()).await.unwrap();
    client
        .write_all(b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        .await
        .unwrap();
    let mut came = String::new();
    while !came.contains("103 Early Hints") || !came.ends_with("\r\n\r\n") {
        came.push(char::from(client.read_u8().await.unwrap()));
    }
    assert!(
        came.contains("102 Processing") && came.to_lowercase().contains("link: </style.css>"),
        "RFC 9110 §15.2: {came}"
    );
    heard.add_permits(1);
    while !came.ends_with("hello") {
        came.push(char::from(client.read_u8().await.unwrap()));
    }
    let hit = edge.get("shop.example", "/a").await;
    assert!(
        hit.is_hit() && hit.informational.is_empty() && hit.header("link").is_empty(),
        "{hit:?}"
    );
}

/// In one piece with the answer that is stored, they are not lost behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interim_answers_go_on_that_come_together_with_the_answer() {
    const ANSWERS: &[u8] = b"HTTP/1.1 102 Processing\r\n\r\n\
          HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n\
          HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: 5\r\n\r\nhello";
    let origin = RawOrigin::serve(async |mut stream| {
        loop {
            RawOrigin::head(&mut stream).await?;
            stream.write_all(ANSWERS).await?;
        }
    })
    .await;
    for route in ["cache: true", ""] {
        let edge = Edge::alone(&one_route(&origin.url(), route)).start().await;
        let fetched = edge.get("shop.example", "/new").await;
        let interim = fetched.informational.iter();
        let interim: Vec<_> = interim.map(|(status, _)| status.as_u16()).collect();
        assert_eq!(interim, [102, 103], "RFC 9110 §15.2: {route}: {fetched:?}");
        assert_eq!(
            fetched.informational[1].1["link"],
            "</style.css>; rel=preload"
        );
        assert_eq!(fetched.text(), "hello", "{route}: {fetched:?}");

        // RFC 9110 §15.2: who speaks HTTP/1.0 knows none.
        let mut client = Client::new().tcp(edge.http()).await.unwrap();
        client
            .write_all(b"GET /old HTTP/1.0\r\nHost: shop.example\r\n\r\n")
            .await
            .unwrap();
        let mut came = String::new();
        client.read_to_string(&mut came).await.unwrap();
        let heads = came.matches("HTTP/1.").count();
        assert!(heads == 1 && came.ends_with("hello"), "{route}: {came}");
    }
}
