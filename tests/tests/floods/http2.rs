//! Floods and stalls over HTTP/2.

use crate::attacked::{Attacked, HOST, LARGE, SOON};
use latencify_tests::{
    Client, Protocol, body,
    frames::{
        ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, End, GOAWAY, HEADERS,
        PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame, get, post, tls,
    },
    wait_until,
};
use std::time::Duration;
use tokio::time::timeout;

/// The newest field of the dynamic table, named by one octet (RFC 7541 §6.1).
const INDEXED_62: u8 = 0xbe;
const ATTACKER: &str = "127.10.0.1";
/// Windows of streams that nothing fills (RFC 9113 §6.5.2).
const WIDE: [u8; 6] = [0, 4, 0x7f, 0, 0, 0];

/// A flood of what `next` gives, number by number, is ended for that reason.
async fn check(reason: &str, next: impl FnMut(u32) -> Vec<u8>) {
    check_with("control_frames: 100, resets: 20", reason, next).await;
}

async fn check_with(limits: &str, reason: &str, next: impl FnMut(u32) -> Vec<u8>) {
    let attacked = Attacked::with(limits).await;
    let raw = attacked.raw(ATTACKER, &[]).await;
    let end = raw.flood(next).await;
    assert_eq!(
        end,
        End {
            goaway: Some(ENHANCE_YOUR_CALM)
        },
        "{reason}"
    );
    attacked.counted_ended(reason, 1.0).await;
    // Whoever comes again is served again, until the next flood.
    let mut again = attacked.raw(ATTACKER, &[]).await;
    again.send(&get(1, HOST, "/")).await.unwrap();
    again.reader.wait_for(HEADERS, 1).await;
    attacked.over().await;
}

