//! Clients of HTTP/2 that do nothing wrong, though it looks like a flood; and what those that do may not bring about.

use crate::attacked::{Attacked, HOST, LARGE, SOON};
use latencify_tests::frames::{
    ACK, DATA, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, WINDOW_UPDATE, frame, get, post,
};
use std::time::{Duration, Instant};
use tokio::time::timeout;

const ATTACKER: &str = "127.10.0.1";

fn odd(number: u32) -> u32 {
    number * 2 + 1
}

/// As Go's net/http does: the windows of stream and connection are given back for every 4 KiB that are read. And as
/// gRPC does: a PING for what came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_gives_back_each_4_kib_gets_all() {
    const READ: usize = 4 << 10;
    let attacked = Attacked::with("control_frames: 100").await;
    let mut raw = attacked.raw(ATTACKER, &[]).await;
    raw.send(&get(1, HOST, "/large")).await.unwrap();
    let (mut taken, mut given) = (0, 0);
    let all = async {
        while taken < LARGE {
            let got = raw.reader.next().await.expect("the connection goes on");
            assert_ne!(got.kind, GOAWAY, "after {taken}");
            if got.kind != DATA {
                continue;
            }
            taken += got.payload.len();
            let mut answer = frame(PING, 0, 0, &[0; 8]);
            while given + READ <= taken {
                given += READ;
                for stream in [0, 1] {
                    answer.extend(frame(WINDOW_UPDATE, 0, stream, &[0, 0, 0x10, 0]));
                }
            }
            raw.send(&answer).await.unwrap();
            if got.flags & END_STREAM != 0 {
                break;
            }
        }
    };
    timeout(SOON * 2, all).await.expect("all of it comes");
    assert_eq!(taken, LARGE);
    attacked.over().await;
}

/// Who scrolls over a map gives up much of what it had asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_gives_up_many_answers_goes_on() {
    let attacked = Attacked::with("resets: 20").await;
    assert_eq!(attacked.edge.get(HOST, "/large").await.status, 200);
    let mut raw = attacked.raw(ATTACKER, &[]).await;
    for number in 0..200 {
        let stream = odd(number);
        raw.send(&get(stream, HOST, "/large")).await.unwrap();
        raw.reader.wait_for(HEADERS, stream).await;
        let reset = frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
        raw.send(&reset).await.unwrap();
    }
    attacked.over().await;
}

/// Asks and asks, and answers no PING: how many requests it gets through until the connection ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_hear_that_it_is_to_go_is_ended() {
    let attacked = Attacked::with("requests: 3, streams: 2").await;
    let mut raw = attacked.raw(ATTACKER, &[]).await;
    let mut answered = 0;
    let asking = async {
        for number in 0.. {
            let stream = odd(number);
            if raw.send(&get(stream, HOST, "/")).await.is_err() {
                return;
            }
            loop {
                match raw.reader.next().await {
                    None => return,
                    Some(got) if got.kind == HEADERS && got.stream == stream => break,
                    Some(_) => {}
                }
            }
            answered += 1;
        }
    };
    timeout(SOON, asking).await.expect("it is ended");
    // Three, and those that may be on their way when the word reaches the client.
    assert!(answered <= 7, "{answered}");
    attacked.counted_ended("goaway_ignored", 1.0).await;
    attacked.over().await;
}

/// What clients do wrong is counted, and not written down each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attack_does_not_fill_the_log() {
    const SAID_MAX: usize = 16 << 10;
    let attacked = Attacked::with("streams: 4").await;
    let mut connections: usize = 0;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        let kind = connections % 3;
        let raw = attacked.raw(ATTACKER, &[]).await;
        raw.flood(|number| match kind {
            // An answer to a PING that nobody sent.
            0 => frame(PING, ACK, 0, &[7; 8]),
            1 => post(odd(number), HOST, "/echo"),
            _ => {
                let reset = frame(RST_STREAM, 0, odd(number), &[0, 0, 0, 8]);
                [get(odd(number), HOST, "/"), reset].concat()
            }
        })
        .await;
        connections += 1;
    }
    let mut edge = attacked.over().await;
    let said = edge.process().said();
    let lines = said.lines().count();
    assert!(
        said.len() < SAID_MAX,
        "{connections} connections: {} octets in {lines} lines, the last: {:?}",
        said.len(),
        said.lines().last()
    );
}
