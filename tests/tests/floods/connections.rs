//! Connections in all and of one address, and the file descriptors that they take.

use crate::attacked::{Attacked, HOST, SOON, counted, options};
use latencify_tests::{Client, Edge, Origin, reply, wait_until};
use std::{collections::BTreeSet, process::Command};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n";

/// Whether a request over the connection is answered; false: it was closed instead.
async fn is_served(stream: &mut TcpStream) -> bool {
    let answer = async {
        if stream.write_all(GET).await.is_err() {
            return false;
        }
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            match stream.read_u8().await {
                Ok(octet) => answer.push(octet),
                Err(_) => return false,
            }
        }
        answer.starts_with(b"HTTP/1.1 200")
    };
    timeout(SOON, answer)
        .await
        .expect("an answer or an end, not silence")
}

/// A connection that is let in; none: it was closed at once.
async fn enter(edge: &Edge, source: &str) -> Option<TcpStream> {
    // Setting an option on a connection that is closed already fails, too.
    let mut stream = Client::at(source).tcp(edge.http()).await.ok()?;
    is_served(&mut stream).await.then_some(stream)
}

/// Opens so many connections from an address; those that were let in.
async fn open(edge: &Edge, source: &str, count: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..count {
        if let Some(stream) = enter(edge, source).await {
            open.push(stream);
        }
    }
    open
}

fn refused(reason: &str) -> String {
    format!("latencify_gateway_connections_refused_total{{reason=\"{reason}\"}}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_has_its_share_and_the_bystander_goes_on() {
    let attacked = Attacked::with("connections_per_address: 20").await;
    let held = open(&attacked.edge, "127.10.0.1", 60).await;
    assert_eq!(held.len(), 20);
    attacked
        .counted(&refused("connections_per_address"), 40.0)
        .await;
    // What is given back may be taken again, by a new policy more of it.
    drop(held);
    let again = open(&attacked.edge, "127.10.0.1", 1).await;
    assert!(again.len() <= 1);
    wait_until("the share is free again", SOON, async || {
        enter(&attacked.edge, "127.10.0.1").await.ok_or("refused")
    })
    .await;
    attacked.over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limits_change_with_the_policy_for_new_connections() {
    let (options, _authority, origin) = options("connections_per_address: 5").await;
    let edge = options.start().await;
    let held = open(&edge, "127.10.0.1", 8).await;
    assert_eq!(held.len(), 5);
    edge.write_policy(&format!(
        "version: 1\nedge: {{limits: {{connections_per_address: 9}}}}\n\
         origins: {{app: {{url: '{}'}}}}\n\
         sites: {{main: {{hosts: ['*'], routes: [{{origins: [app], cache: true}}]}}}}\n",
        origin.url()
    ));
    wait_until("one more is let in", SOON, async || {
        enter(&edge, "127.10.0.1").await.ok_or("refused")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_together_have_theirs_and_over_it_nobody_hangs() {
    let (options, _authority, _origin) =
        options("connections: 30, connections_per_address: 30").await;
    let edge = options.start().await;
    let mut held = open(&edge, "127.10.0.1", 15).await;
    held.extend(open(&edge, "127.10.0.2", 15).await);
    assert_eq!(held.len(), 30);
    assert!(open(&edge, "127.10.0.3", 20).await.is_empty());
    counted(&edge, &refused("connections"), 20.0).await;
    // The private address is nobody's flood.
    assert_eq!(
        Client::new()
            .get(edge.admin(), "admin", "/readyz")
            .await
            .status,
        200
    );
    held.truncate(29);
    wait_until("the place is free again", SOON, async || {
        enter(&edge, "127.10.0.3").await.ok_or("refused")
    })
    .await;
    assert!(edge.metric("latencify_gateway_connections_open").await >= 29.0);
}

/// Sets how many descriptors a running process may have.
pub fn set_descriptors(edge: &Edge, most: u32) {
    let status = Command::new("prlimit")
        .args([
            "--pid",
            &edge.pid().to_string(),
            &format!("--nofile={most}:"),
        ])
        .status()
        .expect("prlimit is there (util-linux)");
    assert!(status.success());
}

/// Leaves an edge without descriptors for as long as what is returned is held, and [`set_descriptors`] gives it no more.
pub async fn exhaust(edge: &Edge) -> Vec<TcpStream> {
    set_descriptors(edge, first_free_descriptor(edge));
    // Those that other connections give back are still to be taken.
    let (mut held, mut in_vain) = (Vec::new(), 0);
    while in_vain < 10 {
        match enter(edge, "127.10.0.9").await {
            Some(stream) => {
                in_vain = 0;
                held.push(stream);
            }
            None => in_vain += 1,
        }
        assert!(held.len() < 200, "descriptors never end");
    }
    held
}

fn first_free_descriptor(edge: &Edge) -> u32 {
    let open = std::fs::read_dir(format!("/proc/{}/fd", edge.pid())).unwrap();
    let open: BTreeSet<u32> = open
        .map(|entry| {
            entry
                .unwrap()
                .file_name()
                .to_string_lossy()
                .parse()
                .unwrap()
        })
        .collect();
    (0..u32::MAX).find(|number| !open.contains(number)).unwrap()
}

/// Processor time that the process has used, in ticks of 10 ms.
fn ticks(edge: &Edge) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", edge.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Behind a load balancer the client's address counts, and not the balancer's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_behind_a_proxy_has_its_share() {
    let origin = Origin::serve(|_| async { reply::text("hello").max_age(600).done() }).await;
    let edge = Edge::alone(&format!(
        "version: 1\nedge: {{proxy_protocol: {{from: [127.0.0.5/32]}}, limits: {{connections_per_address: 5}}}}\n\
         origins: {{app: {{url: '{}'}}}}\n\
         sites: {{main: {{hosts: ['*'], routes: [{{origins: [app], cache: true}}]}}}}\n",
        origin.url()
    ))
    .start()
    .await;
    let mut held = Vec::new();
    for client in ["203.0.113.1", "203.0.113.2"] {
        for _ in 0..12 {
            let mut stream = Client::at("127.0.0.5").tcp(edge.http()).await.unwrap();
            let header = format!("PROXY TCP4 {client} 192.0.2.1 1000 80\r\n");
            if stream.write_all(header.as_bytes()).await.is_ok() && is_served(&mut stream).await {
                held.push(stream);
            }
        }
    }
    assert_eq!(held.len(), 10);
    counted(&edge, &refused("connections_per_address"), 14.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_connections_are_closed_and_it_is_told_once() {
    let (options, _authority, _origin) = options("").await;
    let mut edge = options.start().await;
    assert_eq!(edge.get(HOST, "/").await.status, 200);
    let mut held = open(&edge, "127.10.0.1", 3).await;
    let _rest = exhaust(&edge).await;

    let before = ticks(&edge);
    for number in 0..50 {
        let entered = enter(&edge, "127.10.0.2").await;
        assert!(entered.is_none(), "connection {number}");
    }
    let used = ticks(&edge) - before;
    // A loop that spins uses all the time that this took; 50 connections use next to none.
    assert!(used < 100, "{used} ticks");
    // Who is connected is served all the while.
    for stream in &mut held {
        assert!(is_served(stream).await);
    }
    set_descriptors(&edge, 20_000);
    assert_eq!(edge.get(HOST, "/").await.status, 200);
    counted(&edge, &refused("out_of_descriptors"), 50.0).await;
    edge.process()
        .says("there are file descriptors again")
        .await;
    let said = edge.process().said();
    assert_eq!(
        said.matches("no file descriptor is left").count(),
        1,
        "{said}"
    );
}
