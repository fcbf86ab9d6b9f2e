//! The stream under an HTTP/2 connection: everything that passes is shown to [`Watch`], and what it says is done.

use super::{
    causes, frames,
    ledger::Ledger,
    watch::{TICK, Watch},
};
use crate::{
    listen::{
        backlog::{self, Waits},
        gate::Gate,
        paced::EndedBy,
    },
    observe::Ended,
};
use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType,
    raw_connect::ProxyDigest,
    tls::{SslDigest, TlsRef},
};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::Sleep,
};

/// RFC 9113 §7.
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

/// What the stream and the loop that accepts its requests tell each other.
#[derive(Debug, Default)]
pub(super) struct Word {
    ledger: Arc<Mutex<Ledger>>,
    /// The limit for which the socket was given up.
    broken: Mutex<Option<Ended>>,
    /// What is under way is to end.
    is_cut: AtomicBool,
    ended: Mutex<Option<Ended>>,
    told: Notify,
    requests: AtomicU32,
    is_going: AtomicBool,
    /// The library has read all that came, and asked for more.
    is_read_empty: AtomicBool,
}

impl Word {
    /// Lets the client know that the connection is to end, with the next flush.
    pub(super) fn say_going(&self) {
        self.is_going.store(true, Ordering::Relaxed);
    }

    /// The requests that nobody has taken up yet.
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock()
    }

    /// Ends all requests when the connection is asked for the next; they learn that the drain's time is over.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }

    /// Whether the library has read all that came, and so decided about every request of it. When it waits for the client
    /// to take its own frames, it leaves others as they are.
    pub(super) fn is_read_empty(&self) -> bool {
        self.is_read_empty.load(Ordering::Relaxed)
    }

    /// The limit for which the connection ended, if it was one.
    pub(super) fn why(&self) -> Option<Ended> {
        self.ended_already().or(*self.broken.lock())
    }

    /// Waits until a limit ends the connection.
    pub(super) async fn ended(&self) -> Ended {
        loop {
            let told = self.told.notified();
            if let Some(why) = self.ended_already() {
                return why;
            }
            told.await;
        }
    }

    /// Which limit has ended the connection, if one has.
    pub(super) fn ended_already(&self) -> Option<Ended> {
        *self.ended.lock()
    }

    /// Requests that were opened so far.
    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    fn end(&self, why: Ended) {
        self.ended.lock().get_or_insert(why);
        self.told.notify_one();
    }
}

/// A stream that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    inner: Stream,
    gate: Arc<Gate>,
    backlog: Arc<backlog::Connection>,
    watch: Watch,
    word: Arc<Word>,
    tick: Option<Pin<Box<Sleep>>>,
    overdue: Vec<(u32, Ended)>,
    /// Frames that the library is to take for the client's.
    as_theirs: Vec<u8>,
    /// Frames of ours that the library knows nothing of.
    as_ours: Vec<u8>,
    /// Whether one of them is under way.
    is_inserting: bool,
}

impl Watched {
    /// Watches over a stream on which nothing has passed yet.
    pub(super) fn new(
        inner: Stream,
        gate: Arc<Gate>,
        backlog: Arc<backlog::Connection>,
        word: Arc<Word>,
    ) -> Self {
        let watch = Watch::new(gate.limits.now(), Instant::now(), word.ledger.clone());
        Self {
            inner,
            gate,
            backlog,
            watch,
            word,
            tick: None,
            overdue: Vec::new(),
            as_theirs: Vec::new(),
            as_ours: Vec::new(),
            is_inserting: false,
        }
    }

    fn heed(&self, verdict: Option<Ended>) {
        if let Some(why) = verdict {
            self.word.end(why);
        }
        self.backlog
            .waits(Waits::Window, self.watch.waits_for_window());
    }

    /// Ends the requests that wait for windows if too much waits for the client; if its socket is what waits, the
    /// connection ends below.
    fn heed_backlog(&mut self, cx: &Context<'_>) {
        if self.watch.waits_for_window()
            && let Some(why) = self.backlog.take_sentence(cx)
        {
            self.watch.end_waiting(why, &mut self.overdue);
            self.end_overdue();
        }
    }

