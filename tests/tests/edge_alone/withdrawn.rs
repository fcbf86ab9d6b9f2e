//! Clients that read slowly can't hold the memory of all: what they read is evicted, and they lose the rest when it is needed.

use crate::hot::{HOT_ANSWERS, LONG_WAY, SOON};
use latencify_tests::{Edge, Origin, body, policy::one_route, reply, wait_until};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

const HOST: &str = "shop.example";
/// Four of them fill the memory; each is more than all buffers on the way together.
const LARGE: usize = 31 << 20;
const OTHER: usize = 12 << 20;

/// Asks for something large, and reads only the beginning.
async fn begins(edge: &Edge, path: &str, way: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut stream = socket.connect(edge.http()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{way}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    // Beyond the head.
    stream.read_exact(&mut [0; 4_096]).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_slow_readers_of_hot_hits_do_not_keep_others_from_being_stored() {
    others_are_stored_beside_four_slow_readers("").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_those_whose_hits_go_the_long_way() {
    others_are_stored_beside_four_slow_readers(LONG_WAY).await;
}

async fn others_are_stored_beside_four_slow_readers(way: &str) {
    let origin = Origin::serve(|call| async move {
        let length = if call.path().starts_with("/large") {
            LARGE
        } else {
            OTHER
        };
        reply::of(body::full(vec![b'x'; length]))
            .max_age(600)
            .done()
    })
    .await;
    // Their limit of time is not what ends them here.
    let limits = "edge: {limits: {send_grace: 10m}, ";
    let policy = one_route(&origin.url(), "cache: true").replace("edge: {", limits);
    let edge = Edge::alone(&policy)
        .flag("--cache-memory", "128MiB")
        .start()
        .await;
    let mut slow = Vec::new();
    for number in 0..4 {
        let path = format!("/large/{number}");
        assert_eq!(edge.get(HOST, &path).await.body.len(), LARGE);
        slow.push(begins(&edge, &path, way).await);
    }
    let hits = edge.metric(HOT_ANSWERS).await as usize;
    let hot = if way.is_empty() { slow.len() } else { 0 };
    assert_eq!(hits, hot, "all of them are hot, or none is");

    let mut number = 0;
    wait_until("others are stored and hit", SOON, async || {
        // Another one each time: what found no room is not tried again at once.
        number += 1;
        let path = format!("/other/{number}");
        assert_eq!(edge.get(HOST, &path).await.body.len(), OTHER);
        let again = edge.get(HOST, &path).await;
        let told = again.headers["cache-status"].to_str().unwrap();
        let is_hit = told.contains("; hit");
        is_hit.then_some(()).ok_or_else(|| told.to_owned())
    })
    .await;
    let metric = |name: &str| format!("latencify_gateway_{name}");
    let withdrawn = edge.metric(&metric("cache_withdrawn_total")).await;
    assert!(withdrawn >= 1.0, "{withdrawn}");
    let most = edge.metric(&metric("cache_bytes_max")).await;
    assert!(edge.metric(&metric("cache_bytes_peak")).await <= most);
    // Those who read on at last get the rest, or what was under way already.
    let reading = slow.into_iter().map(|mut stream| {
        tokio::spawn(async move {
            let mut rest = Vec::new();
            // A reset is an end too.
            let _ = stream.read_to_end(&mut rest).await;
        })
    });
    drop(reading.collect::<Vec<_>>());
    wait_until("it is told who lost what", SOON, async || {
        let log = edge.access_log();
        let cut = log.iter().find(|record| record["error"] == "withdrawn");
        let cut = cut.ok_or_else(|| format!("{log:?}"))?;
        assert_eq!(
            (&cut["status"], &cut["cache"]),
            (&200.into(), &"hit".into())
        );
        assert!(cut["bytes_out"].as_u64().unwrap() < LARGE as u64);
        let cuts = metric("requests_cut_total{cause=\"withdrawn\"}");
        assert!(edge.metric(&cuts).await >= 1.0);
        Ok::<_, String>(())
    })
    .await;
}
