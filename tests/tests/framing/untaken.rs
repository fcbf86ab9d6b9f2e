//! HTTP/2 requests that are refused before anybody knows what they ask for: each leaves a record and a number.

use crate::{
    http2::{At, Field, Outcome, block, outcome, reach, request},
    world::{HOST, WITHIN, World},
};
use latencify_tests::{
    frames::{DATA, END_HEADERS, END_STREAM, HEADERS, frame},
    wait_until,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// What the records say of requests whose head nobody has seen: how often each reason was given, with which status.
fn told(world: &World) -> BTreeMap<(String, u64), usize> {
    let mut told = BTreeMap::new();
    for record in untaken(world) {
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        let status = record["status"].as_u64().unwrap();
        *told.entry((text("error"), status)).or_default() += 1;
        assert_eq!(
            (
                text("protocol"),
                text("scheme"),
                text("client"),
                text("path")
            ),
            (
                "HTTP/2".into(),
                "https".into(),
                "127.0.0.1".into(),
                String::new()
            ),
            "{record}"
        );
        assert!(text("request_id").len() > 30, "{record}");
        let detail = text("error_detail");
        assert!(
            detail.starts_with("stream ") && detail.len() > 40,
            "{record}"
        );
    }
    told
}

fn untaken(world: &World) -> Vec<Value> {
    let log = world.edge.access_log();
    log.into_iter()
        .filter(|record| record["method"] == "")
        .collect()
}

/// Waits until exactly that is told, in records and numbers.
async fn tells(world: &World, expected: &[(&str, u64, usize)]) {
    let wanted: BTreeMap<_, _> = expected
        .iter()
        .map(|(error, status, count)| (((*error).to_owned(), *status), *count))
        .collect();
    wait_until("each refusal has its record", WITHIN, async || {
        let found = told(world);
        if found == wanted {
            Ok(())
        } else {
            Err(format!("{found:?}\ninstead of {wanted:?}"))
        }
    })
    .await;
    for (error, _, count) in expected {
        let metric =
            format!("latencify_gateway_http2_requests_refused_total{{reason=\"{error}\"}}");
        let value = world.edge.metric(&metric).await;
        assert!(
            (value - *count as f64).abs() < 0.5,
            "{metric} {value}, not {count}"
        );
    }
}

async fn ask(world: &World, at: At, fields: &[Field<'_>]) -> Outcome {
    let (mut peer, stream) = reach(world, at).await;
    let head = frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(fields));
    peer.send(head).await;
    outcome(&mut peer, stream).await
}

const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_refused_request_leaves_a_record_and_a_number() {
    let world = World::new("limits: {header_bytes: 4KiB}", "").await;
    let reset = [
        request(&[], &[("connection", b"close")]),
        request(&[], &[("te", b"gzip")]),
        request(&[(":path", b"")], &[]),
        request(&[(":method", b"")], &[]),
        request(&[(":scheme", b"")], &[]),
        request(&[], &[("content-length", b"5")]),
        request(&[], &[(":path", b"/twice")]),
    ];
    // What can't be decoded ends the connection: its tables may not be the client's any more.
    let undecodable = [
        request(&[], &[("X", b"a")]),
        request(&[], &[("x", b"a\0")]),
        request(&[], &[(":odd", b"a")]),
    ];
    for fields in reset.iter().chain(&undecodable) {
        for at in [At::First, At::Second] {
            let outcome = ask(&world, at, fields).await;
            assert_eq!(
                outcome,
                Outcome::Ended(PROTOCOL_ERROR),
                "{fields:?}, {at:?}"
            );
        }
    }
    let answered = [
        request(&[], &[("host", b"other.example")]),
        request(&[(":authority", b"")], &[]),
        request(&[(":authority", b"user@shop.example")], &[]),
    ];
    for fields in &answered {
        for at in [At::First, At::Second] {
            let outcome = ask(&world, at, fields).await;
            assert_eq!(
                outcome,
                Outcome::Answer(400, String::new()),
                "{fields:?}, {at:?}"
            );
        }
    }
    let value = [b'v'; 120];
    let large = request(&[], &[("x", &value[..]); 40]);
    for at in [At::First, At::Second] {
        // The status is not one of HPACK's static table.
        let outcome = ask(&world, at, &large).await;
        assert_eq!(outcome, Outcome::Answer(0, String::new()), "{at:?}");
    }
    tells(
        &world,
        &[
            ("authority", 400, 6),
            ("connection_error", 0, 6),
            ("header_bytes", 431, 2),
            ("malformed", 0, 14),
        ],
    )
    .await;
    // Whoever is served has its usual record.
    let served = world.edge.access_log();
    let served = served
        .iter()
        .filter(|record| record["path"] == "/good")
        .count();
    assert_eq!(served, reset.len() + undecodable.len() + answered.len() + 1);
}

/// Among requests that are served, on one connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_one_that_is_refused_is_told_from_those_beside_it() {
    let world = World::new("limits: {streams: 2}", "").await;
    let (mut peer, _) = reach(&world, At::First).await;
    let good = request(&[(":path", b"/good")], &[]);
    let bad = request(&[], &[("connection", b"close")]);
    let head = |stream, fields: &[Field<'_>]| {
        frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(fields))
    };
    // One after the other: more than two at once are refused for that.
    for stream in (1..40).step_by(4) {
        peer.send([head(stream, &bad), head(stream + 2, &good)].concat())
            .await;
        assert_eq!(
            outcome(&mut peer, stream + 2).await,
            Outcome::Answer(200, "ok".into())
        );
    }
    let waits = request(&[(":method", b"POST"), (":path", b"/good")], &[]);
    let open = |stream| frame(HEADERS, END_HEADERS, stream, &block(&waits));
    peer.send([open(41), open(43), head(45, &good)].concat())
        .await;
    assert_eq!(outcome(&mut peer, 45).await, Outcome::Ended(REFUSED_STREAM));
    peer.send(
        [
            frame(DATA, END_STREAM, 41, b""),
            frame(DATA, END_STREAM, 43, b""),
        ]
        .concat(),
    )
    .await;
    tells(&world, &[("malformed", 0, 10), ("streams", 0, 1)]).await;
    wait_until("the others are told as served", WITHIN, async || {
        let log = world.edge.access_log();
        let served = log
            .iter()
            .filter(|record| record["path"] == "/good" && record["status"] == 200);
        match served.count() {
            12 => Ok(()),
            count => Err(count),
        }
    })
    .await;
}

