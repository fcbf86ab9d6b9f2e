//! Serves a router on a bound address, with or without TLS, until told to stop; then what is under way is finished.
//!
//! Whoever reaches the address may connect; only a token makes a client's place its own:
//! - there are [`CONNECTIONS_MAX`] places, and strangers make way for newcomers ([`places`]);
//! - a stranger has [`TOKEN_MAX`](visit::TOKEN_MAX) from its first octet, which is none if it says nothing, and a TLS
//!   handshake before that;
//! - a connection without a request under way, of whatever version, is ended after [`IDLE_MAX`](visit::IDLE_MAX), however
//!   well it answers PINGs; one whose client takes nothing of what it is sent, or has no room for more of an answer, after
//!   [`TAKE_MAX`](visit::TAKE_MAX);
//! - after a stop, what is under way has [`FINISH_MAX`].
//!
//! Each end of this kind has a name ([`Cut`]), and is counted.

mod answer;
mod places;
#[cfg(test)]
mod tests;
mod visit;

pub use visit::{Cut, Terms, token_shown};

use crate::observe::connections::Connections;
use answer::{Answer, Looked};
use axum::{Router, body::Body};
use hyper::{Request, Response, body::Incoming, rt::Executor, service::Service as _};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use places::{CONNECTIONS_MAX, Found, Full, Place, Places};
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::{Instant, MissedTickBehavior},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use visit::Visit;

/// How long a TLS handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// HTTP/2 connections are asked so often whether they live, and have as long to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Between two looks whether a connection may stay.
const LOOK: Duration = Duration::from_secs(1);
/// How long a connection may take to end that was told to, unless something is under way on it.
const FAREWELL_MAX: Duration = Duration::from_secs(5);
/// How long what is under way may take after a stop; then it is cut off.
pub const FINISH_MAX: Duration = Duration::from_secs(15);
/// After an accept that failed (no more descriptors), before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Between two warnings that there is no place.
const WARN_PAUSE: Duration = Duration::from_mins(1);

/// What is served, and to whom.
#[derive(Clone)]
pub struct Served {
    /// What the address is called: `api`, `fleet`, `admin`.
    pub name: &'static str,
    /// Who has to show a token.
    pub terms: Terms,
    /// TLS; none: plain.
    pub tls: Option<TlsAcceptor>,
    /// The service.
    pub router: Router,
    /// Where connections are counted.
    pub connections: Connections,
}

/// The certificate (DER) that a client has presented in the TLS handshake, in the extensions of its requests. It was verified as
/// the address wants it.
#[derive(Debug, Clone)]
pub struct PeerCertificate(pub Arc<[u8]>);

/// The address that a connection came from, in the extensions of its requests.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Whatever is at work for connections: it ends with `cut`.
#[derive(Clone)]
struct Work {
    tasks: TaskTracker,
    stop: CancellationToken,
    cut: CancellationToken,
}

/// Serves until `stop`; returns when every connection is done, or cut off because it took too long.
pub async fn serve(listener: TcpListener, served: Served, stop: CancellationToken) {
    let work = Work {
        tasks: TaskTracker::new(),
        stop: stop.clone(),
        cut: CancellationToken::new(),
    };
    let places = Places::new();
    let mut warned = None;
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => enter(stream, from, &places, &served, &work, &mut warned),
            Err(error) => {
                tracing::warn!(address = served.name, %error, "a connection was not accepted");
                // If descriptors are wanting, a stranger has one.
                places.make_room();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    work.tasks.close();
    if tokio::time::timeout(FINISH_MAX, work.tasks.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            address = served.name,
            connections = places.taken(),
            after_s = FINISH_MAX.as_secs(),
            "what was under way at the stop is cut off: its clients sent no more, or took no more"
        );
        work.cut.cancel();
        work.tasks.wait().await;
    }
}

/// A newcomer gets a place, or is told by the end of its connection that there is none.
fn enter(
    stream: TcpStream,
    from: SocketAddr,
    places: &Arc<Places>,
    served: &Served,
    work: &Work,
    warned: &mut Option<Instant>,
) {
    let taken = places.take(from.ip());
    if !matches!(taken, Ok((_, Found::Free))) && warned.is_none_or(|at| at.elapsed() >= WARN_PAUSE)
    {
        *warned = Some(Instant::now());
        tell_of_want(served.name, from, &taken);
    }
    let Ok((place, _)) = taken else {
        served.connections.ended(served.name, Cut::Full);
        return;
    };
    let (place, served, attended) = (Arc::new(place), served.clone(), work.clone());
    work.tasks.spawn(async move {
        let _open = served.connections.opened(served.name);
        let cut = tokio::select! {
            cut = attend(stream, Arc::downgrade(&place), &served, &attended) => cut,
            () = place.made_way() => Some(Cut::CrowdedOut),
            () = attended.cut.cancelled() => Some(Cut::Stopping),
        };
        if let Some(cut) = cut {
            tracing::debug!(address = served.name, %from, reason = cut.as_str(), "a connection was ended");
            served.connections.ended(served.name, cut);
        }
    });
}

