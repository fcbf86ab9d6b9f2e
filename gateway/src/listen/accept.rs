//! The accept loop of one listener.

use super::{Bound, connection, tls::Acceptor};
use crate::drain::Drain;
use pingora::{
    apps::{HttpServerApp, ServerApp},
    protocols::{Stream, l4::listener::Listener},
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::timeout};
use tracing::{debug, warn};

/// Connections that one listener serves at a time; further ones wait in the kernel.
pub const CONNECTIONS_MAX: usize = 65_536;
/// A TLS handshake that takes longer is cut off.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(15);
/// After an accept that failed (out of file descriptors, mostly), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener and how its connections speak.
pub struct Endpoint {
    /// The socket.
    pub bound: Bound,
    /// TLS; none: plain HTTP/1.1.
    pub tls: Option<Arc<Acceptor>>,
}

/// Accepts until the drain begins. Each connection is a task of its own, which the drain waits for: a panic in one
/// ends it and nothing else.
pub async fn serve<A>(endpoint: Endpoint, app: Arc<A>, drain: Arc<Drain>)
where
    A: HttpServerApp + ServerApp + Send + Sync + 'static,
{
    let listener = Listener::from(endpoint.bound.listener);
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = drain.begun() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let (mut stream, slot) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(address = %endpoint.bound.address, %error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay() {
            debug!(%error, "connection gone before it was served");
            continue;
        }
        let (app, tls, draining) = (app.clone(), endpoint.tls.clone(), drain.clone());
        drain.spawn(async move {
            let _slot = slot;
            let Some(stream) = handshake(stream, tls, &draining).await else {
                return;
            };
            connection::serve(stream, app, &draining).await;
        });
    }
}

type Accepted = (
    pingora::protocols::l4::stream::Stream,
    tokio::sync::OwnedSemaphorePermit,
);

async fn accept(listener: &Listener, slots: &Arc<Semaphore>) -> std::io::Result<Accepted> {
    let slot = slots
        .clone()
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    Ok((listener.accept().await?, slot))
}

async fn handshake(
    stream: pingora::protocols::l4::stream::Stream,
    tls: Option<Arc<Acceptor>>,
    drain: &Drain,
) -> Option<Stream> {
    let Some(tls) = tls else {
        return Some(Box::new(stream));
    };
    tokio::select! {
        () = drain.begun() => None,
        done = timeout(HANDSHAKE_TIME_MAX, tls.handshake(stream)) => match done {
            Ok(Ok(stream)) => Some(Box::new(stream)),
            Ok(Err(error)) => {
                debug!(%error, "TLS handshake failed");
                None
            }
            Err(_) => {
                debug!("TLS handshake took longer than {HANDSHAKE_TIME_MAX:?}");
                None
            }
        },
    }
}
