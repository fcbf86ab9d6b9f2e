//! The stream under an HTTP/2 connection: everything that passes is shown to [`Watch`], and what it says is done.

mod identity;
#[cfg(test)]
mod tests;

use super::{
    ahead::{Ahead, WAITING_BYTES_MAX, Ways},
    causes, goodbye, room,
    watch::{TICK, Watch},
    word::Word,
    write,
};
use crate::{
    hot::head::Caller,
    listen::{
        backlog::{self, Waits},
        gate::Gate,
        paced::EndedBy,
        untaken,
    },
    observe::Ended,
};
use bytes::{Buf as _, BytesMut};
use latencify_conf::policy::EdgeLimits;
use pingora::protocols::Stream;
use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Instant,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// RFC 9113 §7.
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

/// A stream that is watched.
pub(super) struct Watched {
    inner: Stream,
    gate: Arc<Gate>,
    backlog: Arc<backlog::Connection>,
    watch: Watch,
    word: Arc<Word>,
    tick: Option<Pin<Box<Sleep>>>,
    overdue: Vec<(u32, Ended)>,
    ahead: Ahead,
    /// What the library is to read: of the client's frames those that are its own, and some of ours.
    passed: BytesMut,
    /// What the client sent and nobody has looked at, but for its limits.
    unread: BytesMut,
    /// Frames of ours that the library knows nothing of.
    as_ours: BytesMut,
    /// Whether one of them is under way.
    is_inserting: bool,
    /// What the library wrote last, the stream below could not take. TLS may hold a record of it by now: what is written
    /// next must begin with the same octets.
    library_waits: bool,
    /// They wait for the client.
    unsent: Option<backlog::Response>,
}

impl Watched {
    /// Watches over a stream on which nothing has passed yet. The library is told of the same limits.
    pub(super) fn new(
        inner: Stream,
        limits: &EdgeLimits,
        gate: Arc<Gate>,
        backlog: Arc<backlog::Connection>,
        word: Arc<Word>,
    ) -> Self {
        let watch = Watch::new(*limits, Instant::now(), word.ledger.clone());
        let caller = Caller {
            peer: untaken::peer_address(&*inner),
            https: inner.get_ssl_digest().is_some(),
        };
        let ahead = Ahead::new(gate.clone(), limits, backlog.clone(), word.clone(), caller);
        Self {
            inner,
            gate,
            backlog,
            watch,
            word,
            tick: None,
            overdue: Vec::new(),
            ahead,
            passed: BytesMut::new(),
            unread: BytesMut::new(),
            as_ours: BytesMut::new(),
            is_inserting: false,
            library_waits: false,
            unsent: None,
        }
    }

