//! What a client notices while others attack the edge: `make bench`.
//!
//! For each attack, windows with and without it follow each other, so that both see the same machine; the 99th
//! percentile of a second client's requests in the one is divided by that in the other. The attackers are processes of
//! their own at the lowest priority: what they cost this machine is not what they cost the edge. Ends with 1 when an
//! attack makes the second client more than twice as slow, in every one of a few tries.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a measuring program

use http_body_util::BodyExt as _;
use latencify_tests::{
    Authority, Client, Edge, Origin, body, client_of,
    frames::{
        CONTINUATION, DATA, END_HEADERS, HEADERS, PING, PRIORITY, RST_STREAM, Raw, SETTINGS,
        WINDOW_UPDATE, block, frame, get, post,
    },
    reply,
};
use rustls::ClientConfig;
use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{io::AsyncWriteExt, time::sleep};

const HOST: &str = "shop.example";
const ATTACKER: &str = "127.10.0.1";
const WINDOW: Duration = Duration::from_secs(2);
const ROUNDS: usize = 3;
const TRIES: usize = 4;
const RATIO_MAX: f64 = 2.0;
/// Attackers of one kind at a time.
const AT_ONCE: usize = 4;

const ATTACKS: &[&str] = &[
    "connections",
    "silent_tls",
    "slow_heads",
    "slow_bodies",
    "silent_readers",
    "rapid_resets",
    "provoked_resets",
    "pings",
    "settings",
    "priorities",
    "window_updates",
    "empty_data",
    "tiny_data",
    "continuations",
    "unknown_frames",
    "no_window",
];

/// The limits at which the edge is attacked: the defaults, but for times that an attack of seconds would not meet.
const POLICY: &str = "version: 1
edge: {limits: {handshake_time: 1s, header_time: 1s, body_grace: 1s, send_grace: 1s}}
certificates: {main: {chain: main.pem, key: main.key}}
sites: {main: {hosts: ['*'], certificate: main, routes: [{origins: [app], cache: true}]}}
";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, attack, http, https, trust] = arguments.as_slice() {
        let trust = client_of(&std::fs::read_to_string(trust).unwrap(), &[b"h2"]);
        let target = Target {
            http: http.parse().unwrap(),
            https: https.parse().unwrap(),
            trust,
        };
        return attack_for_ever(attack, target).await;
    }
    let origin = Origin::serve(|call| async move {
        match call.path() {
            "/large" => reply::of(body::full(vec![b'x'; 8 << 20]))
                .max_age(600)
                .done(),
            // A body is waited for to its end.
            _ if call.request.method() == "POST" => {
                let received = call.request.into_body().collect().await;
                reply::text(format!("{}", received.is_ok())).done()
            }
            _ => reply::text("hello").max_age(600).done(),
        }
    })
    .await;
    let authority = Authority::new();
    let policy = format!("{POLICY}origins: {{app: {{url: '{}'}}}}\n", origin.url());
    println!(
        "{:16} {:>10} {:>10} {:>6}",
        "attack", "p99 alone", "p99 under", "ratio"
    );
    let mut over = Vec::new();
    for attack in ATTACKS {
        let edge = Edge::alone(&policy)
            .certificate(&authority, "main", &[HOST])
            .start()
            .await;
        std::fs::write(trust_file(&edge), authority.pem()).unwrap();
        for path in ["/", "/large"] {
            assert_eq!(edge.get(HOST, path).await.status, 200);
        }
        let mut ratio = f64::INFINITY;
        for _ in 0..TRIES {
            let (alone, under) = measure(&edge, attack).await;
            ratio = under.as_secs_f64() / alone.as_secs_f64();
            println!("{attack:16} {alone:>10.1?} {under:>10.1?} {ratio:>6.2}");
            if ratio <= RATIO_MAX {
                break;
            }
        }
        if ratio > RATIO_MAX {
            over.push(*attack);
        }
        told(&edge).await;
    }
    if over.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!(
        "over {RATIO_MAX} in each of {TRIES} tries: {}",
        over.join(", ")
    );
    ExitCode::FAILURE
}

/// What the edge counted.
async fn told(edge: &Edge) {
    let metrics = edge.metrics().await;
    let counted = metrics.lines().filter(|line| {
        [
            "connections_refused_total",
            "connections_ended_total",
            "streams_ended_total",
        ]
        .iter()
        .any(|name| line.starts_with(&format!("latencify_gateway_{name}")))
            && !line.ends_with(" 0")
    });
    for line in counted {
        println!("    {}", line.trim_start_matches("latencify_gateway_"));
    }
}

/// The 99th percentiles without and with the attack.
async fn measure(edge: &Edge, attack: &str) -> (Duration, Duration) {
    let (mut alone, mut under) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        requests(edge, &mut alone).await;
        let attackers = Attackers::start(attack, edge);
        // What is attacked first is not what is measured.
        sleep(WINDOW / 4).await;
        requests(edge, &mut under).await;
        drop(attackers);
        sleep(WINDOW / 4).await;
    }
    (percentile(alone), percentile(under))
}