/// The head itself can't be read, so that nothing after it could be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_breaks_the_connection_is_told() {
    let world = World::new("", "").await;
    for at in [At::First, At::Second] {
        let (mut peer, stream) = reach(&world, at).await;
        // A field that no table has (RFC 7541 §2.3.3).
        peer.send(frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            stream,
            &[0xff, 0xff, 0x7f],
        ))
        .await;
        assert!(
            matches!(outcome(&mut peer, stream).await, Outcome::Ended(1..)),
            "{at:?}"
        );
    }
    tells(&world, &[("connection_error", 0, 2)]).await;
}

/// A head that was good, and a body that is not what it announced: the request is known by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_another_length_than_announced_is_told_with_its_request() {
    let world = World::new("", "").await;
    for (number, octets) in ["four", "longer than five"].into_iter().enumerate() {
        let path = format!("/other-{number}");
        let (mut peer, stream) = reach(&world, At::First).await;
        let fields = request(
            &[(":method", b"POST"), (":path", path.as_bytes())],
            &[("content-length", b"5")],
        );
        peer.send(frame(HEADERS, END_HEADERS, stream, &block(&fields)))
            .await;
        wait_until("the origin has the head", WITHIN, async || {
            let seen = world.seen.text();
            if seen.contains(&path) {
                Ok(())
            } else {
                Err(seen)
            }
        })
        .await;
        peer.send(frame(DATA, END_STREAM, stream, octets.as_bytes()))
            .await;
        assert_eq!(
            outcome(&mut peer, stream).await,
            Outcome::Ended(PROTOCOL_ERROR)
        );
        let record = wait_until("the record is written", WITHIN, async || {
            let log = world.edge.access_log();
            log.iter()
                .find(|record| record["path"] == path.as_str())
                .cloned()
                .ok_or_else(|| format!("{log:#?}"))
        })
        .await;
        assert_eq!(record["error"], "malformed_body", "{record}");
        assert_eq!(record["host"], HOST, "{record}");
    }
    assert_eq!(untaken(&world), Vec::<Value>::new());
}
