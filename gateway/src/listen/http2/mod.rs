//! HTTP/2 connections. The frames are Pingora's and h2's; ours are the limits, and how a connection ends: with a GOAWAY
//! that the client can act on, whether it has been idle, has had its share of requests, or was too much.
//!
//! # Characters
//! - [`frames`]: octets → what passes, and [`mod@write`], pure; [`watch`] with [`counts`], [`credit`], [`library`] and [`stream`]: what of it
//!   is too much, or too slow, pure.
//! - [`watched`]: the stream between TLS and the library, where frames pass; [`word`]: what it and the loop here tell each other.
//! - [`ahead`] with [`inbound`], [`own`], [`share`], [`terms`], [`room`] and [`goodbye`]: requests that memory answers there, before the
//!   library sees them; [`answered`]: how, and those that memory answers from a stream of the library's.
//! - [`ledger`] and [`refused`]: requests that nobody takes up, and what is told of them; [`causes`]: why others are cut off.

mod ahead;
mod answered;
mod causes;
mod counts;
mod credit;
mod flow;
mod frames;
mod goodbye;
mod inbound;
mod ledger;
mod library;
mod own;
mod refused;
mod room;
mod share;
mod stream;
mod terms;
#[cfg(test)]
mod tests;
mod watch;
mod watched;
mod word;
mod write;

use super::{backlog, gate::Gate};
use crate::{drain::Drain, edge::Edge, observe::Ended};
use answered::Decision;
use bytes::Bytes;
use causes::CONNECTION;
use h2::Reason;
use latencify_conf::policy::EdgeLimits;
use pingora::{
    apps::HttpServerApp,
    protocols::{
        Digest, Stream,
        http::{
            ServerSession,
            v2::server::{H2Accept, H2Options, HttpSession, default_h2_options, handshake},
        },
    },
};
use refused::Books;
use std::{future::poll_fn, pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::watch::{Receiver, Sender, channel},
    time::{Instant, sleep_until, timeout},
};
use tracing::debug;
use watch::GOODBYE_TIME_MAX;
use watched::Watched;
use word::Word;

pub use answered::take_decided;
pub use causes::cut_of_stream;

/// Between the GOAWAY that says that the connection is to end and the one that names the last stream: who had begun a
/// request before hearing of it, or answers pings ahead of what waits to be sent, has so long to get it here. What comes
/// after the second is not served.
const LAST_STREAM_AFTER: Duration = Duration::from_millis(250);
/// Octets of a response that are taken from it ahead of the client's window.
const SEND_BUFFER_BYTES_MAX: usize = 128 << 10;

/// What is done about a connection next.
enum Next {
    Accepted(pingora::Result<Option<H2Accept>>),
    Leave(Option<Ended>),
    LastStream,
    Cut,
    Ended(Ended),
    /// The client broke the protocol before the library saw it.
    Failed(Reason),
    Gone,
}

/// Counts a request of the connection until it is dropped.
struct Active(Sender<usize>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0
            .send_modify(|active| *active = active.saturating_sub(1));
    }
}