/// Requests one after the other, each over a connection of its own as a new visitor's is, for a window.
async fn requests(edge: &Edge, times: &mut Vec<Duration>) {
    let client = Client::at("127.20.0.1");
    let end = Instant::now() + WINDOW;
    while Instant::now() < end {
        let began = Instant::now();
        let reply = client.get(edge.http(), HOST, "/").await;
        assert_eq!(reply.status, 200);
        times.push(began.elapsed());
        sleep(Duration::from_millis(1)).await;
    }
}

fn percentile(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * 99 / 100]
}

/// Processes that attack until they are dropped.
struct Attackers(Child);

impl Attackers {
    fn start(attack: &str, edge: &Edge) -> Self {
        let child = Command::new("nice")
            .args(["-n", "19"])
            .arg(std::env::current_exe().unwrap())
            .args([attack, &edge.http().to_string(), &edge.https().to_string()])
            .arg(trust_file(edge))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What an attacker knows.
#[derive(Clone)]
struct Target {
    http: SocketAddr,
    https: SocketAddr,
    trust: Arc<ClientConfig>,
}

fn trust_file(edge: &Edge) -> PathBuf {
    edge.folder().join("ca.pem")
}

async fn attack_for_ever(attack: &str, target: Target) -> ExitCode {
    for _ in 1..AT_ONCE {
        let (attack, target) = (attack.to_owned(), target.clone());
        tokio::spawn(async move {
            loop {
                once(&attack, &target).await;
            }
        });
    }
    loop {
        once(attack, &target).await;
    }
}

/// One attack, until the edge ends it.
async fn once(attack: &str, target: &Target) {
    let (http, https) = (target.http, target.https);
    match attack {
        "connections" => hold(http, 300, b"").await,
        "slow_heads" => hold(http, 200, b"GET / HTTP/1.1\r\nhost: shop.example\r\n").await,
        "slow_bodies" => {
            let head = b"POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 1000000\r\n\r\n";
            hold(http, 200, head).await;
        }
        "silent_readers" => {
            hold(
                http,
                100,
                b"GET /large HTTP/1.1\r\nhost: shop.example\r\n\r\n",
            )
            .await;
        }
        "silent_tls" => hold(https, 200, b"\x16\x03\x01\x02\x00").await,
        _ => flood(attack, target).await,
    }
}

/// Opens so many connections, says that, and goes on with an octet now and then, for as long as the edge lets it.
async fn hold(server: SocketAddr, count: usize, say: &[u8]) {
    let mut held = Vec::new();
    for _ in 0..count {
        let Ok(mut stream) = Client::at(ATTACKER).tcp(server).await else {
            continue;
        };
        let _ = stream.write_all(say).await;
        held.push(stream);
    }
    for _ in 0..20 {
        sleep(Duration::from_millis(100)).await;
        if !say.is_empty() {
            for stream in &mut held {
                let _ = stream.try_write(b"x");
            }
        }
    }
}

/// What a flood of HTTP/2 sends, number by number.
fn next(attack: &str, number: u32) -> Vec<u8> {
    let stream = number * 2 + 1;
    let first = number == 0;
    match attack {
        "rapid_resets" => [
            get(stream, HOST, "/"),
            frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]),
        ]
        .concat(),
        "provoked_resets" => {
            let overflow = frame(WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff]);
            [post(stream, HOST, "/"), overflow].concat()
        }
        "pings" => frame(PING, 0, 0, &[0; 8]),
        "settings" => frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 1, 0]),
        "priorities" => frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 1]),
        "window_updates" => frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        "empty_data" | "tiny_data" if first => post(1, HOST, "/"),
        "empty_data" => frame(DATA, 0, 1, b""),
        "tiny_data" => frame(DATA, 0, 1, b"x"),
        "continuations" if first => frame(HEADERS, 0, 1, &block(2, HOST, "/")),
        "continuations" => frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b"),
        "unknown_frames" => frame(0xfa, 0, 0, &[7; 10]),
        "no_window" => frame(HEADERS, END_HEADERS | 1, stream, &block(2, HOST, "/large")),
        other => panic!("there is no attack {other}"),
    }
}

async fn flood(attack: &str, target: &Target) {
    let settings: &[u8] = if attack == "no_window" {
        &[0, 4, 0, 0, 0, 0]
    } else {
        &[]
    };
    let Ok(raw) = Raw::connect(target.https, target.trust.clone(), HOST, ATTACKER, settings).await
    else {
        return;
    };
    let attack = attack.to_owned();
    let _ = tokio::time::timeout(
        Duration::from_secs(3),
        raw.flood(move |number| {
            if attack == "no_window" && number >= 100 {
                return Vec::new();
            }
            // Many in one write, as whoever means it does.
            (0..32)
                .flat_map(|more| next(&attack, number * 32 + more))
                .collect()
        }),
    )
    .await;
}
