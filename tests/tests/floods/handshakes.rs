//! TLS handshakes, which cost an edge much and a client little.

use crate::attacked::{Attacked, HOST, SOON};
use latencify_tests::{
    Authority,
    frames::{HEADERS, Raw, get, tls},
    wait_until,
};
use std::{net::SocketAddr, sync::Arc};
use tokio::task::JoinSet;

/// Attackers at a time.
const AT_ONCE: u32 = 8;

fn refused(reason: &str) -> String {
    format!("latencify_gateway_connections_refused_total{{reason=\"{reason}\"}}")
}

/// Shakes hands from those addresses again and again, until it is dropped.
fn attack(attacked: &Attacked, sources: impl Fn(u32) -> String) -> JoinSet<()> {
    let (server, trust) = (attacked.edge.https(), attacked.authority.client(&[b"h2"]));
    (0..AT_ONCE)
        .map(|number| {
            let (source, trust) = (sources(number), trust.clone());
            async move {
                loop {
                    // Whether it is let in does not matter to it.
                    let _ = tls(server, trust.clone(), HOST, &source).await;
                }
            }
        })
        .collect()
}

/// Asks over a new connection from that address; whether it was answered.
async fn asks(server: SocketAddr, authority: &Authority, source: &str) -> Result<Raw, String> {
    let trust = Arc::clone(&authority.client(&[b"h2"]));
    let raw = Raw::connect(server, trust, HOST, source, &[]).await;
    let mut raw = raw.map_err(|error| error.to_string())?;
    raw.send(&get(1, HOST, "/"))
        .await
        .map_err(|error| error.to_string())?;
    raw.reader.wait_for(HEADERS, 1).await;
    Ok(raw)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_has_its_share_of_handshakes_and_others_theirs() {
    let attacked = Attacked::with("handshakes_per_address: 1").await;
    let server = attacked.edge.https();
    let mut before = asks(server, &attacked.authority, "127.10.0.1")
        .await
        .unwrap();
    let attackers = attack(&attacked, |_| "127.10.0.1".to_owned());
    attacked
        .counted(&refused("handshakes_per_address"), 50.0)
        .await;
    // Another is served, and so is who is connected.
    asks(server, &attacked.authority, "127.10.0.2")
        .await
        .unwrap();
    before.send(&get(3, HOST, "/")).await.unwrap();
    before.reader.wait_for(HEADERS, 3).await;
    drop(attackers);
    wait_until("the address is served again", SOON, async || {
        asks(server, &attacked.authority, "127.10.0.1").await
    })
    .await;
    attacked.over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_together_have_theirs_and_who_is_connected_goes_on() {
    let attacked = Attacked::with("handshakes: 4, handshakes_per_address: 4").await;
    let server = attacked.edge.https();
    let mut before = asks(server, &attacked.authority, "127.10.0.1")
        .await
        .unwrap();
    let attackers = attack(&attacked, |number| format!("127.10.0.{}", number + 2));
    attacked.counted(&refused("handshakes"), 50.0).await;
    before.send(&get(3, HOST, "/")).await.unwrap();
    before.reader.wait_for(HEADERS, 3).await;
    drop(attackers);
    wait_until("anybody is served again", SOON, async || {
        asks(server, &attacked.authority, "127.10.0.200").await
    })
    .await;
    attacked.over().await;
}
