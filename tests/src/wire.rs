//! A TCP path between two programs that a test can spoil, one direction apart from the other, or cut; or on which
//! somebody alters what passes.

use crate::Port;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, sleep_until},
};

/// The most octets that are taken in one go.
const PART: usize = 16 * 1024;

/// What happens to octets on their way in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// They pass.
    Passes,
    /// They are accepted and vanish: half of a half-open connection. What has lost octets never passes again; it breaks
    /// when the wire is mended.
    Vanishes,
    /// They pass so much later.
    Late(Duration),
    /// They pass one at a time, with that pause between two.
    Drips(Duration),
}

/// How the wire is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// Towards the server.
    pub up: Flow,
    /// Towards the client.
    pub down: Flow,
}

impl Weather {
    /// Everything passes.
    pub const FINE: Self = Self {
        up: Flow::Passes,
        down: Flow::Passes,
    };
    /// Nothing passes.
    pub const CUT: Self = Self {
        up: Flow::Vanishes,
        down: Flow::Vanishes,
    };
}

/// Passes connections on to a server as the weather is.
pub struct Wire {
    port: Port,
    state: watch::Sender<State>,
    breaks: watch::Sender<u64>,
    /// How many connections there were.
    accepted: Arc<AtomicU64>,
    forgery: Option<Arc<Forgery>>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    weather: Weather,
    /// The number of the first connection whose answers pass.
    answered_from: u64,
}

/// One octet of the server's that becomes another, once.
#[derive(Default)]
struct Forgery {
    armed: AtomicBool,
    altered: AtomicUsize,
}

impl Wire {
    /// Listens on 127.0.0.1 before that server; everything passes.
    pub async fn before(server: SocketAddr) -> Self {
        Self::with(server, None).await
    }

    /// Likewise, with somebody on it who can [alter](Self::alters) what passes.
    pub async fn altering(server: SocketAddr) -> Self {
        Self::with(server, Some(Arc::default())).await
    }

    /// An octet of what the server says next becomes another.
    pub fn alters(&self) {
        if let Some(forgery) = &self.forgery {
            forgery.armed.store(true, SeqCst);
        }
    }

