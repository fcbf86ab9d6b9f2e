//! Responses that their clients do not take: what they hold is bounded by client address and in all, and given back.

use crate::attacked::{Attacked, HOST, LARGE, counted};
use latencify_tests::{
    Client, Edge,
    frames::{ENHANCE_YOUR_CALM, RST_STREAM, Raw, WINDOW_UPDATE, frame, get},
    wait_until,
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The charge of a response whose length nobody knows.
const CHARGE: usize = (32 + 640) << 10;
/// Requests of one HTTP/2 connection.
const STREAMS: u32 = 16;
const PATIENCE: Duration = Duration::from_mins(2);
const UNSENT: &str = "latencify_gateway_unsent_bytes";
/// A window that nothing fills, and one through which nothing goes (RFC 9113 §6.5.2).
const WIDE: [u8; 6] = [0, 4, 0x7f, 0xff, 0xff, 0xff];
const SHUT: [u8; 6] = [0, 4, 0, 0, 0, 0];
/// The first bit of a stream's number, which a receiver ignores (RFC 9113 §4.1).
const RESERVED: u32 = 1 << 31;

/// How a client does not take what it asked for.
#[derive(Debug, Clone, Copy)]
enum Stall {
    /// HTTP/2: a window of one octet, whose reserved bits are set.
    Window,
    /// HTTP/2: all the window that there is, and nothing is read.
    Http2,
    /// HTTP/1.1: nothing is read.
    Http1,
}

/// Connections that are held.
#[derive(Default)]
struct Held {
    raw: Vec<Raw>,
    plain: Vec<TcpStream>,
}

impl Stall {
    /// Asks for so many responses from an address, and looks after each connection.
    async fn hold(
        self,
        attacked: &Attacked,
        source: &str,
        responses: u32,
        held: &mut Held,
        mut look: impl AsyncFnMut(),
    ) {
        let (settings, streams) = match self {
            Self::Http1 => {
                for number in 0..responses {
                    let mut stream = Client::at(source).tcp(attacked.edge.http()).await.unwrap();
                    let request = b"GET /fresh HTTP/1.1\r\nhost: shop.example\r\n\r\n";
                    stream.write_all(request).await.unwrap();
                    held.plain.push(stream);
                    if number % STREAMS == 0 {
                        look().await;
                    }
                }
                return;
            }
            Self::Window => (SHUT, STREAMS),
            Self::Http2 => (WIDE, STREAMS),
        };
        for _ in 0..responses / streams {
            let mut raw = attacked.raw(source, &settings).await;
            raw.send(&frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0]))
                .await
                .unwrap();
            for number in 0..streams {
                let stream = number * 2 + 1;
                raw.send(&self.ask(stream)).await.unwrap();
            }
            held.raw.push(raw);
            look().await;
        }
    }

    /// A request over HTTP/2, and what its response gets of a window.
    fn ask(self, stream: u32) -> Vec<u8> {
        match self {
            Self::Window => {
                let update = frame(WINDOW_UPDATE, 0, RESERVED | stream, &[0x80, 0, 0, 1]);
                [get(RESERVED | stream, HOST, "/fresh"), update].concat()
            }
            Self::Http2 | Self::Http1 => get(stream, HOST, "/fresh"),
        }
    }

    fn counter(self, reason: &str) -> String {
        let what = match self {
            Self::Window => "streams",
            Self::Http2 | Self::Http1 => "connections",
        };
        format!("latencify_gateway_{what}_ended_total{{reason=\"{reason}\"}}")
    }

    /// What has to be ended of so many responses, of which so many stay.
    fn ended(self, responses: u32, stay: u32) -> f64 {
        let over = responses - stay;
        f64::from(match self {
            Self::Window | Self::Http1 => over,
            Self::Http2 => over / STREAMS,
        })
    }
}

/// What the edge has come to hold since.
fn grown(edge: &Edge, before: usize) -> usize {
    edge.resident_bytes().saturating_sub(before)
}