fn tell_of_want(address: &'static str, from: SocketAddr, taken: &Result<(Place, Found), Full>) {
    let places = CONNECTIONS_MAX;
    match taken {
        Ok((_, Found::Own)) => tracing::warn!(
            address,
            client = %from.ip(),
            most = places::STRANGERS_PER_ADDRESS_MAX,
            "too many connections of this client show no token: its oldest make way for newer ones; is it to reach this address?"
        ),
        Ok(_) => tracing::warn!(
            address,
            places,
            "every place is taken: those that have shown no token for longest make way for newer ones; keep this address \
             from whom it is not for"
        ),
        Err(Full) => tracing::warn!(
            address,
            places,
            "every place is taken by clients with a token: newcomers are turned away"
        ),
    }
}

/// Speaks with one client. None: it ended as connections do.
async fn attend(
    stream: TcpStream,
    place: Weak<Place>,
    served: &Served,
    work: &Work,
) -> Option<Cut> {
    // Deliveries and acks are small and must not wait for each other.
    let _ = stream.set_nodelay(true);
    let peer = stream.peer_addr().ok().map(Peer);
    let Some(tls) = &served.tls else {
        return speak(stream, place, served, work, (peer, None)).await;
    };
    match tokio::time::timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
        Ok(Ok(stream)) => {
            let presented = stream.get_ref().1.peer_certificates();
            let certificate = presented.and_then(|chain| chain.first());
            let certificate = certificate.map(|der| PeerCertificate(der.as_ref().into()));
            speak(stream, place, served, work, (peer, certificate)).await
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            Some(Cut::Handshake)
        }
        Err(_) => Some(Cut::Handshake),
    }
}

async fn speak<S>(
    stream: S,
    place: Weak<Place>,
    served: &Served,
    work: &Work,
    (peer, certificate): (Option<Peer>, Option<PeerCertificate>),
) -> Option<Cut>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let visit = Visit::new(served.terms, place);
    let builder = builder(served.terms, work);
    let stream = TokioIo::new(Looked::new(stream, Arc::clone(&visit)));
    let service = hyper::service::service_fn(|request| {
        answer(
            request,
            &served.router,
            &visit,
            (peer, certificate.as_ref()),
        )
    });
    let mut connection = std::pin::pin!(builder.serve_connection(stream, service));
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut stops, mut leaves) = (false, None);
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke");
                }
                return leaves.map(|(cut, _)| cut);
            }
            () = work.stop.cancelled(), if !stops => {
                stops = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = looks.tick() => match (visit.overstays(Instant::now()), leaves) {
                (Some(Cut::NotTaken), _) => return Some(Cut::NotTaken),
                (_, Some((cut, until))) if Instant::now() >= until && !visit.is_served() => {
                    return Some(cut);
                }
                (Some(cut), None) => {
                    leaves = Some((cut, Instant::now() + FAREWELL_MAX));
                    connection.as_mut().graceful_shutdown();
                }
                _ => {}
            },
        }
    }
}

fn builder(terms: Terms, work: &Work) -> Builder<Work> {
    let mut builder = Builder::new(work.clone());
    // Heads are waited for by the visit, in every version.
    builder
        .http2()
        .max_concurrent_streams(terms.streams_max())
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    builder
}

/// Asks the service, which may say that the request [has shown its token](token_shown).
fn answer(
    request: Request<Incoming>,
    router: &Router,
    visit: &Arc<Visit>,
    (peer, certificate): (Option<Peer>, Option<&PeerCertificate>),
) -> impl Future<Output = Result<Response<Answer>, Infallible>> + use<> {
    let (under_way, version) = (visit.request(), request.version());
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(Arc::clone(visit));
    if let Some(peer) = peer {
        request.extensions_mut().insert(peer);
    }
    if let Some(certificate) = certificate {
        request.extensions_mut().insert(certificate.clone());
    }
    let asked = TowerToHyperService::new(router.clone()).call(request);
    async move {
        Ok(asked
            .await?
            .map(|body| Answer::new(body, under_way, version)))
    }
}

impl<F> Executor<F> for Work
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let cut = self.cut.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stream => {}
                () = cut.cancelled() => {}
            }
        });
    }
}
