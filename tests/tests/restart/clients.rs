//! Clients that never retry. A request that was sent and is not answered in full is a failure, whatever the reason.

use super::{HOST, LONG, LONG_BYTES, LONG_OCTET, SMALL_BODY, SMALLS, speech::Line};
use anyhow::{Context, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use latencify_tests::{Authority, Client, wait_until};
use parking_lot::Mutex;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// Between two requests of a client; each has another one, so that they do not march in step.
const THINK: Duration = Duration::from_millis(7);
/// Before each piece of a download.
const SLOWLY: Duration = Duration::from_millis(5);
const PIECE_BYTES: usize = 32 * 1024;
/// Requests on an HTTP/2 connection before a client opens another one by itself.
const REQUESTS_PER_HTTP2: usize = 200;

pub struct Clients {
    world: Arc<World>,
    tasks: Vec<JoinHandle<()>>,
}

struct World {
    http: SocketAddr,
    https: SocketAddr,
    tls: tokio_rustls::TlsConnector,
    http2: tokio_rustls::TlsConnector,
    is_over: AtomicBool,
    tallies: Mutex<Vec<Arc<Tally>>>,
}

/// What one client has seen.
pub struct Tally {
    kind: &'static str,
    answered: AtomicU64,
    connections: AtomicU64,
    /// Connections that the server closed while nothing was asked.
    closed_idle: AtomicU64,
    longest: Mutex<Duration>,
    failures: Mutex<Vec<String>>,
}

/// What all have seen.
#[derive(Debug, Default)]
pub struct Summary {
    pub answered: u64,
    pub connections: u64,
    pub closed_idle: u64,
    /// The longest time from wanting to ask to the whole answer, of small requests.
    pub longest: Duration,
    pub failures: Vec<String>,
}

impl Clients {
    pub fn new(http: SocketAddr, https: SocketAddr, authority: &Authority) -> Self {
        let tls = |protocol: &[u8]| authority.client(&[protocol]).into();
        let world = World {
            http,
            https,
            tls: tls(b"http/1.1"),
            http2: tls(b"h2"),
            is_over: AtomicBool::new(false),
            tallies: Mutex::default(),
        };
        Self {
            world: Arc::new(world),
            tasks: Vec::new(),
        }
    }

    /// HTTP/1.1 with keepalive.
    pub fn plain(&mut self, count: u32) {
        for index in 0..count {
            self.spawn("plain", move |world, tally| {
                keepalive(world, tally, false, THINK * index)
            });
        }
    }

    /// The same over TLS.
    pub fn tls(&mut self, count: u32) {
        for index in 0..count {
            self.spawn("tls", move |world, tally| {
                keepalive(world, tally, true, THINK * (1 + index))
            });
        }
    }

    /// HTTP/2, so many streams at a time on each connection.
    pub fn http2(&mut self, connections: u32, streams: usize) {
        for _ in 0..connections {
            self.spawn("http2", move |world, tally| {
                multiplexed(world, tally, streams)
            });
        }
    }

    /// A slow download after the other: plain, over TLS, and over HTTP/2.
    pub fn downloads(&mut self) {
        self.spawn("plain download", |world, tally| {
            download(world, tally, false)
        });
        self.spawn("tls download", |world, tally| download(world, tally, true));
        self.spawn("http2 download", download_http2);
    }

    fn spawn<R: Future<Output = ()> + Send + 'static>(
        &mut self,
        kind: &'static str,
        run: impl FnOnce(Arc<World>, Arc<Tally>) -> R,
    ) {
        let tally = Arc::new(Tally {
            kind,
            answered: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            closed_idle: AtomicU64::new(0),
            longest: Mutex::default(),
            failures: Mutex::default(),
        });
        self.world.tallies.lock().push(tally.clone());
        self.tasks
            .push(tokio::spawn(run(self.world.clone(), tally)));
    }

    /// Waits until every client but the downloads has got so many more answers.
    pub async fn more_answers(&self, count: u64) {
        let tallies = self.world.tallies.lock().clone();
        let before: Vec<_> = tallies
            .iter()
            .map(|tally| tally.answered.load(SeqCst))
            .collect();
        wait_until(
            "every client has got more answers",
            super::SOON,
            async || {
                let behind = tallies.iter().zip(&before).find(|(tally, before)| {
                    !tally.kind.ends_with("download")
                        && tally.answered.load(SeqCst) < **before + count
                });
                match behind {
                    Some((tally, before)) => Err(format!(
                        "{} has {} after {before}; failures {:?}",
                        tally.kind,
                        tally.answered.load(SeqCst),
                        tally.failures.lock()
                    )),
                    None => Ok(()),
                }
            },
        )
        .await;
    }

    /// Lets everybody finish what they are at; what they have seen.
    pub async fn stop(self) -> Summary {
        self.world.is_over.store(true, SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
        let mut all = Summary::default();
        for tally in self.world.tallies.lock().iter() {
            all.answered += tally.answered.load(SeqCst);
            all.connections += tally.connections.load(SeqCst);
            all.closed_idle += tally.closed_idle.load(SeqCst);
            all.longest = all.longest.max(*tally.longest.lock());
            let failures = tally.failures.lock();
            all.failures
                .extend(failures.iter().map(|why| format!("{}: {why}", tally.kind)));
        }
        all
    }
}

impl Tally {
    fn answered(&self, since: Instant) {
        self.answered.fetch_add(1, SeqCst);
        let mut longest = self.longest.lock();
        *longest = longest.max(since.elapsed());
    }

    fn failed(&self, why: &anyhow::Error) {
        self.failures.lock().push(format!("{why:#}"));
    }
}

impl World {
    fn goes_on(&self) -> bool {
        !self.is_over.load(SeqCst)
    }

    async fn line(&self, is_tls: bool, tally: &Tally) -> anyhow::Result<Line> {
        tally.connections.fetch_add(1, SeqCst);
        if !is_tls {
            return Ok(Line::new(Client::new().tcp(self.http).await?));
        }
        let stream = Client::new().tcp(self.https).await?;
        let name = HOST.try_into().unwrap();
        Ok(Line::new(
            self.tls.connect(name, stream).await.context("TLS")?,
        ))
    }

    async fn http2(&self, tally: &Tally) -> anyhow::Result<SendRequest<Bytes>> {
        tally.connections.fetch_add(1, SeqCst);
        let stream = Client::new().tcp(self.https).await?;
        let name = HOST.try_into().unwrap();
        let stream = self.http2.connect(name, stream).await.context("TLS")?;
        let (sender, connection) = h2::client::handshake(stream).await.context("HTTP/2")?;
        tokio::spawn(async move {
            // What goes wrong, the sender learns.
            let _ = connection.await;
        });
        Ok(sender)
    }
}

async fn keepalive(world: Arc<World>, tally: Arc<Tally>, is_tls: bool, think: Duration) {
    let mut kept: Option<Line> = None;
    let mut smalls = SMALLS.iter().cycle();
    while world.goes_on() {
        tokio::time::sleep(think).await;
        let since = Instant::now();
        let line = match kept.take() {
            Some(mut line) => {
                if line.is_closed() {
                    tally.closed_idle.fetch_add(1, SeqCst);
                    continue;
                }
                Ok(line)
            }
            None => world.line(is_tls, &tally).await,
        };
        let asked = async {
            let mut line = line?;
            let path = smalls.next().context("they go round")?;
            line.ask(HOST, path).await?;
            let answer = line.head().await?;
            let (status, closes) = (answer.status, answer.closes);
            let body = line.body(answer, Duration::ZERO).await?;
            ensure!(
                status == 200 && body == SMALL_BODY.as_bytes(),
                "{status} {}",
                body.escape_ascii()
            );
            Ok((!closes).then_some(line))
        };
        match asked.await {
            Ok(line) => {
                tally.answered(since);
                kept = line;
            }
            Err(why) => tally.failed(&why),
        }
    }
}

async fn download(world: Arc<World>, tally: Arc<Tally>, is_tls: bool) {
    while world.goes_on() {
        let loaded = async {
            let mut line = world.line(is_tls, &tally).await?;
            line.ask(HOST, LONG).await?;
            let answer = line.head().await?;
            let status = answer.status;
            let body = line.body(answer, SLOWLY).await?;
            check_download(status, &body)
        };
        match loaded.await {
            Ok(()) => {
                tally.answered.fetch_add(1, SeqCst);
            }
            Err(why) => tally.failed(&why),
        }
    }
}

fn check_download(status: u16, body: &[u8]) -> anyhow::Result<()> {
    let is_whole = body.len() as u64 == LONG_BYTES && body.iter().all(|octet| *octet == LONG_OCTET);
    ensure!(
        status == 200 && is_whole,
        "{status}, {} octets of {LONG_BYTES}",
        body.len()
    );
    Ok(())
}

/// Asks over the connection; `None`: the server has said that it takes no more, and not an octet was sent.
async fn ask_http2(
    sender: &mut SendRequest<Bytes>,
    path: &str,
    pause: Duration,
) -> anyhow::Result<Option<(u16, Vec<u8>)>> {
    let uri = format!("https://{HOST}{path}");
    let request = http::Request::get(uri).body(()).unwrap();
    let ready = match sender.clone().ready().await {
        Ok(mut ready) => ready.send_request(request, true),
        Err(error) => Err(error),
    };
    let Ok((response, _)) = ready else {
        return Ok(None);
    };
    let response = response.await.context("request")?;
    let status = response.status().as_u16();
    let mut incoming = response.into_body();
    let mut octets = Vec::new();
    while let Some(data) = incoming.data().await {
        let data = data.context("body")?;
        incoming.flow_control().release_capacity(data.len())?;
        let pieces = octets.len() / PIECE_BYTES;
        octets.extend_from_slice(&data);
        // A frame may hold one octet.
        if octets.len() / PIECE_BYTES > pieces {
            tokio::time::sleep(pause).await;
        }
    }
    Ok(Some((status, octets)))
}

async fn multiplexed(world: Arc<World>, tally: Arc<Tally>, streams: usize) {
    while world.goes_on() {
        let began = Instant::now();
        let sender = match world.http2(&tally).await {
            Ok(sender) => sender,
            Err(why) => {
                tally.failed(&why);
                continue;
            }
        };
        let streams = (0..streams).map(|index| {
            let (mut sender, world, tally) = (sender.clone(), &world, &tally);
            async move {
                let mut since = began;
                for path in SMALLS.iter().cycle().take(REQUESTS_PER_HTTP2) {
                    match ask_http2(&mut sender, path, Duration::ZERO).await {
                        Ok(None) => return,
                        Ok(Some((200, body))) if body == SMALL_BODY.as_bytes() => {
                            tally.answered(since);
                        }
                        Ok(Some(other)) => tally.failed(&anyhow::anyhow!("{other:?}")),
                        Err(why) => {
                            tally.failed(&why);
                            return;
                        }
                    }
                    if !world.goes_on() {
                        return;
                    }
                    tokio::time::sleep(THINK * (1 + index as u32)).await;
                    since = Instant::now();
                }
            }
        });
        futures::future::join_all(streams).await;
    }
}

async fn download_http2(world: Arc<World>, tally: Arc<Tally>) {
    while world.goes_on() {
        let loaded = async {
            let mut sender = world.http2(&tally).await?;
            let Some((status, body)) = ask_http2(&mut sender, LONG, SLOWLY).await? else {
                // Closed before anything was asked.
                return Ok(());
            };
            check_download(status, &body)?;
            tally.answered.fetch_add(1, SeqCst);
            Ok(())
        };
        if let Err(why) = loaded.await {
            tally.failed(&why);
        }
    }
}
