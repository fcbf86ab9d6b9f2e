//! Bodies without an end: they pass, are not stored, hold no more memory than the tier has, and end with their client.

use super::{
    origin::{
        Act::{Flood, Say, Wait},
        WELL,
    },
    world::{HOST, PATIENCE, PATIENT, World},
};
use http_body_util::BodyExt as _;
use latencify_tests::{Client, Protocol, body, wait_until};

/// More than is stored of one response, and than the tier holds.
const ENOUGH: usize = 12 << 20;
const TIER: f64 = 8_388_608.0;

const OPEN: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nConnection: close\r\n\r\n";
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nTransfer-Encoding: chunked\r\n\r\n";
const LONG: &str =
    "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: 9000000000000000000\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_body_ends_with_its_client() {
    let world = World::with(PATIENT, "10m", |options| {
        options.flag("--cache-memory", "8MiB")
    })
    .await;
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000)).leak();
    for (name, head, piece) in [
        ("open", OPEN, "x"),
        ("chunked", CHUNKED, &*chunk),
        ("long", LONG, "x"),
    ] {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            for route in ["kept", "passed"] {
                // One client takes much of it, the other leaves when it has the head.
                for octets in [ENOUGH, 0] {
                    let path = format!("/{route}/{protocol:?}/{name}/{octets}");
                    world
                        .origin
                        .plays(&path, [vec![Say(head), Wait, Flood(piece)]]);
                    take(&world, protocol, &path, octets).await;
                    wait_until("the origin is let go", PATIENCE, async || {
                        let is_over = world.origin.over(&path) == 1;
                        is_over.then_some(()).ok_or_else(|| path.clone())
                    })
                    .await;
                    let next = world.ask(protocol, &path).await.whole(&path);
                    assert!(next.text() == WELL && !next.is_hit(), "{path}: {next:?}");
                }
            }
        }
    }
    let peak = world
        .edge
        .metric("latencify_gateway_cache_bytes_peak")
        .await;
    assert!(peak <= TIER, "{peak}\n{}", world.edge.metrics().await);
}

/// Takes so many octets and leaves.
async fn take(world: &World, protocol: Protocol, path: &str, octets: usize) {
    let taking = async {
        let mut connection = world.connect(protocol).await;
        let request = Client::request("GET", HOST, path).body(body::empty());
        let mut answer = connection.stream(request.unwrap()).await.unwrap();
        world.origin.go_on(path);
        let mut came = 0;
        while came < octets {
            let frame = answer.body_mut().frame().await.unwrap().unwrap();
            let data = frame.into_data().unwrap();
            assert!(data.iter().all(|octet| *octet == b'x'), "{path}");
            came += data.len();
        }
    };
    let taken = tokio::time::timeout(PATIENCE, taking).await;
    taken.unwrap_or_else(|_| panic!("{path}: nothing comes"));
}