/// Many addresses ask for so many responses each, over limits that let few of them wait.
async fn check(stall: Stall, sources: u32, responses: u32, reason: &str) {
    const OF_ADDRESS: usize = 16 << 20;
    const IN_ALL: usize = 32 << 20;
    /// What may be on its way in or out, and what the allocator has not given back yet.
    const BESIDES: usize = 96 << 20;
    let limits = "send_grace: 1h, unsent_bytes: 32MiB, unsent_bytes_per_address: 16MiB";
    let attacked = Attacked::with(limits).await;
    assert_eq!(attacked.edge.get(HOST, "/fresh").await.status, 200);
    let before = attacked.edge.resident_bytes();
    let most = if sources == 1 { OF_ADDRESS } else { IN_ALL };

    let (mut held, mut peak) = (Held::default(), 0);
    for source in 1..=sources {
        let source = format!("127.10.0.{source}");
        let look = async || {
            peak = peak.max(grown(&attacked.edge, before));
            let unsent = attacked.edge.metric(UNSENT).await;
            assert!(unsent <= most as f64, "{stall:?}: {unsent} bytes wait");
        };
        stall
            .hold(&attacked, &source, responses, &mut held, look)
            .await;
    }
    let stay = u32::try_from(most / CHARGE).unwrap() + STREAMS;
    let ended = stall.ended(sources * responses, stay);
    wait_until(&format!("{stall:?}: the rest ends"), PATIENCE, async || {
        peak = peak.max(grown(&attacked.edge, before));
        let now = attacked.edge.metric(&stall.counter(reason)).await;
        (now >= ended)
            .then_some(())
            .ok_or(format!("{now} of {ended}"))
    })
    .await;
    assert!(
        peak < most + BESIDES,
        "{stall:?}: grown by {} KiB",
        peak >> 10
    );
    if let (Stall::Window, 1, Some(first)) = (stall, sources, held.raw.first_mut()) {
        let reset = timeout(PATIENCE, first.reader.wait_for(RST_STREAM, 1)).await;
        assert_eq!(reset.unwrap().number(0), ENHANCE_YOUR_CALM);
    }
    wait_until("it is told", PATIENCE, async || {
        let records = attacked.edge.access_log();
        let told = records.iter().any(|record| record["error"] == reason);
        told.then_some(()).ok_or(format!("{:?}", records.last()))
    })
    .await;
    drop(held);
    nothing_waits(&attacked.edge).await;
    attacked.over().await;
}

async fn nothing_waits(edge: &Edge) {
    wait_until("nobody is waited for", PATIENCE, async || {
        match edge.metric(UNSENT).await {
            0.0 => Ok(()),
            bytes => Err(format!("{bytes} bytes wait")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_address_does_not_take_over_http2_is_bounded() {
    check(Stall::Http2, 1, 640, "unsent_bytes_per_address").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_address_gives_no_window_for_is_bounded() {
    check(Stall::Window, 1, 640, "unsent_bytes_per_address").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_address_does_not_take_over_http1_is_bounded() {
    check(Stall::Http1, 1, 512, "unsent_bytes_per_address").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_addresses_do_not_take_is_bounded_in_all() {
    check(Stall::Window, 40, 16, "unsent_bytes").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_what_it_asked_for_outlives_those_who_do_not() {
    // All that `unsent_bytes` lets wait.
    const STALLED: u8 = 48;
    const DOWNLOADS: u8 = 2;
    let attacked = Attacked::with("send_grace: 1h, unsent_bytes: 32MiB").await;
    let mut held = Held::default();
    for source in 1..=STALLED {
        let source = format!("127.10.0.{source}");
        Stall::Http1
            .hold(&attacked, &source, 1, &mut held, async || {})
            .await;
    }
    counted(
        &attacked.edge,
        UNSENT,
        (usize::from(STALLED) * CHARGE) as f64,
    )
    .await;

    let mut downloads = Vec::new();
    for _ in 0..DOWNLOADS {
        let honest = Client::at("127.30.0.1");
        let mut stream = honest.tcp(attacked.edge.http()).await.unwrap();
        let request = b"GET /fresh HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        downloads.push(stream);
    }
    // A client that is slow for a moment: it reads only when somebody had to go for it.
    attacked
        .counted_ended("unsent_bytes", f64::from(DOWNLOADS))
        .await;
    for mut stream in downloads {
        let mut response = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut response)).await;
        let length = response.len();
        assert!(length > LARGE, "{length} bytes, then {read:?}");
        assert!(response.ends_with(b"\r\n0\r\n\r\n"), "of {length} bytes");
    }
    drop(held);
    nothing_waits(&attacked.edge).await;
    attacked.over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_given_back_when_the_attack_is_over() {
    const HELD: usize = 100 << 20;
    const LEFT: usize = 48 << 20;
    let limits = "send_grace: 1h, unsent_bytes: 2GiB, unsent_bytes_per_address: 2GiB";
    let attacked = Attacked::with(limits).await;
    assert_eq!(attacked.edge.get(HOST, "/fresh").await.status, 200);
    let before = attacked.edge.resident_bytes();
    let mut held = Held::default();
    Stall::Http1
        .hold(&attacked, "127.10.0.1", 400, &mut held, async || {})
        .await;
    counted(&attacked.edge, UNSENT, (300 * CHARGE) as f64).await;
    let most = grown(&attacked.edge, before);
    assert!(most > HELD, "only {} KiB are held", most >> 10);
    drop(held);
    nothing_waits(&attacked.edge).await;
    wait_until("it is given back", PATIENCE, async || {
        match grown(&attacked.edge, before) {
            left if left < LEFT => Ok(()),
            left => Err(format!("{} KiB are left of {}", left >> 10, most >> 10)),
        }
    })
    .await;
    attacked.over().await;
}
