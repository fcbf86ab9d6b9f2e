//! A connection, and what has come of it without having been given out.

use super::framing_limits;
use crate::{alarm::Alarm, listen::patience::Patience};
use bytes::{Buf as _, BytesMut};
use latencify_conf::policy::EdgeLimits;
use latencify_framing::{BodyReader, Framing, Head, Violation};
use pingora::protocols::Stream;
use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead as _, ReadBuf};

/// What one read takes at most. The place is on the stack, and only for the time of the read: a connection that waits
/// holds nothing.
const READ_BYTES_MAX: usize = 16 << 10;

/// A connection between its client and whoever serves it.
#[derive(Debug)]
pub struct Line {
    pub(super) stream: Stream,
    /// What came beyond what was asked for: the rest of a body, or the next requests.
    pub(super) pending: BytesMut,
    body: BodyReader,
    patience: Patience,
    /// For the wait between requests.
    pub(super) alarm: Alarm,
    /// How much of what follows a body is taken while nobody asks for it.
    read_ahead_max: usize,
    /// Whether the client has said that it sends no more.
    pub(super) at_end: bool,
}

impl Line {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            pending: BytesMut::new(),
            body: BodyReader::new(Framing::Empty, latencify_framing::Limits::default()),
            patience: Patience::new(EdgeLimits::default().body),
            alarm: Alarm::default(),
            read_ahead_max: EdgeLimits::default().header_bytes,
            at_end: false,
        }
    }

    /// Whether it speaks TLS.
    pub(super) fn is_secure(&self) -> bool {
        self.stream.get_ssl_digest().is_some()
    }

    /// The body that the head announced comes next.
    pub(super) fn expect_body(&mut self, head: &Head, limits: &EdgeLimits) {
        self.body = BodyReader::new(head.framing, framing_limits(limits));
        self.patience = Patience::new(limits.body);
        self.read_ahead_max = limits.header_bytes;
    }

    /// Whether the last request has been read to its end.
    pub(super) fn is_between_requests(&self) -> bool {
        self.body.is_done()
    }

    /// Reads more into `pending`; 0: the client sends no more.
    pub(super) async fn read_more(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_more(cx)).await
    }

    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut place = [const { MaybeUninit::<u8>::uninit() }; READ_BYTES_MAX];
        let mut read = ReadBuf::uninit(&mut place);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        let came = read.filled();
        self.at_end |= came.is_empty();
        self.pending.extend_from_slice(came);
        Poll::Ready(Ok(came.len()))
    }

    /// Gives out more of the body. Nothing in `out` afterwards: the client is gone. While nothing may be given out it
    /// waits for that: what comes after a request stays here. Once the answer is under way (and has not ended) the two
    /// sides talk as long as they like, and the client is not hurried.
    pub(super) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
        is_answered: bool,
    ) -> Poll<Result<(), BodyError>> {
        while !self.body.is_done() {
            let given = if self.pending.is_empty() {
                let before = out.filled().len();
                match Pin::new(&mut self.stream).poll_read(cx, out) {
                    Poll::Ready(read) => read.map_err(BodyError::Lost)?,
                    Poll::Pending if is_answered => {
                        self.patience.rest();
                        return Poll::Pending;
                    }
                    Poll::Pending => {
                        ready!(self.patience.poll_over(cx));
                        return Poll::Ready(Err(BodyError::Slow));
                    }
                }
                self.patience.came(out.filled().len() - before);
                if out.filled().len() == before {
                    self.at_end = true;
                    return Poll::Ready(Ok(()));
                }
                self.filter_read(out, before)?
            } else {
                self.give_pending(out)?
            };
            if given > 0 || out.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        // What comes now is the next request, which waits until this one is answered. It is taken all the same, as much
        // as a head may have: the end of the connection comes behind it.
        while self.pending.len() < self.read_ahead_max {
            if ready!(self.poll_more(cx)).map_err(BodyError::Lost)? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Pending
    }

    /// Takes what comes behind a request that has been read whole, as much as a head may have. Ready when the client sends no
    /// more.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.pending.len() < self.read_ahead_max {
            if !matches!(ready!(self.poll_more(cx)), Ok(1..)) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Everything, as it comes.
    pub(super) fn poll_anything(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.pending.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, out);
        }
        let count = self.pending.len().min(out.remaining());
        out.put_slice(&self.pending.split_to(count));
        Poll::Ready(Ok(()))
    }

    /// Looks at what was just read into `out`, and leaves there what goes on.
    fn filter_read(&mut self, out: &mut ReadBuf<'_>, before: usize) -> Result<usize, BodyError> {
        let came = out.filled_mut().get_mut(before..).unwrap_or_default();
        let filtered = self.body.filter(came).map_err(BodyError::Bad)?;
        let next = came.get(filtered.taken..).unwrap_or_default();
        self.pending.extend_from_slice(next);
        out.set_filled(before + filtered.kept);
        Ok(filtered.kept)
    }

    fn give_pending(&mut self, out: &mut ReadBuf<'_>) -> Result<usize, BodyError> {
        let count = self.pending.len().min(out.remaining());
        let piece = self.pending.get_mut(..count).unwrap_or_default();
        let filtered = self.body.filter(piece).map_err(BodyError::Bad)?;
        out.put_slice(piece.get(..filtered.kept).unwrap_or_default());
        self.pending.advance(filtered.taken);
        if self.pending.is_empty() {
            self.pending = BytesMut::new();
        }
        Ok(filtered.kept)
    }
}

/// Why no more of a body comes.
#[derive(Debug)]
pub(super) enum BodyError {
    /// The connection broke.
    Lost(io::Error),
    /// The body comes slower than `body_rate`.
    Slow,
    /// The body is not what it must be.
    Bad(Violation),
}
