//! A connection's socket, below TLS and HTTP: a client that does not take what is ready for it is cut off here, whatever
//! it speaks.

use super::{
    backlog::{self, Waits},
    gate::Gate,
    rate::RateMeter,
};
use crate::observe::Ended;
use async_trait::async_trait;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, IO, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
    raw_connect::ProxyDigest,
    tls::{SslDigest, TlsRef},
};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// Who waits looks again after so long: a policy may have changed the rate.
const LOOK_WITHIN: Duration = Duration::from_secs(10);

/// A stream whose other end must take at least `send_rate`.
///
/// The socket's buffer alone is no measure: a slow but honest client empties megabytes of it before there is room for
/// more. What counts is what the client has acknowledged (`tcpi_bytes_acked`).
#[derive(Debug)]
pub struct Paced<S> {
    inner: S,
    gate: Arc<Gate>,
    backlog: Arc<backlog::Connection>,
    taking: RateMeter,
    /// What was acknowledged when it was last looked at; none: the other end is not waited for.
    acknowledged: Option<u64>,
    /// Made when the other end first has to be waited for.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// The error of a client that does not take what is ready for it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct EndedBy {
    why: Ended,
    message: &'static str,
}

impl EndedBy {
    /// The limit for which a stream was given up, if that is what an error of it says.
    pub fn of(error: &io::Error) -> Option<Ended> {
        let inner: &Self = error.get_ref()?.downcast_ref()?;
        Some(inner.why)
    }
}

impl<S: IO> Paced<S> {
    /// Watches over a stream.
    pub fn new(inner: S, gate: Arc<Gate>, backlog: Arc<backlog::Connection>) -> Self {
        let taking = RateMeter::new(gate.limits.now().send);
        Self {
            inner,
            gate,
            backlog,
            taking,
            acknowledged: None,
            alarm: None,
        }
    }

    /// The stream under it.
    pub fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// There was room for so many octets: the other end is not waited for any more.
    fn goes_on(&mut self, octets: usize) {
        self.backlog.took(octets);
        if self.acknowledged.is_some() {
            let now = Instant::now();
            self.look(now);
            self.taking.rest(now);
            self.acknowledged = None;
            self.backlog.waits(Waits::Socket, false);
        }
    }

    /// The other end takes nothing now.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if self.acknowledged.is_none() {
            self.acknowledged = Some(self.acknowledged_now());
            self.taking.wait(Instant::now());
            self.backlog.waits(Waits::Socket, true);
        }
        if let Some(why) = self.backlog.take_sentence(cx) {
            return Poll::Ready(Err(self.ended(why, "too much waits for this client")));
        }
        loop {
            let least = self.gate.limits.now().send;
            let Some(deadline) = self.taking.next_look(least, LOOK_WITHIN) else {
                return Poll::Pending;
            };
            let deadline = tokio::time::Instant::from_std(deadline);
            let alarm = self
                .alarm
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
            if alarm.deadline() != deadline {
                alarm.as_mut().reset(deadline);
            }
            ready!(alarm.as_mut().poll(cx));
            let now = Instant::now();
            self.look(now);
            if self
                .taking
                .deadline(least)
                .is_some_and(|deadline| deadline <= now)
            {
                let message = "the client takes less than send_rate";
                return Poll::Ready(Err(self.ended(Ended::SendRate, message)));
            }
        }
    }

    fn ended(&self, why: Ended, message: &'static str) -> io::Error {
        self.gate.metrics.ended(why);
        tracing::debug!(limit = why.name(), "connection ended");
        io::Error::new(io::ErrorKind::TimedOut, EndedBy { why, message })
    }

    /// Counts what was acknowledged since the last look.
    fn look(&mut self, now: Instant) {
        let acknowledged = self.acknowledged_now();
        let before = self
            .acknowledged
            .replace(acknowledged)
            .unwrap_or(acknowledged);
        let least = self.gate.limits.now().send;
        self.taking
            .pass(acknowledged.saturating_sub(before), least, now);
    }

    fn acknowledged_now(&self) -> u64 {
        let socket = self.inner.get_socket_digest();
        socket
            .and_then(|socket| socket.tcp_info())
            .map_or(0, |info| info.tcpi_bytes_acked)
    }
}

impl<S> Drop for Paced<S> {
    fn drop(&mut self) {
        for what in [Waits::Socket, Waits::Window] {
            self.backlog.waits(what, false);
        }
    }
}

impl<S: IO> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: IO> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.inner).poll_write(cx, buf) {
            Poll::Ready(Ok(taken)) => {
                self.goes_on(taken);
                Poll::Ready(Ok(taken))
            }
            Poll::Pending => self.wait(cx),
            failed @ Poll::Ready(Err(_)) => failed,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.inner).poll_write_vectored(cx, bufs) {
            Poll::Ready(Ok(taken)) => {
                self.goes_on(taken);
                Poll::Ready(Ok(taken))
            }
            Poll::Pending => self.wait(cx),
            failed @ Poll::Ready(Err(_)) => failed,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.inner).poll_flush(cx) {
            Poll::Pending => self.wait(cx),
            done @ Poll::Ready(_) => done,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[async_trait]
impl<S: IO> Shutdown for Paced<S> {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}

#[async_trait]
impl<S: IO> Peek for Paced<S> {
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        self.inner.try_peek(buf).await
    }
}

impl<S: IO> UniqueID for Paced<S> {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl<S: IO> Ssl for Paced<S> {
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

impl<S: IO> GetTimingDigest for Paced<S> {
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

impl<S: IO> GetProxyDigest for Paced<S> {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.inner.get_proxy_digest()
    }

    fn set_proxy_digest(&mut self, digest: ProxyDigest) {
        self.inner.set_proxy_digest(digest);
    }
}

impl<S: IO> GetSocketDigest for Paced<S> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.inner.set_socket_digest(digest);
    }
}
