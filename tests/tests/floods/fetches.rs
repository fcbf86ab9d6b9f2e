//! Requests that wait for origins which are silent: each holds a connection, and with it one of few ports. They are bounded by
//! client and in all; what needs no origin goes on.

use crate::attacked::{HOST, SOON, counted};
use futures::future::join_all;
use latencify_tests::{
    Authority, Cable, Client, Connection, Edge, Namespace, Origin, Protocol, Reply, body, reply,
    skip, wait_until,
};
use std::{future, process::Command, sync::Arc};
use tokio::{io::AsyncWriteExt as _, net::TcpSocket, sync::watch, task::JoinHandle};

const UNDER_WAY: &str = "latencify_gateway_origin_requests_under_way";
const ATTACKER: &str = "127.10.0.1";
const SOMEBODY: &str = "127.20.0.1";

/// One read of the edge's takes as much, with its head.
const MUCH: usize = 15_000;

/// An edge before an origin that keeps `/held/…` waiting until it is told.
struct Stand {
    edge: Edge,
    origin: Origin,
    authority: Authority,
    held: Arc<watch::Sender<bool>>,
}

impl Stand {
    async fn with(limits: &str) -> Self {
        let held = Arc::new(watch::Sender::new(true));
        let gate = held.clone();
        let origin = Origin::serve(move |call| {
            let gate = gate.clone();
            async move {
                if call.path().starts_with("/held") {
                    let _ = gate.subscribe().wait_for(|held| !held).await;
                }
                let answer = reply::text("here");
                match call.path() {
                    "/much" => reply::of(body::full(vec![b'x'; MUCH])).no_store().done(),
                    "/held/stale" | "/stale" => answer
                        .header("cache-control", "max-age=0, stale-while-revalidate=600")
                        .done(),
                    _ => answer.max_age(600).done(),
                }
            }
        })
        .await;
        let authority = Authority::new();
        let policy = format!(
            "version: 1\nedge: {{limits: {{{limits}}}}}\n\
             certificates: {{main: {{chain: main.pem, key: main.key}}}}\n\
             origins: {{app: {{url: '{}'}}}}\n\
             sites:\n\
             \x20 shop: {{hosts: ['{HOST}'], certificate: main, routes: [{{origins: [app], cache: true, timeouts: {{first_byte: 10m}}}}]}}\n\
             \x20 plain: {{hosts: [plain.example], routes: [{{origins: [app], timeouts: {{first_byte: 10m}}}}]}}\n",
            origin.url()
        );
        let edge = Edge::alone(&policy)
            .certificate(&authority, "main", &[HOST])
            .start()
            .await;
        Self {
            edge,
            origin,
            authority,
            held,
        }
    }

    /// Asks for those, each over a connection of its own.
    fn ask(&self, source: &'static str, host: &'static str, paths: &[String]) -> Asking {
        let http = self.edge.http();
        let asking = paths.iter().cloned().map(|path| {
            tokio::spawn(async move { Client::at(source).get(http, host, &path).await })
        });
        Asking(asking.collect())
    }

    async fn under_way(&self, number: usize) {
        wait_until(
            &format!("{number} are at the origin"),
            SOON,
            async || match self.edge.metric(UNDER_WAY).await {
                now if (now - number as f64).abs() < 0.5 => Ok(()),
                now => Err(format!("{now}")),
            },
        )
        .await;
    }

    fn let_go(&self) {
        self.held.send_replace(false);
    }
}

/// Requests under way.
struct Asking(Vec<JoinHandle<Reply>>);

impl Asking {
    async fn replies(self) -> Vec<Reply> {
        let replies = join_all(self.0).await;
        replies.into_iter().map(Result::unwrap).collect()
    }
}

fn paths(what: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("/held/{what}/{number}"))
        .collect()
}

fn is_refused(reply: &Reply, limit: &str) -> bool {
    let field = |name: &str| (reply.headers.get(name)).and_then(|value| value.to_str().ok());
    let is_told = field("retry-after") == Some("1")
        && field("content-type") == Some("application/problem+json")
        && reply.text().contains(&format!("/problems/{limit}\""))
        && reply.text().contains("\"retryable\":true");
    reply.status == 503 && is_told
}

async fn over_http2(connection: &mut Connection, path: &str) -> Reply {
    let request = Client::request("GET", HOST, path)
        .body(body::empty())
        .unwrap();
    connection.send(request).await.unwrap()
}

