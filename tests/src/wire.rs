//! A TCP path between two programs that a test can spoil, one direction apart from the other.

use crate::Port;
use std::{net::SocketAddr, time::Duration};
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
    weather: watch::Sender<Weather>,
    breaks: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

impl Wire {
    /// Listens on 127.0.0.1 before that server; everything passes.
    pub async fn before(server: SocketAddr) -> Self {
        let port = Port::reserve();
        let listener = TcpListener::bind(port.here()).await.unwrap();
        let (weather, now) = watch::channel(Weather::FINE);
        let (breaks, broken) = watch::channel(0);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(connection(client, server, now.clone(), broken.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            port,
            weather,
            breaks,
            accepting,
        }
    }

    /// `http://ADDRESS`.
    pub fn url(&self) -> String {
        format!("http://{}", self.port.here())
    }

    /// From now on it is so, for connections that are there and for new ones.
    pub fn becomes(&self, weather: Weather) {
        self.weather.send_replace(weather);
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

async fn connection(
    client: TcpStream,
    server: SocketAddr,
    weather: watch::Receiver<Weather>,
    mut broken: watch::Receiver<u64>,
) {
    broken.mark_unchanged();
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let up = pass(from_client, to_server, weather.clone(), |now| now.up);
    let down = pass(from_server, to_client, weather, |now| now.down);
    // A connection that breaks, breaks for both sides.
    tokio::select! {
        () = up => {}
        () = down => {}
        _ = broken.changed() => {}
    }
}

/// Passes octets on until one end is gone, or until the wire is mended after octets vanished.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    direction: impl Fn(&Weather) -> Flow,
) {
    let mut octets = vec![0; PART];
    let mut has_lost = false;
    loop {
        let flow = direction(&weather.borrow_and_update());
        if has_lost && flow != Flow::Vanishes {
            return;
        }
        let length = tokio::select! {
            read = from.read(&mut octets) => match read {
                // While octets vanish, so does the end of the connection.
                Ok(0) | Err(_) if flow == Flow::Vanishes => {
                    let mended = weather.wait_for(|now| direction(now) != Flow::Vanishes);
                    let _ = mended.await;
                    return;
                }
                Ok(0) | Err(_) => return,
                Ok(length) => length,
            },
            changed = weather.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        let part = octets.get(..length).unwrap_or_default();
        // The weather may have changed while nothing came.
        let flow = direction(&weather.borrow_and_update());
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
            Flow::Drips(pause) => drip(&mut to, part, pause, &weather, &direction).await,
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
    weather: &watch::Receiver<Weather>,
    direction: &impl Fn(&Weather) -> Flow,
) -> std::io::Result<()> {
    for (at, octet) in part.iter().enumerate() {
        if direction(&weather.borrow()) == Flow::Passes {
            return to.write_all(part.get(at..).unwrap_or_default()).await;
        }
        to.write_all(std::slice::from_ref(octet)).await?;
        sleep(pause).await;
    }
    Ok(())
}