    fn heed(&mut self, verdict: Option<Ended>) {
        self.watch.keep_for_ahead(self.ahead.credit());
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
    /// stopped in the middle of a frame or of a head can't be answered for, so that its whole connection ends.
    fn end_overdue(&mut self) {
        for (id, why) in std::mem::take(&mut self.overdue) {
            if !self.ahead.can_tell_of(id) {
                self.word.end(why);
                return;
            }
            self.gate.metrics.stream_ended(why);
            tracing::debug!(stream = id, limit = why.name(), "request ended");
            // Which limit it was, the request on the stream reads from the code.
            (self.passed).extend_from_slice(&write::reset(id, causes::code(why)));
            let code = match why {
                Ended::DrainTime => CANCEL,
                _ => ENHANCE_YOUR_CALM,
            };
            self.as_ours.extend_from_slice(&write::reset(id, code));
        }
        self.heed(None);
    }

    /// Tells the client to go, once.
    fn say_going(&mut self) {
        if self.watch.goes() {
            self.as_ours.extend_from_slice(&write::going_away());
        }
    }

    /// Whether a frame of ours may begin: nothing of the library's is under way, be it here or below.
    fn may_insert(&self) -> bool {
        !self.library_waits && self.watch.may_insert()
    }

    fn poll_insert(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.as_ours.is_empty() {
            self.is_inserting = true;
            let written = match Pin::new(&mut self.inner).poll_write(cx, &self.as_ours) {
                Poll::Ready(written) => written.inspect_err(|error| self.broke(error))?,
                Poll::Pending => {
                    let bytes = self.as_ours.len() as u64;
                    self.unsent.get_or_insert_with(|| self.backlog.holds(bytes));
                    return Poll::Pending;
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.as_ours.advance(written.min(self.as_ours.len()));
        }
        self.is_inserting = false;
        self.unsent = None;
        Poll::Ready(Ok(()))
    }

    /// Sends what was answered ahead of the library, if nothing of the library's is under way; whether nothing is left of it.
    fn send_ours(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if self.as_ours.is_empty() {
            return Ok(true);
        }
        if !self.is_inserting && !self.may_insert() {
            return Ok(false);
        }
        Ok(match self.poll_insert(cx) {
            Poll::Ready(sent) => sent.map(|()| true)?,
            Poll::Pending => false,
        })
    }

    /// Gives the library what has passed, if something has; whether it has.
    fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        if self.passed.is_empty() {
            return false;
        }
        let room = buf.remaining().min(self.passed.len());
        buf.put_slice(self.passed.get(..room).unwrap_or_default());
        self.passed.advance(room);
        self.word.is_read_empty.store(false, Ordering::Relaxed);
        true
    }

    /// Takes what the client sent.
    fn received(&mut self, octets: &[u8], cx: &mut Context<'_>) {
        let limits = self.gate.limits.now();
        self.watch.obey(limits);
        let verdict = self.watch.received(octets, Instant::now());
        self.word
            .requests
            .store(self.watch.requests(), Ordering::Relaxed);
        self.heed(verdict);
        if verdict.is_some() {
            return;
        }
        if self.watch.requests() >= limits.requests {
            // Ahead of what is answered next, so that nobody goes on for not having been told.
            self.say_going();
            self.word.filled.notify_one();
        }
        self.take(octets, cx);
        // What just came may have begun a wait.
        self.poll_tick(cx);
        self.heed_backlog(cx);
    }

    /// Answers it, or passes it on.
    fn take(&mut self, mut octets: &[u8], cx: &mut Context<'_>) {
        // While the socket is full, or a frame of the library is under way, nothing can go out ahead of it.
        let may_answer = !self.is_inserting && self.may_insert();
        let mut ways = Ways {
            watch: &mut self.watch,
            passed: &mut self.passed,
            out: &mut self.as_ours,
        };
        match self.ahead.take(&mut octets, may_answer, &mut ways, cx) {
            Ok(()) => self.unread.extend_from_slice(octets),
            Err(failure) => self.word.fail(failure),
        }
        self.heed(None);
    }

    fn broke(&self, error: &io::Error) {
        *self.word.broken.lock() = EndedBy::of(error);
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.word.is_cut.swap(false, Ordering::Relaxed) {
            this.watch.end_all(Ended::DrainTime, &mut this.overdue);
            this.end_overdue();
        }
        this.poll_tick(cx);
        this.heed_backlog(cx);
        loop {
            // Nothing more is read of a client whose time is over: what it sends stays its own.
            if this.word.ended_already().is_some() {
                return Poll::Pending;
            }
            if this.give(buf) {
                this.send_ours(cx)?;
                return Poll::Ready(Ok(()));
            }
            if this.word.is_over() {
                return Poll::Pending;
            }
            if this.as_ours.len() >= WAITING_BYTES_MAX {
                this.send_ours(cx)?;
            }
            if !this.unread.is_empty() {
                let unread = std::mem::take(&mut this.unread);
                this.take(&unread, cx);
                continue;
            }
            let before = buf.filled().len();
            let read = Pin::new(&mut this.inner).poll_read(cx, buf);
            let is_empty = read.is_pending();
            this.word.is_read_empty.store(is_empty, Ordering::Relaxed);
            if is_empty {
                if this.send_ours(cx)? {
                    let _ = Pin::new(&mut this.inner).poll_flush(cx)?;
                    // Who waits holds no large buffers.
                    room::rest(&mut this.as_ours);
                    room::rest(&mut this.passed);
                    this.ahead.rest();
                }
                return Poll::Pending;
            }
            ready!(read)?;
            let octets = buf.filled().get(before..).unwrap_or_default();
            if octets.is_empty() {
                this.send_ours(cx)?;
                return Poll::Ready(Ok(()));
            }
            this.received(octets, cx);
            buf.set_filled(before);
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.is_inserting {
            ready!(this.poll_insert(cx))?;
        }
        let until_goodbye = match this.watch.until_frame(buf) {
            Some(until) => goodbye::find(buf, until),
            None => buf.len(),
        };
        if until_goodbye == 0
            && let Some(goodbye) = goodbye::naming(buf, this.ahead.newest_answered())
        {
            // It goes out behind what was answered.
            this.as_ours.extend_from_slice(&goodbye);
            this.is_inserting = true;
            let verdict = this.watch.sent(&goodbye, Instant::now());
            this.heed(verdict);
            return Poll::Ready(Ok(goodbye.len()));
        }
        let buf = match until_goodbye {
            0 => buf,
            until => buf.get(..until).unwrap_or(buf),
        };
        let written = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.library_waits = written.is_pending();
        let written = ready!(written).inspect_err(|error| this.broke(error))?;
        let octets = buf.get(..written).unwrap_or_default();
        let verdict = this.watch.sent(octets, Instant::now());
        let data = this.watch.take_data_sent();
        if this.ahead.library_sent(data, &mut this.passed) {
            cx.waker().wake_by_ref();
        }
        this.heed(verdict);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.word.is_going.swap(false, Ordering::Relaxed) {
            self.say_going();
        }
        // The library flushes when all it had is written, so this is where nothing of a cancelled request follows.
        if self.is_inserting || self.may_insert() {
            ready!(self.poll_insert(cx))?;
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_inserting || self.may_insert() {
            ready!(self.poll_insert(cx))?;
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("watch", &self.watch)
            .finish_non_exhaustive()
    }
}
