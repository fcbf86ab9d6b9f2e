//! A storm of writes through a real edge: new keys without end, large bodies and bodies of unknown length, clients that read slowly
//! or not at all, and purges of all that meanwhile. What each tier holds stays within its bound, the process within
//! a little more, whatever is answered is whole, and no answer is older than a purge that was answered before.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

use bytes::{Bytes, BytesMut};
use futures::{
    future::join_all,
    stream::{self, StreamExt as _},
};
use http_body_util::BodyExt as _;
use latencify_tests::{
    Client, Edge, EdgeOptions, Origin, Reply, body, policy::one_route, reply, wait_until,
};
use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use tokio::{io::AsyncWriteExt as _, sync::watch};

const HOST: &str = "shop.example";
/// What every wait is bounded by, on a machine where others build.
const SOON: Duration = Duration::from_mins(2);

/// What the memory tier may hold.
const CACHE_BYTES: usize = 16 << 20;
/// What the process may grow by beside that: connections, what is on its way to clients, what an allocator keeps. Much
/// less than what the storm writes.
const BESIDE_BYTES: usize = 64 << 20;

/// The same, where the larger bodies are more than a quarter of it.
const LITTLE_CACHE_BYTES: usize = 2 << 20;
/// What the disk tier may hold …
const DISK_BYTES: usize = 64 << 20;
/// … what its owner keeps beside it, and what it may hold in memory of what waits for the disk, and as much again of what is not
/// stored.
const DISK_BESIDE_BYTES: usize = 1 << 20;
const DISK_QUEUE_BYTES: usize = 64 << 20;

/// Clients that ask for what nobody has asked for, and how often each does.
const WRITERS: u64 = 12;
const ROUNDS: u64 = 80;
/// Clients that take a body a little at a time, and such that take nothing of it.
const SLOW_READERS: u64 = 12;
const STALLED_READERS: u64 = 8;
/// Paths that are purged again and again.
const PURGED: u64 = 6;

/// What a path names: so many octets of one kind, of which the length is said before or not.
fn length(number: u64) -> u64 {
    match number % 10 {
        0 | 1 => 1 << 20,
        2..5 => 64 << 10,
        _ => 1 << 10,
    }
}

fn octet(number: u64) -> u8 {
    (number % 251) as u8
}

fn number_in(path: &str) -> u64 {
    path.rsplit('/').next().unwrap().parse().unwrap()
}

async fn origin() -> Origin {
    Origin::serve(|call| async move {
        let number = number_in(call.path());
        let (octet, length) = (octet(number), length(number));
        let body = match number % 2 {
            0 => body::repeated(octet, length),
            _ => body::full(vec![octet; length as usize]),
        };
        reply::of(body)
            .max_age(600)
            .tag(&format!("of-{}", number % 16))
            .header("x-number", call.number)
            .done()
    })
    .await
}

/// What everybody in the storm shares.
struct Storm {
    edge: Edge,
    origin: Origin,
    written: AtomicU64,
    is_over: AtomicBool,
}

/// What was seen of the process while it lasted.
#[derive(Debug, Default)]
struct Seen {
    samples: usize,
    bytes: f64,
    passing: f64,
    on_disk: f64,
    resident: usize,
    grown: usize,
}

impl Storm {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    fn written(&self) -> usize {
        self.written.load(Ordering::SeqCst) as usize
    }

    /// Asks for what is new, and now and then for what was just now.
    async fn write(&self, writer: u64) {
        let mut connection = self.edge.client().connect(self.edge.http()).await.unwrap();
        for round in 0..ROUNDS {
            let number = writer * ROUNDS + round;
            let again = (round % 7 == 0).then_some(number.saturating_sub(1));
            for number in [Some(number), again].into_iter().flatten() {
                let path = format!("/new/{number}");
                let request = Client::request("GET", HOST, &path)
                    .body(body::empty())
                    .unwrap();
                let reply = connection.send(request).await.unwrap();
                is_whole(number, &reply.body);
                let length = reply.body.len() as u64;
                self.written.fetch_add(length, Ordering::Relaxed);
            }
        }
    }