    /// Looks at who is late, now and then while somebody is waited for.
    fn poll_tick(&mut self, cx: &mut Context<'_>) {
        while self.watch.is_waiting() {
            let tick = self
                .tick
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(TICK)));
            if tick.as_mut().poll(cx).is_pending() {
                return;
            }
            tick.as_mut().reset(tokio::time::Instant::now() + TICK);
            self.watch.obey(self.gate.limits.now());
            let verdict = self.watch.tick(Instant::now(), &mut self.overdue);
            self.heed(verdict);
            self.end_overdue();
        }
        self.tick = None;
    }

    /// Ends single requests: the library is told that the client cancelled them, the client that we did. A client that
    /// stopped in the middle of a frame can't be answered for, so that its whole connection ends.
    fn end_overdue(&mut self) {
        for (id, why) in std::mem::take(&mut self.overdue) {
            if !self.watch.may_insert_theirs() {
                self.word.end(why);
                return;
            }
            self.gate.metrics.stream_ended(why);
            tracing::debug!(stream = id, limit = why.name(), "request ended");
            // Which limit it was, the request on the stream reads from the code.
            self.as_theirs.extend(frames::reset(id, causes::code(why)));
            let code = match why {
                Ended::DrainTime => CANCEL,
                _ => ENHANCE_YOUR_CALM,
            };
            self.as_ours.extend(frames::reset(id, code));
        }
        self.heed(None);
    }

    fn poll_insert(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.as_ours.is_empty() {
            self.is_inserting = true;
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.as_ours))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.as_ours.drain(..written.min(self.as_ours.len()));
        }
        self.is_inserting = false;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.word.is_cut.swap(false, Ordering::Relaxed) {
            let this = &mut *self;
            this.watch.end_all(Ended::DrainTime, &mut this.overdue);
            this.end_overdue();
        }
        self.poll_tick(cx);
        self.heed_backlog(cx);
        // Nothing more is read of a client whose time is over: what it sends stays its own.
        if self.word.ended_already().is_some() {
            return Poll::Pending;
        }
        if !self.as_theirs.is_empty() {
            let room = buf.remaining().min(self.as_theirs.len());
            let inserted: Vec<u8> = self.as_theirs.drain(..room).collect();
            buf.put_slice(&inserted);
            self.word.is_read_empty.store(false, Ordering::Relaxed);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        let is_empty = read.is_pending();
        self.word.is_read_empty.store(is_empty, Ordering::Relaxed);
        ready!(read)?;
        let octets = buf.filled().get(before..).unwrap_or_default();
        if octets.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let verdict = self.watch.received(octets, Instant::now());
        self.word
            .requests
            .store(self.watch.requests(), Ordering::Relaxed);
        self.heed(verdict);
        if verdict.is_some() {
            buf.set_filled(before);
            return Poll::Pending;
        }
        // What just came may have begun a wait.
        self.poll_tick(cx);
        self.heed_backlog(cx);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_inserting {
            ready!(self.poll_insert(cx))?;
        }
        let written =
            ready!(Pin::new(&mut self.inner).poll_write(cx, buf)).inspect_err(|error| {
                *self.word.broken.lock() = EndedBy::of(error);
            })?;
        let octets = buf.get(..written).unwrap_or_default();
        let verdict = self.watch.sent(octets, Instant::now());
        self.heed(verdict);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.word.is_going.swap(false, Ordering::Relaxed) {
            self.as_ours.extend(frames::going_away());
        }
        // The library flushes when all it had is written, so this is where nothing of a cancelled request follows.
        if self.is_inserting || self.watch.may_insert() {
            ready!(self.poll_insert(cx))?;
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Watched {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}

#[async_trait]
impl Peek for Watched {}

impl UniqueID for Watched {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl Ssl for Watched {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.inner.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }
}

impl GetTimingDigest for Watched {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.inner.get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.inner.get_write_pending_time()
    }
}

impl GetProxyDigest for Watched {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.inner.get_proxy_digest()
    }

    fn set_proxy_digest(&mut self, digest: ProxyDigest) {
        self.inner.set_proxy_digest(digest);
    }
}

impl GetSocketDigest for Watched {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.inner.set_socket_digest(digest);
    }
}