    async fn with(server: SocketAddr, forgery: Option<Arc<Forgery>>) -> Self {
        let port = Port::reserve();
        let listener = TcpListener::bind(port.here()).await.unwrap();
        let (state, now) = watch::channel(State {
            weather: Weather::FINE,
            answered_from: 0,
        });
        let (breaks, broken) = watch::channel(0);
        let accepted = Arc::<AtomicU64>::default();
        let (count, forges) = (Arc::clone(&accepted), forgery.clone());
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let path = Path {
                    number: count.fetch_add(1, SeqCst),
                    state: now.clone(),
                    forgery: forges.clone(),
                };
                connections.spawn(connection(client, server, path, broken.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            port,
            state,
            breaks,
            accepted,
            forgery,
            accepting,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.here()
    }

    /// `https://ADDRESS`: what passes is TLS between its two ends.
    pub fn url(&self) -> String {
        format!("https://{}", self.port.here())
    }

    /// From now on it is so, for connections that are there and for new ones.
    pub fn becomes(&self, weather: Weather) {
        self.state.send_modify(|state| state.weather = weather);
    }

    /// Nothing passes any more: connections stay up and are silent, and new ones are accepted and silent, as behind a
    /// firewall that drops packets.
    pub fn cut(&self) {
        self.becomes(Weather::CUT);
    }

    /// New connections pass again, and those that have lost octets break.
    pub fn mend(&self) {
        self.becomes(Weather::FINE);
    }

    /// On the connections that there are, what the server says passes no more, ever; new ones pass both ways.
    pub fn hold_answers(&self) {
        let new = self.accepted.load(SeqCst);
        self.state.send_modify(|state| state.answered_from = new);
    }

    /// How often something was altered.
    pub fn altered(&self) -> usize {
        let altered = self.forgery.as_ref();
        altered.map_or(0, |forgery| forgery.altered.load(SeqCst))
    }

    /// Every connection that is there breaks.
    pub fn breaks(&self) {
        self.breaks.send_modify(|number| *number += 1);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Forgery {
    /// Alters the last octet, if it is to.
    fn apply(&self, octets: &mut [u8]) {
        if let Some(last) = octets.last_mut()
            && self.armed.swap(false, SeqCst)
        {
            *last ^= 1;
            self.altered.fetch_add(1, SeqCst);
        }
    }
}

/// What a connection knows of its wire.
#[derive(Clone)]
struct Path {
    number: u64,
    state: watch::Receiver<State>,
    forgery: Option<Arc<Forgery>>,
}

/// A direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Towards {
    Server,
    Client,
}

impl Path {
    /// What happens to octets in that direction now.
    fn flow(&mut self, towards: Towards) -> Flow {
        let state = *self.state.borrow_and_update();
        match towards {
            Towards::Server => state.weather.up,
            Towards::Client if self.number < state.answered_from => Flow::Vanishes,
            Towards::Client => state.weather.down,
        }
    }

    fn is_cut(&self) -> bool {
        self.state.borrow().weather == Weather::CUT
    }

    /// Waits until they no longer vanish.
    async fn mended(&mut self, towards: Towards) {
        while self.flow(towards) == Flow::Vanishes {
            if self.state.changed().await.is_err() {
                return;
            }
        }
    }
}

async fn connection(
    client: TcpStream,
    server: SocketAddr,
    mut path: Path,
    mut broken: watch::Receiver<u64>,
) {
    broken.mark_unchanged();
    if path.is_cut() {
        // It is silent, and the server does not hear of it.
        tokio::select! {
            () = path.mended(Towards::Server) => {}
            _ = broken.changed() => {}
        }
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let up = pass(from_client, to_server, path.clone(), Towards::Server);
    let down = pass(from_server, to_client, path, Towards::Client);
    // A connection that breaks, breaks for both sides.
    tokio::select! {
        () = up => {}
        () = down => {}
        _ = broken.changed() => {}
    }
}

/// Passes octets on until one end is gone, or until the wire is mended after octets vanished.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut path: Path, towards: Towards) {
    let mut octets = vec![0; PART];
    let mut has_lost = false;
    loop {
        let flow = path.flow(towards);
        if has_lost && flow != Flow::Vanishes {
            return;
        }
        let length = tokio::select! {
            read = from.read(&mut octets) => match read {
                // While octets vanish, so does the end of the connection.
                Ok(0) | Err(_) if flow == Flow::Vanishes => {
                    return path.mended(towards).await;
                }
                Ok(0) | Err(_) => return,
                Ok(length) => length,
            },
            changed = path.state.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        let part = &mut octets[..length];
        if towards == Towards::Client
            && let Some(forgery) = &path.forgery
        {
            forgery.apply(part);
        }
        // The weather may have changed while nothing came.
        let flow = path.flow(towards);
        let passed = match flow {
            Flow::Passes => to.write_all(part).await,
            Flow::Vanishes => {
                has_lost = true;
                Ok(())
            }
            Flow::Late(by) => {
                sleep_until(Instant::now() + by).await;
                to.write_all(part).await
            }
            Flow::Drips(pause) => drip(&mut to, part, pause, &mut path, towards).await,
        };
        if passed.is_err() {
            return;
        }
    }
}

/// One octet at a time, until the rest may pass at once.
async fn drip(
    to: &mut OwnedWriteHalf,
    part: &[u8],
    pause: Duration,
    path: &mut Path,
    towards: Towards,
) -> std::io::Result<()> {
    for (at, octet) in part.iter().enumerate() {
        if path.flow(towards) == Flow::Passes {
            return to.write_all(part.get(at..).unwrap_or_default()).await;
        }
        to.write_all(std::slice::from_ref(octet)).await?;
        sleep(pause).await;
    }
    Ok(())
}
