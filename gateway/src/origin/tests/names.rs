//! Names of origins, against a DNS server on loopback.

use super::*;
use parking_lot::Mutex;
use std::net::Ipv4Addr;
use tokio::net::UdpSocket;

/// A DNS server that knows one name. It answers A from its zone and AAAA with nothing.
async fn dns_server(zone: Arc<Mutex<Option<Vec<Ipv4Addr>>>>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 512];
        loop {
            let (length, from) = socket.recv_from(&mut query).await.unwrap();
            let answer = dns_answer(&query[..length], zone.lock().as_deref());
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    address
}

/// RFC 1035 §4: the header, the question again, and the answers with a TTL of 0; no zone: SERVFAIL.
fn dns_answer(query: &[u8], zone: Option<&[Ipv4Addr]>) -> Vec<u8> {
    let name_end = 12 + query[12..].iter().position(|&byte| byte == 0).unwrap() + 1;
    let question = &query[12..name_end + 4];
    let addresses = if question[question.len() - 3] == 1 {
        zone.unwrap_or_default()
    } else {
        &[]
    };
    let code = if zone.is_some() { 0 } else { 2 };
    let mut answer = vec![
        query[0],
        query[1],
        0x81,
        0x80 | code,
        0,
        1,
        0,
        addresses.len() as u8,
        0,
        0,
        0,
        0,
    ];
    answer.extend_from_slice(question);
    for address in addresses {
        answer.extend_from_slice(&[0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend_from_slice(&address.octets());
    }
    answer
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_followed_and_failures_keep_the_last_good_one() {
    let zone = Arc::new(Mutex::new(Some(vec![
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::new(127, 0, 0, 2),
    ])));
    let network = Network::new(Some(dns_server(zone.clone()).await));
    let origins = build(
        [
            origin("a", "http://origin.test:8080"),
            origin("b", "http://127.0.0.9:80"),
        ],
        None,
    );
    origins.start(&network, &Handle::current());
    let next = async || {
        address_of(&origins.peer(FIRST, &Timeouts::default()).await.unwrap())
            .unwrap()
            .to_string()
    };
    let mut turns = [next().await, next().await];
    turns.sort();
    assert_eq!(
        turns,
        ["127.0.0.1:8080", "127.0.0.2:8080"],
        "the first request waits for the answer; then turns"
    );

    *zone.lock() = Some(vec![Ipv4Addr::new(127, 0, 0, 3)]);
    until("the new address", || origins.snapshot()[0].addresses == 1).await;
    assert_eq!(next().await, "127.0.0.3:8080");

    *zone.lock() = None;
    until("a failure is counted", || {
        origins.snapshot()[0].resolve_failures > 0
    })
    .await;
    assert_eq!(next().await, "127.0.0.3:8080");
    assert_eq!(origins.health(FIRST), Health::Healthy);
}

#[tokio::test]
async fn a_name_without_any_address_is_unresolved() {
    let network = Network::new(Some(
        dns_server(Arc::new(Mutex::new(Some(Vec::new())))).await,
    ));
    let origins = build([origin("a", "http://origin.test:8080")], None);
    assert_eq!(
        origins.health(FIRST),
        Health::Healthy,
        "nobody has asked yet"
    );
    origins.start(&network, &Handle::current());
    let peer = origins.peer(FIRST, &Timeouts::default()).await;
    assert!(matches!(peer, Err(OriginError::Unresolved { .. })));
    assert_eq!(origins.health(FIRST), Health::Unresolved);
}

#[tokio::test]
async fn localhost_needs_no_dns_server() {
    // Nobody answers there.
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let network = Network::new(Some(silent.local_addr().unwrap()));
    let origins = build([origin("a", "http://localhost:8080")], None);
    origins.start(&network, &Handle::current());
    let peer = origins.peer(FIRST, &Timeouts::default()).await.unwrap();
    assert!(address_of(&peer).unwrap().ip().is_loopback());
}