/// Serves one connection to its end.
pub(super) async fn serve<A>(
    stream: Stream,
    app: Arc<A>,
    drain: &Drain,
    gate: &Arc<Gate>,
    backlog: &Arc<backlog::Connection>,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    let word = Arc::new(Word::default());
    let digest = digest(&stream);
    let mut books = Books::open(gate.clone(), word.clone(), &stream);
    // Once for both: what the library would cut short must not pass for whole.
    let limits = gate.limits.now();
    let watched = Watched::new(stream, &limits, gate.clone(), backlog.clone(), word.clone());
    let options = options(&limits);
    let mut connection = tokio::select! {
        biased;
        why = word.ended() => {
            told(gate, why);
            return;
        }
        shaken = handshake(Box::new(watched), Some(options)) => match shaken {
            Ok(connection) => connection,
            Err(error) => {
                debug!(%error, "HTTP/2 did not begin");
                return;
            }
        },
    };
    let shutdown = drain.watch();
    let (active, mut actives) = channel(0);
    let mut stopping = pin!(drain.begun());
    let mut is_leaving = false;
    let mut last_stream = None;
    let mut is_cut = false;
    loop {
        let limits = gate.limits.now();
        let next = tokio::select! {
            biased;
            why = word.ended() => Next::Ended(why),
            reason = word.failed() => Next::Failed(reason),
            () = &mut stopping, if !is_leaving => Next::Leave(None),
            () = until(last_stream), if last_stream.is_some() => Next::LastStream,
            () = drain.cutting(), if !is_cut => Next::Cut,
            () = word.filled(&gate.limits), if !is_leaving => Next::Leave(Some(Ended::Requests)),
            accepted = asked(&mut books, HttpSession::from_h2_conn(&mut connection, digest.clone())) => Next::Accepted(accepted),
            () = unused(&mut actives, &word, if is_leaving { GOODBYE_TIME_MAX } else { limits.idle }) => {
                if is_leaving { Next::Gone } else { Next::Leave(Some(Ended::Idle)) }
            }
        };
        match next {
            Next::Accepted(Ok(Some(H2Accept::Session(mut session)))) => {
                books.take();
                let decision = ahead::take_decision(&mut session, &word);
                active.send_modify(|active| *active += 1);
                let guard = Active(active.clone());
                let (app, door, shutdown) = (app.clone(), gate.clone(), shutdown.clone());
                let backlog = backlog.clone();
                drain.spawn(CONNECTION.scope(word.clone(), async move {
                    let _guard = guard;
                    let serving = request(session, decision, &app, door.edge.get(), &shutdown);
                    backlog.serve(serving).await;
                }));
            }
            Next::Accepted(Ok(Some(H2Accept::Rejected))) => {}
            Next::Gone => return,
            Next::Accepted(ended @ (Ok(None) | Err(_))) => {
                // The library may have met a limit of its own, and said so to the client.
                if let Some(why) = word.ended_already() {
                    told(gate, why);
                } else {
                    // Clients that go without a word are common, and no news.
                    debug!(error = ?ended.err(), "HTTP/2 connection ended");
                }
                return;
            }
            Next::Leave(why) => {
                is_leaving = true;
                if let Some(why) = why {
                    told(gate, why);
                }
                word.say_going();
                last_stream = Some(Instant::now() + LAST_STREAM_AFTER);
            }
            Next::LastStream => {
                last_stream = None;
                connection.graceful_shutdown();
            }
            Next::Cut => {
                is_cut = true;
                word.cut();
            }
            Next::Failed(reason) => {
                debug!(%reason, "HTTP/2 connection ended");
                connection.abrupt_shutdown(reason);
                let _ = timeout(GOODBYE_TIME_MAX, close(&mut connection)).await;
                return;
            }
            Next::Ended(why) => {
                told(gate, why);
                connection.abrupt_shutdown(match why {
                    Ended::DrainTime => Reason::NO_ERROR,
                    _ => Reason::ENHANCE_YOUR_CALM,
                });
                let _ = timeout(GOODBYE_TIME_MAX, close(&mut connection)).await;
                return;
            }
        }
    }
}

/// Serves one request: from memory, or by Pingora.
async fn request<A>(
    mut session: HttpSession,
    decision: Option<Decision>,
    app: &Arc<A>,
    edge: Option<&Arc<Edge>>,
    shutdown: &Receiver<bool>,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    let mut decided = None;
    if let Some(edge) = edge {
        let ctx = match decision {
            Some(decision) => Some(answered::take_up(edge, &mut session, decision).await),
            None if answered::may_answer(&session) => {
                Some((answered::decide(edge, &mut session).await, true))
            }
            None => None,
        };
        if let Some((ctx, may_be_stored)) = ctx {
            let answering = answered::answer(edge, session, ctx, may_be_stored);
            let Some((passed, ctx)) = answering.await else {
                return;
            };
            (session, decided) = (passed, Some(ctx));
        }
    }
    let session = ServerSession::new_http2(session);
    answered::with_decided(decided, app.process_new_http(session, shutdown)).await;
}

/// Asks for the next request, and keeps the books.
async fn asked<T>(books: &mut Books, next: impl Future<Output = T>) -> T {
    let mut next = pin!(next);
    poll_fn(|cx| books.heed(next.as_mut().poll(cx))).await
}

/// Writes the GOAWAY and closes; what the client goes on sending is not read.
async fn close(connection: &mut h2::server::Connection<Stream, Bytes>) {
    let _ = poll_fn(|cx| connection.poll_closed(cx)).await;
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Waits until there has been no request for so long.
async fn unused(actives: &mut Receiver<usize>, word: &Word, time: Duration) {
    // The sender lives as long as the connection.
    let _ = actives.wait_for(|active| *active == 0).await;
    let mut since = Instant::now();
    loop {
        sleep_until(since + time).await;
        match word.last_answered().map(Instant::from_std) {
            Some(answered) if answered > since => since = answered,
            _ => return,
        }
    }
}

fn told(gate: &Gate, why: Ended) {
    gate.metrics.ended(why);
    debug!(limit = why.name(), "connection ended");
}

fn digest(stream: &Stream) -> Arc<Digest> {
    Arc::new(Digest {
        ssl_digest: stream.get_ssl_digest(),
        timing_digest: stream.get_timing_digest(),
        proxy_digest: stream.get_proxy_digest(),
        socket_digest: stream.get_socket_digest(),
    })
}

/// What the library is told: its own bounds, at the limits of the policy.
fn options(limits: &EdgeLimits) -> H2Options {
    let mut options = default_h2_options();
    options
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_local_error_reset_streams(Some(limits.resets as usize))
        .max_send_buffer_size(SEND_BUFFER_BYTES_MAX);
    options
}