    /// Takes a piece of a large body at a time.
    async fn read_slowly(&self, reader: u64) {
        for round in 0.. {
            let number = 1_000_000 + (round * SLOW_READERS + reader) * 10;
            let mut connection = self.edge.client().connect(self.edge.http()).await.unwrap();
            let request = Client::request("GET", HOST, &format!("/slow/{number}"))
                .body(body::empty())
                .unwrap();
            let mut body = connection.stream(request).await.unwrap().into_body();
            let mut taken = BytesMut::new();
            let mut broken = None;
            while let Some(frame) = body.frame().await {
                match frame {
                    Ok(frame) => taken.extend_from_slice(&frame.into_data().unwrap_or_default()),
                    Err(why) => broken = Some(why),
                }
                if !self.is_over() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            match broken {
                None => is_whole(number, &taken.freeze()),
                Some(why) => self.was_withdrawn(number, &why).await,
            }
            if self.is_over() {
                return;
            }
        }
    }

    /// On a machine that is busy elsewhere, slow may be slower than what is read is left to anyone.
    async fn was_withdrawn(&self, number: u64, why: &hyper::Error) {
        let path = format!("/slow/{number}");
        wait_until("it is told that it was withdrawn", SOON, async || {
            let log = self.edge.access_log();
            let its = |record: &&serde_json::Value| record["path"] == path.as_str();
            match log.iter().find(its) {
                Some(record) if record["error"] == "withdrawn" => Ok(()),
                other => Err(format!("{number}: {why}: {other:?}")),
            }
        })
        .await;
    }

    /// Asks for a large body, and takes nothing of it until the storm is over.
    async fn stall(&self, reader: u64) {
        let mut stream = self.edge.client().tcp(self.edge.http()).await.unwrap();
        let number = 2_000_000 + reader * 10;
        let head = format!("GET /stalled/{number} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        while !self.is_over() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whoever asks after a purge was answered gets what the origin gave out after it was sent.
    async fn purge(&self, purger: u64) {
        let number = 3_000_000 + purger;
        let path = format!("/purged/{number}");
        let ask = async |method| {
            let request = Client::request(method, HOST, &path)
                .body(body::empty())
                .unwrap();
            let sent = self.edge.client().send(self.edge.http(), request).await;
            sent.unwrap()
        };
        while !self.is_over() {
            is_whole(number, &ask("GET").await.body);
            let before = self.origin.requests();
            let purged = ask("PURGE").await;
            assert!(purged.status.is_success(), "{purged:?}");
            let reply = ask("GET").await;
            is_whole(number, &reply.body);
            assert!(given_at(&reply) >= before, "before {before}: {reply:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Looks at the process again and again.
    async fn watch(&self) -> Seen {
        let mut seen = Seen::default();
        while !self.is_over() {
            let metrics = self.edge.metrics().await;
            let value = |name| value(&metrics, name);
            let (bytes, most) = (value("cache_bytes"), value("cache_bytes_max"));
            assert!(bytes <= most, "{bytes} of {most}");
            if metrics.contains("_disk_bytes ") {
                let (bytes, most) = (value("disk_bytes"), value("disk_bytes_max"));
                assert!(
                    bytes <= most && most <= DISK_BYTES as f64,
                    "{bytes} of {most}"
                );
                let waiting = [value("disk_queue_bytes"), value("disk_passing_bytes")];
                assert!(
                    waiting
                        .iter()
                        .all(|bytes| *bytes <= DISK_QUEUE_BYTES as f64)
                );
                seen.on_disk = seen.on_disk.max(bytes);
            }
            seen.samples += 1;
            seen.bytes = seen.bytes.max(bytes);
            seen.passing = seen.passing.max(value("cache_passing_bytes"));
            seen.resident = seen.resident.max(self.edge.resident_bytes());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        seen
    }
}

fn is_whole(number: u64, body: &Bytes) {
    assert_eq!(body.len() as u64, length(number), "of {number}");
    let is_its = body[..] == vec![octet(number); body.len()][..];
    assert!(is_its, "{number} has an octet of another");
}

/// How many requests the origin had heard when it gave this out.
fn given_at(reply: &Reply) -> usize {
    let number = reply.headers["x-number"].to_str().unwrap();
    number.parse().unwrap()
}

fn value(metrics: &str, name: &str) -> f64 {
    let name = format!("latencify_gateway_{name} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
    line.unwrap_or_else(|| panic!("no {name}:\n{metrics}"))
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_stays_within_its_bound_whatever_is_written() {
    let most = CACHE_BYTES + BESIDE_BYTES;
    let (storm, seen) = rage(CACHE_BYTES, |options| options).await;
    assert!(storm.written() > 2 * most, "{}", storm.written());
    assert!(seen.grown <= most, "{seen:?}");
}

/// Memory is too small for the larger bodies, which only the disk stores, and the disk for all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_both_tiers_hold_stays_within_their_bounds() {
    let (storm, seen) = rage(LITTLE_CACHE_BYTES, |options| {
        let folder = options.folder().join("disk");
        fs::create_dir(&folder).unwrap();
        options
            .flag("--disk", &folder.display().to_string())
            .flag("--disk-bytes", &format!("{}MiB", DISK_BYTES >> 20))
            .flag("--disk-wait", "10s")
    })
    .await;
    assert!(storm.written() > 2 * DISK_BYTES, "{}", storm.written());
    let most = LITTLE_CACHE_BYTES + BESIDE_BYTES + 2 * DISK_QUEUE_BYTES;
    assert!(seen.grown <= most, "{seen:?}");
    let metrics = storm.edge.metrics().await;
    let value = |name| value(&metrics, name);
    assert!(seen.on_disk > DISK_BYTES as f64 / 2.0, "{seen:?}");
    assert!(value("disk_evicted_total") > 0.0 && value("disk_found_total") > 0.0);
    let folder = storm.edge.folder().join("disk");
    let files = fs::read_dir(folder).unwrap();
    let bytes: u64 = files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes as usize <= DISK_BYTES + DISK_BESIDE_BYTES, "{bytes}");
}

/// A storm over an edge with so much memory.
async fn rage(
    cache_bytes: usize,
    options: impl FnOnce(EdgeOptions) -> EdgeOptions,
) -> (Storm, Seen) {
    let origin = origin().await;
    let edge = Edge::alone(&one_route(&origin.url(), "cache: true"))
        .flag("--cache-memory", &format!("{}MiB", cache_bytes >> 20));
    let edge = options(edge).start().await;
    assert_eq!(edge.get(HOST, "/first/7").await.status, 200);
    let before = edge.resident_bytes();
    let storm = Storm {
        edge,
        origin,
        written: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
    };
    let writers = async {
        join_all((0..WRITERS).map(|writer| storm.write(writer))).await;
        storm.is_over.store(true, Ordering::SeqCst);
    };
    let (mut seen, ..) = tokio::join!(
        storm.watch(),
        writers,
        join_all((0..SLOW_READERS).map(|reader| storm.read_slowly(reader))),
        join_all((0..STALLED_READERS).map(|reader| storm.stall(reader))),
        join_all((0..PURGED).map(|purger| storm.purge(purger))),
    );
    let metrics = storm.edge.metrics().await;
    let value = |name| value(&metrics, name);
    seen.grown = seen.resident.saturating_sub(before);
    let is_full = seen.samples > 0 && value("cache_evicted_total") > 0.0;
    assert!(is_full, "{seen:?}");
    assert!(value("cache_bytes_max") <= cache_bytes as f64);
    assert!(value("cache_bytes_peak") <= value("cache_bytes_max"));
    is_well_again(&storm.edge).await;
    (storm, seen)
}

/// Nothing is left of what was under way, and what is asked for is stored.
async fn is_well_again(edge: &Edge) {
    let under_way = ["cache_fills", "cache_passing_bytes", "requests_under_way"];
    wait_until("nothing is under way", SOON, async || {
        let metrics = edge.metrics().await;
        let left = under_way.map(|name| value(&metrics, name));
        if left.iter().all(|left| *left < 1.0) {
            Ok(())
        } else {
            Err(format!("{under_way:?}: {left:?}"))
        }
    })
    .await;
    edge.get(HOST, "/after/9").await;
    assert!(edge.get(HOST, "/after/9").await.is_hit());
}

/// As many clients as would fill memory four times over ask for large bodies of an origin that gives out little of each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_that_come_slowly_drive_out_nothing_that_is_read() {
    const HOT: usize = 40;
    const SLOW: usize = 16;
    let (let_go, is_let) = watch::channel(false);
    let origin = Origin::serve(move |call| {
        let mut is_let = is_let.clone();
        async move {
            if call.path().starts_with("/hot") {
                let hot = body::full(vec![7; 64 << 10]);
                return reply::of(hot).max_age(600).done();
            }
            let length = CACHE_BYTES / 4 - (64 << 10);
            let first = Bytes::from(vec![7; 64 << 10]);
            let rest = vec![7; length - first.len()];
            let rest = stream::once(async move {
                is_let.wait_for(|is_let| *is_let).await.unwrap();
                Ok(rest.into())
            });
            reply::of(body::streamed(stream::iter([Ok(first)]).chain(rest)))
                .header("content-length", length)
                .max_age(600)
                .done()
        }
    })
    .await;
    let edge = Edge::alone(&one_route(&origin.url(), "cache: true"))
        .flag("--cache-memory", &format!("{}MiB", CACHE_BYTES >> 20))
        .start()
        .await;
    let hot = async || {
        let asked = (0..HOT).map(|number| format!("/hot/{number}"));
        let replies = join_all(asked.map(async |path| edge.get(HOST, &path).await)).await;
        replies.iter().filter(|reply| reply.is_hit()).count()
    };
    assert_eq!((hot().await, hot().await, hot().await), (0, HOT, HOT));
    let client = edge.client();
    let ask = async |number| {
        let mut connection = client.connect(edge.http()).await.unwrap();
        let request = Client::request("GET", HOST, &format!("/slow/{number}"));
        let request = request.body(body::empty()).unwrap();
        let mut body = connection.stream(request).await.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        (connection, body)
    };
    let slow = join_all((0..SLOW).map(ask)).await;
    assert_eq!(hot().await, HOT);
    assert!(edge.metric("latencify_gateway_cache_filling_bytes").await > 0.0);
    let_go.send_replace(true);
    for (_connection, body) in slow {
        assert!(body.collect().await.is_ok(), "all of it comes");
    }
    is_well_again(&edge).await;
}
