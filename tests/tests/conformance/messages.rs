//! What of a message is for one connection, or one moment, alone (RFC 9110 §7.6.1, §15.2).

use super::{
    case::{answer, case},
    world::World,
};
use latencify_tests::Protocol;

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
    let forwarded = vec![
        case("RFC 9110 §15.2", "interim answers go on")
            .answers([answer(stored)
                .after(102, "x-progress: half")
                .after(103, "link: </style.css>; rel=preload")])
            .get("")
            .fetched(1)
            .after(&[102, 103]),
    ];
    world.check(forwarded, &[Protocol::Http1]).await;
}