/// Over both ways to an origin: on a route that caches, and on one that does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_has_its_share_of_the_waiting_and_others_go_on() {
    let stand = Stand::with("fetches_per_address: 10").await;
    let attacker = Client::at(ATTACKER);
    let (https, authority) = (stand.edge.https(), &stand.authority);
    let connecting = attacker.connect_tls(https, HOST, authority, Protocol::Http2);
    let mut connection = connecting.await.unwrap();
    // The scheme is part of the key.
    assert_eq!(over_http2(&mut connection, "/stored").await.status, 200);
    assert_eq!(stand.edge.get(HOST, "/stored").await.status, 200);
    let cached = stand.ask(ATTACKER, HOST, &paths("a", 6));
    let plain = stand.ask(ATTACKER, "plain.example", &paths("b", 4));
    stand.under_way(10).await;

    // Further ones are told at once, by whichever way, and over HTTP/2.
    for host in [HOST, "plain.example"] {
        let refused = stand.ask(ATTACKER, host, &paths("c", 5)).replies().await;
        for reply in refused {
            assert!(is_refused(&reply, "fetches_per_address"), "{reply:?}");
        }
    }
    let reply = over_http2(&mut connection, "/held/d").await;
    assert!(is_refused(&reply, "fetches_per_address"), "{reply:?}");
    // What is stored needs none.
    assert!(over_http2(&mut connection, "/stored").await.is_hit());
    assert!(
        attacker
            .get(stand.edge.http(), HOST, "/stored")
            .await
            .is_hit()
    );
    // Somebody else has a share of its own.
    for host in [HOST, "plain.example"] {
        let reply = (Client::at(SOMEBODY).get(stand.edge.http(), host, "/else")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    let refused = "latencify_gateway_fetches_refused_total{reason=\"fetches_per_address\"}";
    counted(&stand.edge, refused, 11.0).await;
    // Once each, though two ways to the origin were tried.
    assert!(stand.edge.metric(refused).await < 11.5);
    let faults = "latencify_gateway_faults_total{fault=\"fetches_per_address\"}";
    counted(&stand.edge, faults, 11.0).await;
    wait_until("a record tells of it", SOON, async || {
        let told = stand.edge.access_log().into_iter().any(|record| {
            let steps = record["decisions"].as_array().cloned().unwrap_or_default();
            record["error"] == "fetches_per_address"
                && record["status"] == 503
                && steps.iter().any(|step| step == "edge:fetches_per_address")
        });
        if told { Ok(()) } else { Err("no record") }
    })
    .await;

    stand.let_go();
    for reply in [cached.replies().await, plain.replies().await].concat() {
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    // The places are given back.
    stand.under_way(0).await;
    let again = stand.ask(ATTACKER, HOST, &paths("e", 10)).replies().await;
    assert!(again.iter().all(|reply| reply.status == 200), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_together_have_theirs_and_who_leaves_gives_it_back() {
    let stand = Stand::with("fetches: 6, fetches_per_address: 4").await;
    let first = stand.ask(ATTACKER, HOST, &paths("a", 3));
    let second = stand.ask("127.10.0.2", "plain.example", &paths("b", 3));
    stand.under_way(6).await;
    for host in [HOST, "plain.example"] {
        let refused = stand.ask(SOMEBODY, host, &paths("c", 2)).replies().await;
        for reply in refused {
            assert!(is_refused(&reply, "fetches"), "{reply:?}");
        }
    }
    let refused = "latencify_gateway_fetches_refused_total{reason=\"fetches\"}";
    counted(&stand.edge, refused, 4.0).await;
    // Clients that go let go of their places: nothing waits for a response that nobody stores.
    for asking in &second.0 {
        asking.abort();
    }
    stand.under_way(3).await;
    let reply = (Client::at(SOMEBODY).get(stand.edge.http(), HOST, "/else")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    stand.let_go();
    assert!(
        first
            .replies()
            .await
            .iter()
            .all(|reply| reply.status == 200)
    );
    stand.under_way(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_anothers_fetch_needs_no_place() {
    let stand = Stand::with("fetches: 2").await;
    let same = vec!["/held/same".to_owned(); 30];
    let crowd = stand.ask(ATTACKER, HOST, &same);
    stand.under_way(1).await;
    stand.let_go();
    for reply in crowd.replies().await {
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    assert_eq!(stand.origin.requests_for("/held/same"), 1);
}

/// An origin that has sent all of its response is no longer asked, however slowly the client takes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_all_of_a_response_holds_no_place() {
    let stand = Stand::with("fetches: 1").await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let mut stream = socket.connect(stand.edge.http()).await.unwrap();
    // More than all buffers hold, one response after another; none of it is read.
    let request = "GET /much HTTP/1.1\r\nHost: plain.example\r\n\r\n";
    let asking = tokio::spawn(async move {
        let _ = stream.write_all(request.repeat(900).as_bytes()).await;
        future::pending::<()>().await;
        drop(stream);
    });
    counted(&stand.edge, "latencify_gateway_unsent_bytes", 1.0).await;
    wait_until("somebody else is served", SOON, async || {
        let reply = (Client::at(SOMEBODY).get(stand.edge.http(), "plain.example", "/else")).await;
        match reply.status.as_u16() {
            200 => Ok(()),
            status => Err(status),
        }
    })
    .await;
    stand.under_way(0).await;
    asking.abort();
}

/// A background refresh is nobody's request, but it waits for an origin all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refreshes_in_the_background_count_and_what_is_stale_goes_on() {
    let stand = Stand::with("fetches: 1").await;
    stand.let_go();
    for path in ["/held/stale", "/stale"] {
        assert_eq!(stand.edge.get(HOST, path).await.status, 200);
    }
    stand.under_way(0).await;
    stand.held.send_replace(true);
    // Its refresh has the one place …
    assert_eq!(stand.edge.get(HOST, "/held/stale").await.status, 200);
    stand.under_way(1).await;
    let reply = stand.edge.get(HOST, "/miss").await;
    assert!(is_refused(&reply, "fetches"), "{reply:?}");
    // … so that this one's finds none.
    let refused = "latencify_gateway_fetches_refused_total{reason=\"fetches\"}";
    assert_eq!(stand.edge.get(HOST, "/stale").await.text(), "here");
    counted(&stand.edge, refused, 2.0).await;
    assert_eq!(stand.origin.requests_for("/stale"), 1);
    stand.let_go();
    stand.under_way(0).await;
    assert_eq!(stand.edge.get(HOST, "/miss").await.status, 200);
}

/// All ports of this machine towards an origin are in use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_is_not_to_blame_for_a_want_of_ports() {
    const PORTS: usize = 8;
    if !Namespace::is_permitted() {
        skip!("this user may make no network namespace: ip netns add");
    }
    let machine = Namespace::new();
    let range = format!("net.ipv4.ip_local_port_range=50000 {}", 50_000 + PORTS - 1);
    let set = Command::new("ip")
        .args([
            "netns",
            "exec",
            machine.name(),
            "sysctl",
            "-q",
            "-w",
            &range,
        ])
        .status();
    assert!(set.is_ok_and(|status| status.success()), "{range}");
    let held = Arc::new(watch::Sender::new(true));
    let gate = held.clone();
    let origin = Origin::serve_on(machine.here(Cable::Clients), move |_| {
        let gate = gate.clone();
        async move {
            let _ = gate.subscribe().wait_for(|held| !held).await;
            reply::text("here").no_store().done()
        }
    })
    .await;
    let policy = format!(
        "version: 1\norigins: {{app: {{url: '{}'}}}}\nsites:\n\
         \x20 shop: {{hosts: ['{HOST}'], routes: [{{origins: [app], cache: true, timeouts: {{first_byte: 10m}}}}]}}\n\
         \x20 plain: {{hosts: [plain.example], routes: [{{origins: [app], timeouts: {{first_byte: 10m}}}}]}}\n",
        origin.url()
    );
    let edge = Edge::alone(&policy).inside(&machine).start().await;
    let waiting: Vec<_> = (0..PORTS)
        .map(|number| {
            let (client, http) = (edge.client(), edge.http());
            let path = format!("/{number}");
            tokio::spawn(async move { client.get(http, "plain.example", &path).await })
        })
        .collect();
    wait_until("all ports are in use", SOON, async || {
        match origin.requests() {
            PORTS => Ok(()),
            some => Err(format!("{some}")),
        }
    })
    .await;
    for host in [HOST, "plain.example"] {
        // More than it takes to eject an origin.
        for number in 0..10 {
            let reply = edge.get(host, &format!("/more/{number}")).await;
            assert_eq!(reply.status, 502, "{}", reply.text());
            assert!(reply.text().contains("origin_unreachable"), "{reply:?}");
        }
    }
    let attempts = "latencify_gateway_origin_attempts_total{origin=\"app\",outcome=\"no_port\"}";
    counted(&edge, attempts, 20.0).await;
    for blamed in ["connect_failures", "ejections"] {
        let blamed = format!("latencify_gateway_origin_{blamed}_total{{origin=\"app\"}}");
        assert!(edge.metric(&blamed).await < 1.0, "{blamed}");
    }
    held.send_replace(false);
    for reply in join_all(waiting).await {
        assert_eq!(reply.unwrap().status, 200);
    }
    // What has the ports now waits for requests like those.
    assert_eq!(edge.get("plain.example", "/after").await.status, 200);
}
