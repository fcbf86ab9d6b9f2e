//! What attackers do, each in a process that does nothing else.

use latencify_tests::{
    Client, Edge,
    frames::{
        CONTINUATION, DATA, END_HEADERS, HEADERS, PING, PRIORITY, RST_STREAM, Raw, SETTINGS,
        WINDOW_UPDATE, block, frame, get, post,
    },
};
use rustls::ClientConfig;
use std::{
    io::ErrorKind, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

pub const HOST: &str = "shop.example";
const ATTACKER: &str = "127.10.0.1";
/// Attackers of one kind at a time.
const AT_ONCE: usize = 4;
/// An answer, or the end of the connection, is waited for so long.
const ANSWER: Duration = Duration::from_secs(2);

pub const ATTACKS: &[&str] = &[
    "connections",
    "connections_in_all",
    "silent_tls",
    "slow_heads",
    "many_fields",
    "large_fields",
    "long_targets",
    "slow_bodies",
    "told_bodies",
    "large_bodies",
    "idle",
    "requests",
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

/// The limits at which the edge is attacked, and those of its route: the defaults, but for times that an attack of
/// seconds would not meet, and numbers that four attackers would not reach.
pub fn limits(attack: &str) -> (&'static str, &'static str) {
    match attack {
        "connections_in_all" => ("connections: 300", ""),
        "idle" => ("idle: 1s", ""),
        "requests" => ("requests: 10", ""),
        "large_bodies" => ("", ", limits: {request_body: 256KiB}"),
        _ => (
            "handshake_time: 1s, header_time: 1s, body_grace: 1s, send_grace: 1s",
            "",
        ),
    }
}

/// What an attacker knows.
#[derive(Clone)]
pub struct Target {
    pub http: SocketAddr,
    pub https: SocketAddr,
    pub trust: Arc<ClientConfig>,
}

/// Where an attacker reads whom to trust.
pub fn trust_file(edge: &Edge) -> PathBuf {
    edge.folder().join("ca.pem")
}

/// Attacks until the process is ended.
pub async fn attack_for_ever(attack: &str, target: Target) -> ExitCode {
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
        "connections" => hold(http, 300, b"", Then::Silent).await,
        // Of many addresses: no single one is over its own limit.
        "connections_in_all" => crowd(http, 200).await,
        "idle" => hold(http, 200, GET, Then::Silent).await,
        "slow_heads" => {
            let head = b"GET / HTTP/1.1\r\nhost: shop.example\r\n";
            hold(http, 200, head, Then::Drip).await;
        }
        "slow_bodies" => {
            let head = b"POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 1000000\r\n\r\n";
            hold(http, 200, head, Then::Drip).await;
        }
        "silent_readers" => {
            hold(
                http,
                100,
                b"GET /large HTTP/1.1\r\nhost: shop.example\r\n\r\n",
                Then::Drip,
            )
            .await;
        }
        "silent_tls" => hold(https, 200, b"\x16\x03\x01\x02\x00", Then::Drip).await,
        "many_fields" => say(http, &with_fields(&"x-a: b\r\n".repeat(1_000))).await,
        "large_fields" => {
            let field = format!("x-a: {}\r\n", "b".repeat(8_000));
            say(http, &with_fields(&field.repeat(20))).await;
        }
        "long_targets" => {
            let target = "a".repeat(64 << 10);
            let request = format!("GET /{target} HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
            say(http, request.as_bytes()).await;
        }
        // Over what a route takes that says nothing about it.
        "told_bodies" => {
            let head =
                b"POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 200000000\r\n\r\n";
            say(http, head).await;
        }
        "large_bodies" => {
            let head =
                b"POST / HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\n\r\n";
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
            say(http, &[head, chunk.repeat(64).as_bytes()].concat()).await;
        }
        "requests" => say(http, &GET.repeat(100)).await,
        _ => flood(attack, target).await,
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n";

fn with_fields(fields: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n{fields}\r\n").into_bytes()
}

/// Says that over a connection, and reads what comes until the edge ends it.
async fn say(server: SocketAddr, octets: &[u8]) {
    let Ok(stream) = Client::at(ATTACKER).tcp(server).await else {
        return;
    };
    let (mut reader, mut writer) = stream.into_split();
    let saying = async {
        let _ = writer.write_all(octets).await;
        std::future::pending::<()>().await;
    };
    let hearing = async {
        let mut piece = [0; 4_096];
        while let Ok(1..) = reader.read(&mut piece).await {}
    };
    let _ = timeout(ANSWER, async {
        tokio::select! {
            () = saying => {}
            () = hearing => {}
        }
    })
    .await;
}

/// What follows the first words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Silent,
    /// An octet now and then.
    Drip,
}

/// Opens so many connections, says that, and goes on for as long as the edge lets it.
async fn hold(server: SocketAddr, count: usize, say: &[u8], then: Then) {
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
        if then == Then::Drip {
            for stream in &mut held {
                let _ = stream.try_write(b"x");
            }
        }
    }
}

/// Opens so many connections from as many addresses, and again those that were closed.
async fn crowd(server: SocketAddr, count: usize) {
    let mut held = Vec::new();
    for _ in 0..10 {
        held.retain(|stream: &TcpStream| {
            let read = stream.try_read(&mut [0]);
            matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
        });
        for number in held.len()..count {
            let source = format!("127.10.1.{}", number + 1);
            if let Ok(stream) = Client::at(&source).tcp(server).await {
                held.push(stream);
            }
        }
        sleep(Duration::from_millis(100)).await;
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
