//! The end of a process: nothing is closed under a client that may just be asking.

use super::{HOST, LONG, LONG_BYTES, SMALL, SMALL_BODY, SOON, edge, origin, speech::Line};
use latencify_tests::{
    Authority, Client, body,
    frames::{HEADERS, RST_STREAM, Raw, get},
    wait_until,
};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_served_once_more_and_told_to_close() {
    let (origin, authority) = (origin().await, Authority::new());
    let mut edge = edge(&origin, &authority).start().await;
    let mut lines = Vec::new();
    for is_used in [true, false] {
        let mut line = Line::new(Client::new().tcp(edge.http()).await.unwrap());
        if is_used {
            line.ask(HOST, SMALL).await.unwrap();
            let answer = line.head().await.unwrap();
            assert!(!answer.closes);
            line.body(answer, Duration::ZERO).await.unwrap();
        }
        lines.push(line);
    }
    // Accepted before the drain, though nothing was asked yet.
    let served = edge.get(HOST, SMALL).await;
    assert_eq!(served.status, 200);
    edge.process().signal("TERM");
    let ready = || {
        Client::request("GET", "admin", "/readyz")
            .body(body::empty())
            .unwrap()
    };
    let admin = edge.admin();
    wait_until("it drains", SOON, async || {
        match Client::new().send(admin, ready()).await {
            Ok(reply) if reply.status == 503 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    for mut line in lines {
        assert!(!line.is_closed());
        line.ask(HOST, SMALL).await.unwrap();
        let answer = line.head().await.unwrap();
        assert!(answer.status == 200 && answer.closes);
        assert_eq!(
            line.body(answer, Duration::ZERO).await.unwrap(),
            SMALL_BODY.as_bytes()
        );
    }
    // With the last of them it ends, long before the drain's time is over.
    let status = edge.process().ended(SOON).await;
    assert!(status.success() && edge.process().said().contains("drained"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_nothing_is_closed_when_the_time_is_over() {
    let (origin, authority) = (origin().await, Authority::new());
    let mut edge = edge(&origin, &authority)
        .flag("--drain-timeout", "1s")
        .start()
        .await;
    let mut line = Line::new(Client::new().tcp(edge.http()).await.unwrap());
    assert_eq!(edge.get(HOST, SMALL).await.status, 200);
    edge.process().signal("TERM");
    let status = edge.process().ended(SOON).await;
    assert!(status.success());
    assert!(line.is_closed());
    assert!(
        !edge.process().said().contains("cut off"),
        "{}",
        edge.process().last_words()
    );
}

/// Neither is read by its client, so that both are under way when the time is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cut_off_at_the_end_is_told_and_a_stream_is_reset() {
    const CANCEL: u32 = 8;
    let (origin, authority) = (origin().await, Authority::new());
    let mut edge = edge(&origin, &authority)
        .flag("--drain-timeout", "1s")
        .start()
        .await;
    let trust = authority.client(&[b"h2"]);
    let mut raw = Raw::connect(edge.https(), trust, HOST, "127.0.0.1", &[])
        .await
        .unwrap();
    raw.send(&get(1, HOST, LONG)).await.unwrap();
    raw.reader.wait_for(HEADERS, 1).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut line = Line::new(socket.connect(edge.http()).await.unwrap());
    line.ask(HOST, &format!("{LONG}?plain")).await.unwrap();
    assert_eq!(line.head().await.unwrap().status, 200);

    edge.process().signal("TERM");
    let reset = raw.reader.wait_for(RST_STREAM, 1).await;
    assert_eq!(reset.number(0), CANCEL);
    let status = edge.process().ended(SOON).await;
    assert!(status.success());
    assert!(
        edge.process().said().contains("cut off"),
        "{}",
        edge.process().last_words()
    );
    let records = edge.access_log();
    for protocol in ["HTTP/1.1", "HTTP/2"] {
        let record = records
            .iter()
            .find(|record| record["path"] == LONG && record["protocol"] == protocol)
            .unwrap_or_else(|| panic!("{protocol}: {records:#?}"));
        assert_eq!(record["error"], "drain_time", "{record}");
        assert_eq!(record["status"], 200, "{record}");
        let sent = record["bytes_out"].as_u64().unwrap();
        assert!(sent > 0 && sent < LONG_BYTES, "{record}");
    }
}