fn odd(number: u32) -> u32 {
    number * 2 + 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_pings_is_ended() {
    check("ping", |_| frame(PING, 0, 0, &[0; 8])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_settings_is_ended() {
    check("settings", |_| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 1, 0])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_priorities_is_ended() {
    check("priority", |number| {
        frame(PRIORITY, 0, odd(number % 1_000), &[0, 0, 0, 0, 1])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_window_updates_is_ended() {
    check("window_update", |_| {
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_empty_data_is_ended() {
    check("empty_frames", |number| match number {
        0 => post(1, HOST, "/echo"),
        _ => frame(DATA, 0, 1, &[]),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_unknown_frames_is_ended() {
    check("unknown_frames", |_| frame(0xfa, 0, 0, &[7; 10])).await;
}

/// CVE-2024-27316 and its kin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_continuations_is_ended() {
    check("continuation", |number| match number {
        0 => frame(HEADERS, 0, 1, &block(2, HOST, "/")),
        _ => frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b"),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_tiny_data_is_ended() {
    check_with("streams: 10", "small_frames", |number| match number {
        0 => post(1, HOST, "/echo"),
        _ => frame(DATA, 0, 1, b"x"),
    })
    .await;
}

/// CVE-2023-44487.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rapid_resets_are_ended() {
    check("resets", |number| {
        let stream = odd(number);
        [
            get(stream, HOST, "/"),
            frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]),
        ]
        .concat()
    })
    .await;
}

/// CVE-2025-8671: the client breaks its own requests, so that it is we who reset them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resets_that_a_client_provokes_are_ended() {
    check("resets", |number| {
        let stream = odd(number);
        // More window than there can be: an error of the stream (RFC 9113 §6.9.1).
        let overflow = frame(WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff]);
        [post(stream, HOST, "/echo"), overflow].concat()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_beyond_the_streams_are_refused_and_then_the_connection() {
    check_with("streams: 4, resets: 20", "streams", |number| {
        post(odd(number), HOST, "/echo")
    })
    .await;
}

/// The same number as over HTTP/1, where `framing` attacks it; but a cookie may come in pieces.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_and_targets_are_bounded() {
    let attacked = Attacked::with("headers: 20, uri_bytes: 1KiB").await;
    let client = Client::at(ATTACKER);
    let https = attacked.edge.https();
    let mut connection = client
        .connect_tls(https, HOST, &attacked.authority, Protocol::Http2)
        .await
        .unwrap();
    for (name, count, path, status) in [
        ("x-a", 15, "/".to_owned(), 200),
        ("x-a", 30, "/".to_owned(), 431),
        ("cookie", 100, "/".to_owned(), 200),
        ("x-a", 1, format!("/{}", "a".repeat(900)), 200),
        ("x-a", 1, format!("/{}", "a".repeat(1_100)), 414),
    ] {
        let mut request = Client::request("GET", HOST, &path);
        for number in 0..count {
            request = request.header(name, format!("a={number}"));
        }
        let request = request.body(body::empty()).unwrap();
        let reply = connection.send(request).await.unwrap();
        assert_eq!(
            reply.status.as_u16(),
            status,
            "{count} × {name}, {}",
            path.len()
        );
    }
    attacked.over().await;
}

/// A few octets that name the same large field again and again.
fn bomb(times: usize) -> Vec<u8> {
    let mut bomb = block(2, HOST, "/");
    // Literal with incremental indexing: a name of one octet, a value of 2000.
    bomb.extend([0x40, 1, b'a', 0x7f, 0xd1, 0x0e]);
    bomb.extend([b'b'; 2_000]);
    bomb.extend(vec![INDEXED_62; times]);
    frame(HEADERS, END_HEADERS | 1, 1, &bomb)
}

/// Not by what is stored: of what is small on the wire, only its record and its number tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compression_bomb_is_answered_by_431() {
    let attacked = Attacked::with("header_bytes: 16KiB, uri_bytes: 8KiB").await;
    let mut raw = attacked.raw(ATTACKER, &[]).await;
    raw.send(&bomb(10)).await.unwrap();
    raw.reader.wait_for(HEADERS, 1).await;
    let refused = "latencify_gateway_http2_requests_refused_total{reason=\"header_bytes\"}";
    attacked.counted(refused, 1.0).await;
    wait_until("its record tells why", SOON, async || {
        let records = attacked.edge.access_log();
        let of_attacker: Vec<_> = (records.iter())
            .filter(|record| record["client"] == ATTACKER)
            .collect();
        match of_attacker.as_slice() {
            [record] if record["status"] == 431 && record["error"] == "header_bytes" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(attacked.origin.requests_for("/"), 1, "only the bystander's");
    attacked.over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compression_bomb_that_is_far_too_large_ends_its_connection() {
    let attacked = Attacked::with("header_bytes: 16KiB, uri_bytes: 8KiB").await;
    let mut raw = attacked.raw(ATTACKER, &[]).await;
    raw.send(&bomb(300)).await.unwrap();
    let end = timeout(SOON, raw.reader.end()).await.expect("it is ended");
    assert_eq!(end.goaway, Some(ENHANCE_YOUR_CALM));
    attacked.counted_ended("header_bytes", 1.0).await;
    assert_eq!(attacked.origin.requests_for("/"), 1, "only the bystander's");
    attacked.over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preface_or_head_that_never_ends_is_ended() {
    let attacked = Attacked::with("header_time: 3s").await;
    let mut half = attacked.raw(ATTACKER, &[]).await;
    half.send(&frame(HEADERS, 0, 1, &block(2, HOST, "/")))
        .await
        .unwrap();
    let end = timeout(SOON, half.reader.end()).await.expect("it is ended");
    assert_eq!(end.goaway, Some(ENHANCE_YOUR_CALM));
    attacked.counted_ended("header_time", 1.0).await;

    let silent = tls(
        attacked.edge.https(),
        attacked.authority.client(&[b"h2"]),
        HOST,
        ATTACKER,
    )
    .await
    .unwrap();
    crate::slow::ends(silent).await;
    attacked.counted_ended("header_time", 2.0).await;
    attacked.over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_ends_its_request_alone() {
    let attacked = Attacked::with("body_grace: 1s").await;
    let mut raw = attacked.raw(ATTACKER, &[]).await;
    raw.send(&post(1, HOST, "/echo")).await.unwrap();
    raw.send(&frame(DATA, 0, 1, b"a little")).await.unwrap();
    let reset = raw.reader.wait_for(RST_STREAM, 1).await;
    assert_eq!(reset.number(0), ENHANCE_YOUR_CALM);
    let metric = "latencify_gateway_streams_ended_total{reason=\"body_rate\"}";
    attacked.counted(metric, 1.0).await;
    // The connection goes on.
    raw.send(&get(3, HOST, "/")).await.unwrap();
    raw.reader.wait_for(HEADERS, 3).await;
    attacked.over().await;
}

/// Opens requests for something large and never gives a window to send it by.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_that_are_not_taken_end_and_hold_little_memory() {
    let attacked = Attacked::with("send_grace: 2s").await;
    let stored = attacked.edge.get(HOST, "/large").await;
    assert_eq!(stored.body.len(), LARGE);
    let before = attacked.edge.resident_bytes();
    let no_window = [0, 4, 0, 0, 0, 0];
    let mut raw = attacked.raw(ATTACKER, &no_window).await;
    for number in 0..100 {
        raw.send(&get(odd(number), HOST, "/large")).await.unwrap();
    }
    let mut resets = 0;
    let mut most = before;
    while resets < 100 {
        let frame = timeout(SOON, raw.reader.next())
            .await
            .expect("all are reset")
            .expect("the connection goes on");
        resets += usize::from(frame.kind == RST_STREAM);
        most = most.max(attacked.edge.resident_bytes());
    }
    // A copy of the object for each would be 3,200 MiB.
    let grown = most.saturating_sub(before);
    assert!(grown < 64 << 20, "grown by {} KiB", grown >> 10);
    let metric = "latencify_gateway_streams_ended_total{reason=\"send_rate\"}";
    attacked.counted(metric, 100.0).await;
    attacked.over().await;
}

/// Takes what the connection's window lets through, and then grants a single octet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_of_single_octets_for_the_connection_ends_responses() {
    /// RFC 9113 §6.9.2.
    const WINDOW: usize = 65_535;
    let attacked = Attacked::with("send_grace: 8s").await;
    let mut raw = attacked.raw(ATTACKER, &WIDE).await;
    for number in 0..3 {
        raw.send(&get(odd(number), HOST, "/large")).await.unwrap();
    }
    let mut brought = 0;
    while brought < WINDOW {
        let frame = raw.reader.next().await.expect("the connection goes on");
        brought += if frame.kind == DATA {
            frame.payload.len()
        } else {
            0
        };
    }
    raw.send(&frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]))
        .await
        .unwrap();
    let mut resets = 0;
    while resets < 3 {
        let frame = timeout(SOON, raw.reader.next())
            .await
            .expect("all are reset")
            .expect("the connection goes on");
        resets += usize::from(frame.kind == RST_STREAM);
        brought += if frame.kind == DATA {
            frame.payload.len()
        } else {
            0
        };
    }
    assert_eq!(brought, WINDOW + 1, "it is not kept back");
    let metric = "latencify_gateway_streams_ended_total{reason=\"send_rate\"}";
    attacked.counted(metric, 3.0).await;
    attacked.over().await;
}

/// Stops in the middle of a frame, so that nothing can be told to the library behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_frame_keeps_no_response() {
    let attacked = Attacked::with("send_grace: 2s").await;
    let mut raw = attacked.raw(ATTACKER, &WIDE).await;
    let octets = [
        frame(WINDOW_UPDATE, 0, 0, &100_000_u32.to_be_bytes()),
        get(1, HOST, "/large"),
        frame(PING, 0, 0, &[0; 8])[..9].to_vec(),
    ]
    .concat();
    raw.send(&octets).await.unwrap();
    let end = timeout(SOON, raw.reader.end()).await.expect("it is ended");
    assert_eq!(end.goaway, Some(ENHANCE_YOUR_CALM));
    attacked.counted_ended("send_rate", 1.0).await;
    attacked.over().await;
}

/// As many fields as a list of the size that the policy lets come can have, and more than a map has room for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_very_many_fields_is_answered_by_431() {
    let attacked = Attacked::with("header_bytes: 1MiB").await;
    let mut raw = attacked.raw(ATTACKER, &[]).await;
    let mut list = block(2, HOST, "/");
    list.extend(b"\x00\x01a\x01b".repeat(25_000));
    let mut octets = Vec::new();
    let pieces = list.chunks(16_384);
    for (number, piece) in pieces.clone().enumerate() {
        let (kind, flags) = if number == 0 {
            (HEADERS, END_STREAM)
        } else {
            (CONTINUATION, 0)
        };
        let is_last = number + 1 == pieces.len();
        let ends = if is_last { END_HEADERS } else { 0 };
        octets.extend(frame(kind, flags | ends, 1, piece));
    }
    raw.send(&octets).await.unwrap();
    raw.reader.wait_for(HEADERS, 1).await;
    wait_until("its record says 431", SOON, async || {
        let records = attacked.edge.access_log();
        match records.iter().find(|record| record["client"] == ATTACKER) {
            Some(record) if record["status"] == 431 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    // The connection goes on.
    raw.send(&get(3, HOST, "/")).await.unwrap();
    raw.reader.wait_for(HEADERS, 3).await;
    attacked.over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_told_to_go() {
    let attacked = Attacked::with("idle: 1s").await;
    let mut raw = attacked.raw(ATTACKER, &[]).await;
    raw.send(&get(1, HOST, "/")).await.unwrap();
    let end = timeout(SOON, raw.reader.end()).await.expect("it is ended");
    assert_eq!(end.goaway, Some(0), "gracefully");
    attacked.counted_ended("idle", 1.0).await;
    attacked.over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_with_enough_requests_is_told_to_go_and_loses_none() {
    let attacked = Attacked::with("requests: 5").await;
    let mut raw = attacked.raw(ATTACKER, &[]).await;
    let mut answered = 0;
    for number in 0..5 {
        raw.send(&get(odd(number), HOST, "/")).await.unwrap();
    }
    let all = async {
        while let Some(got) = raw.reader.next().await {
            answered += u32::from(got.kind == HEADERS);
            if got.kind == GOAWAY {
                assert_eq!(got.number(4), 0, "gracefully");
            }
            if got.kind == PING && got.flags & ACK == 0 {
                // A failure is the end, which is read next.
                let _ = raw.send(&frame(PING, ACK, 0, &got.payload)).await;
            }
        }
    };
    timeout(SOON + Duration::from_secs(5), all)
        .await
        .expect("it is ended");
    assert_eq!(answered, 5);
    attacked.counted_ended("requests", 1.0).await;
    attacked.over().await;
}
