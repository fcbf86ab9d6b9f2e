//! The accept loop of one listener. It never stops while it runs: a connection over a limit is accepted and closed, so
//! that it neither hangs in the backlog nor takes the place of somebody else's.

use super::{
    Bound, backlog, connection, descriptors,
    descriptors::Spare,
    gate::{Gate, Slot},
    paced::Paced,
    proxy_protocol::{self, Outcome},
    tls::Acceptor,
};
use crate::{
    drain::Drain,
    observe::{Ended, Refused},
};
use futures::FutureExt as _;
use pingora::{
    apps::HttpServerApp,
    protocols::{GetSocketDigest as _, SocketDigest, Stream, l4::stream::Stream as Socket},
};
use socket2::SockRef;
use std::{io, net::SocketAddr, os::fd::AsRawFd as _, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, timeout_at},
};
use tracing::{debug, info, warn};

/// After an accept that failed with nothing to be done about it, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What a socket may hold that is not yet on its way: what a client that reads nothing costs the kernel.
const UNSENT_BYTES_MAX: u32 = 128 << 10;

/// A listener and how its connections speak.
pub struct Endpoint {
    /// The socket.
    pub bound: Bound,
    /// TLS; none: plain HTTP/1.1.
    pub tls: Option<Arc<Acceptor>>,
}

/// A connection that was let in, before its first octet is read.
struct Arrival {
    socket: TcpStream,
    peer: SocketAddr,
    slot: Slot,
    /// Whether it begins with a PROXY header, which names the client.
    is_proxied: bool,
}

/// Accepts until the drain begins. Each connection is a task of its own, which the drain waits for: a panic in one
/// ends it and nothing else.
pub async fn serve<A>(endpoint: Endpoint, app: Arc<A>, drain: Arc<Drain>, gate: Arc<Gate>)
where
    A: HttpServerApp + Send + Sync + 'static,
{
    let Endpoint { bound, tls } = endpoint;
    let mut exhaustion = Exhaustion {
        spare: Spare::new(),
        is_told: false,
    };
    loop {
        let accepted = tokio::select! {
            () = drain.begun() => break,
            accepted = bound.listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                exhaustion.is_over(bound.address);
                let Some(arrival) = enter(&gate, socket, peer) else {
                    continue;
                };
                let (app, tls, gate, draining) =
                    (app.clone(), tls.clone(), gate.clone(), drain.clone());
                drain.spawn(async move {
                    let Some((stream, backlog, _slot)) = welcome(arrival, tls, &gate).await else {
                        return;
                    };
                    connection::serve(stream, app, &draining, &gate, &backlog).await;
                });
            }
            Err(error) if descriptors::is_exhaustion(&error) => {
                if !exhaustion.turn_away(&bound.listener, bound.address, &gate, &error) {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            // The client was gone before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                warn!(address = %bound.address, %error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn enter(gate: &Arc<Gate>, socket: TcpStream, peer: SocketAddr) -> Option<Arrival> {
    let is_proxied = gate.limits.rules().door.expects_proxy_header(peer.ip());
    let Ok(slot) = gate.enter((!is_proxied).then_some(peer.ip())) else {
        turn_away(&socket);
        return None;
    };
    let options = SockRef::from(&socket);
    let _ = options.set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
    if let Err(error) = options.set_tcp_nodelay(true) {
        debug!(%error, "connection gone before it was served");
        return None;
    }
    Some(Arrival {
        socket,
        peer,
        slot,
        is_proxied,
    })
}

/// Closes with a reset: the client learns of it at once, and nothing of the connection stays behind.
fn turn_away(socket: &TcpStream) {
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

/// From the socket to where HTTP begins: PROXY header, TLS.
async fn welcome(
    arrival: Arrival,
    tls: Option<Arc<Acceptor>>,
    gate: &Arc<Gate>,
) -> Option<(Stream, Arc<backlog::Connection>, Slot)> {
    let mut slot = arrival.slot;
    let mut client = arrival.peer;
    let mut socket = Socket::from(arrival.socket);
    let digest = SocketDigest::from_raw_fd(socket.as_raw_fd());
    // A new cell is empty.
    let _ = digest.peer_addr.set(Some(arrival.peer.into()));
    socket.set_socket_digest(digest);
    // One time for all that comes before HTTP.
    let time_max = gate.limits.now().handshake_time;
    let until = Instant::now() + time_max;
    if arrival.is_proxied {
        match proxy_protocol::receive(&mut socket, time_max).await {
            Ok(received) => {
                gate.metrics.proxy_header(Outcome::Received);
                client = received.client.unwrap_or(client);
                slot.belongs_to(client.ip()).ok()?;
            }
            Err(refused) => {
                gate.metrics.proxy_header(refused.outcome());
                debug!(peer = %arrival.peer, %refused, "PROXY header refused");
                return None;
            }
        }
    }
    let backlog = gate.backlog.connection(client.ip());
    let paced = Paced::new(socket, gate.clone(), backlog.clone());
    let Some(tls) = tls else {
        return Some((Box::new(paced), backlog, slot));
    };
    // Not cut off by a drain: whoever is here was accepted, and is served a request.
    let secured = async {
        let mut paced = paced;
        let chosen = tls.choose(paced.inner_mut()).await?;
        // Now that it has said hello: who connects alone costs nothing that is counted here.
        if gate.shake_hands(client.ip()).is_err() {
            return Ok(None);
        }
        chosen.handshake(paced).await.map(Some)
    };
    match timeout_at(until, secured).await {
        Ok(Ok(stream)) => Some((Box::new(stream?), backlog, slot)),
        Ok(Err(error)) => {
            gate.metrics.ended(Ended::Handshake);
            debug!(%error, "TLS handshake failed");
            None
        }
        Err(_) => {
            gate.metrics.ended(Ended::HandshakeTime);
            debug!("TLS handshake took longer than {time_max:?}");
            None
        }
    }
}

/// The time without file descriptors, told once.
struct Exhaustion {
    spare: Spare,
    is_told: bool,
}

impl Exhaustion {
    /// Closes a connection that there is no descriptor for; false: not even that was possible. The system tells of the
    /// want of a descriptor also when nobody waits to be accepted.
    fn turn_away(
        &mut self,
        listener: &TcpListener,
        address: SocketAddr,
        gate: &Gate,
        error: &io::Error,
    ) -> bool {
        if !std::mem::replace(&mut self.is_told, true) {
            warn!(
                %address, %error,
                "no file descriptor is left: new connections are closed until some are given back; raise LimitNOFILE= (systemd) or ulimit -n"
            );
        }
        let mut done = false;
        // Asked once, with a waker that wakes nobody: the loop's own accept, which comes next, registers its own.
        self.spare.lend(|| match listener.accept().now_or_never() {
            Some(Ok((socket, _))) => {
                gate.metrics.refused(Refused::OutOfDescriptors);
                turn_away(&socket);
                done = true;
            }
            Some(Err(_)) => {}
            None => done = true,
        });
        done
    }

    fn is_over(&mut self, address: SocketAddr) {
        if std::mem::take(&mut self.is_told) {
            info!(%address, "there are file descriptors again");
        }
    }
}
