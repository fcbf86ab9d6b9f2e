//! Whoever reaches control and shows no token takes no place from those who do.

use super::SOON;
use latencify_conf::api::EdgeState;
use latencify_tests::{
    Client, Control, Edge, Origin,
    frames::{ACK, PING, SETTINGS, frame},
    policy::one_route,
    reply, skip, wait_until,
};
use rustix::process::{Resource, getrlimit};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Connections that one address of control takes at a time.
const PLACES: usize = 4_096;
/// More than these.
const SILENT: usize = PLACES + 200;
/// Connections of one address of clients.
const EACH: usize = 1_000;
/// So many make way at least when there are more than places.
const CROWDED_OUT: u64 = 100;
/// What the test and control need besides.
const BESIDES: u64 = 600;
/// Long enough for every limit of control on a machine where others build.
const ENDED: Duration = Duration::from_mins(2);

/// Connections that say nothing, from several addresses: until control is seen to have ended so many of them to make room.
async fn crowd(control: &Control, address: &str, server: SocketAddr) -> Vec<TcpStream> {
    let mut sockets = Vec::with_capacity(SILENT);
    wait_until("every place was taken", SOON, async || {
        // If it takes so long that the first of them are ended before the last come, the next time is quicker.
        sockets.clear();
        for number in 0..SILENT {
            let client = Client::at(&format!("127.66.0.{}", 1 + number / EACH));
            sockets.push(client.tcp(server).await.unwrap());
        }
        ended(control, address, "crowded_out", CROWDED_OUT).await
    })
    .await;
    sockets
}

async fn metric(control: &Control, line: &str) -> Result<u64, String> {
    let metrics = Client::new()
        .get(control.admin(), "admin", "/metrics")
        .await;
    let value = metrics
        .text()
        .lines()
        .find_map(|said| said.strip_prefix(line));
    let count = value.and_then(|value| value.trim().parse().ok());
    count.ok_or_else(|| format!("{line}: {}", metrics.text()))
}

/// Whether control has ended so many connections of that address for that reason.
async fn ended(control: &Control, address: &str, reason: &str, least: u64) -> Result<(), String> {
    let line = format!(
        "latencify_control_connections_ended_total{{address=\"{address}\",reason=\"{reason}\"}}"
    );
    let count = metric(control, &line).await?;
    if count >= least {
        Ok(())
    } else {
        Err(format!("{line} {count}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_sockets_in_every_place_keep_no_edge_and_no_operator_out() {
    let needed = SILENT as u64 + BESIDES;
    if getrlimit(Resource::Nofile)
        .current
        .is_some_and(|limit| limit < needed)
    {
        skip!("fewer than {needed} file descriptors: ulimit -n");
    }
    let origin = Origin::serve(|_| async { reply::text("x").max_age(60).done() }).await;
    let mut control = Control::embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let [paris] = control.edges(["paris"]).await;

    let sockets = crowd(&control, "fleet", control.fleet()).await;
    let tokyo = Edge::member(&control, "tokyo").start().await;
    control.everywhere(2).await;
    control.process().says("way for newer ones").await;
    drop(sockets);

    let sockets = crowd(&control, "api", control.api()).await;
    let purge = control
        .purge(vec![latencify_conf::api::PurgeTarget::All(true)])
        .await;
    assert!(control.receipt(&purge.id).await.complete);
    drop(sockets);

    // Who has shown a token was not touched.
    let roster = control.roster().await;
    assert!(
        roster
            .edges
            .iter()
            .all(|edge| edge.state == EdgeState::Connected),
        "{roster:#?}"
    );
    assert_eq!(paris.get("shop.example", "/").await.text(), "x");
    assert_eq!(tokyo.get("shop.example", "/").await.text(), "x");
}

/// Reads until the other side ends the connection, and answers PINGs meanwhile.
async fn live_until_ended(mut stream: TcpStream) -> std::io::Result<()> {
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return Ok(());
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await?;
        let (kind, flags) = (head[3], head[4]);
        if (kind == PING || kind == SETTINGS) && flags & ACK == 0 {
            let payload = if kind == PING { &payload[..] } else { &[] };
            // Whoever is ended already reads nothing.
            let _ = stream.write_all(&frame(kind, ACK, 0, payload)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_shows_no_token_is_ended_however_alive_it_is() {
    let control = Control::embedded().start().await;
    let preface = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &frame(SETTINGS, 0, 0, &[])[..],
    ]
    .concat();
    let half_a_preface = &preface[..10];
    let said: [&[u8]; 4] = [b"", b"GET / HT", half_a_preface, &preface];
    let clients = |address: SocketAddr| {
        said.map(|octets| async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(octets).await.unwrap();
            let end = timeout(ENDED, live_until_ended(stream)).await;
            assert!(
                end.is_ok(),
                "{:?}: it stays",
                String::from_utf8_lossy(octets)
            );
        })
    };
    let (api, fleet) = (clients(control.api()), clients(control.fleet()));
    futures::future::join_all(api.into_iter().chain(fleet)).await;
    wait_until("they are counted", SOON, async || {
        ended(&control, "api", "no_token", 4).await?;
        ended(&control, "fleet", "handshake", 4).await
    })
    .await;
}
