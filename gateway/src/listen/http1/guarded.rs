//! A connection lent to Pingora for one request.

use super::{
    held::Held,
    line::{BodyError, Line},
    wire::Wire,
};
use crate::{listen::paced::EndedBy, observe::Cut};
use async_trait::async_trait;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
    raw_connect::ProxyDigest,
    tls::{SslDigest, TlsRef},
};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The end of a chunked body.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Gives out the body of one request, and takes the response. When it is dropped, the connection goes back to the loop.
#[derive(Debug)]
pub struct Guarded {
    /// There until the drop.
    line: Option<Line>,
    held: Held,
    wire: Wire,
}

impl Guarded {
    /// Lends the connection.
    pub fn lend(line: Line, wire: &Wire) -> Self {
        Self {
            line: Some(line),
            held: Held::default(),
            wire: wire.clone(),
        }
    }

    fn line(&mut self) -> io::Result<&mut Line> {
        self.line
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn stream(&mut self) -> io::Result<Pin<&mut pingora::protocols::Stream>> {
        self.line().map(|line| Pin::new(&mut line.stream))
    }

    /// Writes the head that waits, and these octets behind it.
    fn poll_write_held(&mut self, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let Some(line) = &mut self.line else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let written = self.held.poll_write_with(&mut line.stream, cx, octets);
        note(&self.wire, written)
    }

    fn peer<T>(&self, ask: impl FnOnce(&pingora::protocols::Stream) -> Option<T>) -> Option<T> {
        self.line.as_ref().and_then(|line| ask(&line.stream))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(mut line) = self.line.take() {
            if !self.held.let_go(&mut line.stream) {
                self.wire.is_cut(Cut::ClientGone);
            }
            self.wire.give_back(line);
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Who waits for the client lets it have what there is.
        if !this.held.is_empty()
            && let Poll::Ready(Err(error)) = this.poll_write_held(cx, b"")
        {
            return Poll::Ready(Err(error));
        }
        if let Some(violation) = this.wire.violation() {
            return Poll::Ready(Err(invalid(violation)));
        }
        if out.remaining() >= LAST_CHUNK.len() && this.wire.take_end() {
            out.put_slice(LAST_CHUNK);
            return Poll::Ready(Ok(()));
        }
        let tunnel = this.wire.is_tunnel();
        let is_answered = this.wire.is_answered();
        let line = this.line()?;
        if tunnel {
            return line.poll_anything(cx, out);
        }
        let before = out.filled().len();
        let read = ready!(line.poll_body(cx, out, is_answered));
        let is_whole = line.is_between_requests();
        Poll::Ready(match read {
            Ok(()) => {
                match (
                    out.filled().len() == before && out.remaining() > 0,
                    is_whole,
                ) {
                    (true, true) => this.wire.went(),
                    (true, false) => this.wire.is_cut(Cut::ClientGone),
                    (false, _) => {}
                }
                Ok(())
            }
            Err(BodyError::Lost(error)) => {
                this.wire.is_cut(Cut::ClientGone);
                Err(error)
            }
            Err(BodyError::Slow) => {
                this.wire.is_too_slow();
                Err(io::ErrorKind::TimedOut.into())
            }
            Err(BodyError::Bad(violation)) => {
                this.wire.violated(violation);
                Err(invalid(violation))
            }
        })
    }
}

/// Keeps why nothing can be written any more.
fn note<T>(wire: &Wire, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
    if let Poll::Ready(Err(error)) = &written {
        wire.is_cut(EndedBy::of(error).map_or(Cut::ClientGone, Cut::Limit));
    }
    written
}

fn invalid(violation: latencify_framing::Violation) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, violation)
}

impl AsyncWrite for Guarded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.held.is_empty() {
            return this.poll_write_held(cx, octets);
        }
        let wire = this.wire.clone();
        let changed = wire.redate().change(octets);
        if wire.head_waits() && !this.line()?.is_secure() && this.held.takes(octets) {
            this.held.hold(changed.unwrap_or_else(|| octets.to_vec()));
            wire.redate().wrote(octets.len());
            return Poll::Ready(Ok(octets.len()));
        }
        let written = this
            .stream()?
            .poll_write(cx, changed.as_deref().unwrap_or(octets));
        if let (Some(_), Poll::Ready(Ok(taken))) = (&changed, &written) {
            wire.redate().wrote(*taken);
        }
        note(&wire, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(first) = octets.iter().find(|piece| !piece.is_empty())
            && (!self.held.is_empty() || self.wire.head_waits() || !self.wire.redate().is_idle())
        {
            return self.poll_write(cx, first);
        }
        let this = self.get_mut();
        let written = this.stream()?.poll_write_vectored(cx, octets);
        note(&this.wire, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.line
            .as_ref()
            .is_some_and(|line| line.stream.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.held.is_empty() {
            ready!(this.poll_write_held(cx, b""))?;
        }
        let flushed = this.stream()?.poll_flush(cx);
        note(&this.wire, flushed)
    }

    /// Only what was written goes out: the connection is closed by the loop, which it goes back to.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

#[async_trait]
impl Shutdown for Guarded {
    // See `poll_shutdown`.
    async fn shutdown(&mut self) {
        let _ = tokio::io::AsyncWriteExt::flush(self).await;
    }
}

impl UniqueID for Guarded {
    fn id(&self) -> UniqueIDType {
        self.line.as_ref().map_or(-1, |line| line.stream.id())
    }
}

impl Ssl for Guarded {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.line.as_ref().and_then(|line| line.stream.get_ssl())
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.peer(|stream| stream.get_ssl_digest())
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.peer(|stream| stream.selected_alpn_proto())
    }
}

impl GetTimingDigest for Guarded {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.peer(|stream| Some(stream.get_timing_digest()))
            .unwrap_or_default()
    }
}

impl GetProxyDigest for Guarded {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.peer(|stream| stream.get_proxy_digest())
    }
}

impl GetSocketDigest for Guarded {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.peer(|stream| stream.get_socket_digest())
    }
}

impl Peek for Guarded {}
