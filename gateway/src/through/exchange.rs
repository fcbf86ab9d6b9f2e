//! One request, its attempts at origins, and what is said to its client.

use super::{Client, Link, Trouble, body::Body, link::READ_BYTES_MAX, response};
use crate::{
    context::Context,
    edge::Edge,
    hot::head::Own,
    incoming::{Incoming as _, Plain},
    origin::{Connection, Upstream, connect},
    phases::{admit, hops, steer, storing, transform},
    request::Head as _,
};
use bytes::{BufMut as _, BytesMut};
use http::{HeaderValue, Method, Version, header};
use latencify_conf::policy::Timeouts;
use latencify_decide::hops::{options, persists_with};
use pingora::{Error, ErrorType, Result};
use std::{
    fmt::Write as _,
    future::{Future, poll_fn},
    io::{self, IoSlice},
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{self as clock, Duration},
};
use tokio::time::{Instant, timeout};

/// Room for the head of a request.
const REQUEST_BYTES: usize = 1 << 10;
/// A piece of a body that is not larger goes out in one piece with what stands before it.
const JOINED_BYTES_MAX: usize = 16 << 10;
/// What lies here of a response at once: one read, and what stands before it or was joined with it.
const AHEAD_BYTES_MAX: u64 = (READ_BYTES_MAX + JOINED_BYTES_MAX) as u64;

const CHUNKED: HeaderValue = HeaderValue::from_static("chunked");

/// A request on its way through.
pub(super) struct Exchange<'a, C> {
    pub(super) edge: &'a Edge,
    pub(super) own: &'a Own,
    client: &'a mut C,
    keeps: bool,
    pub(super) ctx: &'a mut Context,
    /// Whether an interim answer has gone out.
    has_spoken: bool,
    /// Whether the final head is on its way.
    pub(super) head_is_out: bool,
}

/// How a body is framed for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    /// As it is.
    Plain,
    /// In chunks.
    Chunks,
}

impl<'a, C: Client> Exchange<'a, C> {
    pub(super) fn new(
        edge: &'a Edge,
        own: &'a Own,
        client: &'a mut C,
        keeps: bool,
        ctx: &'a mut Context,
    ) -> Self {
        Self {
            edge,
            own,
            client,
            keeps,
            ctx,
            has_spoken: false,
            head_is_out: false,
        }
    }

    /// Asks one origin, and passes its response on. Says whether the client's connection goes on.
    pub(super) async fn attempt(
        &mut self,
        upstream: &Arc<Upstream>,
        timeouts: &Timeouts,
    ) -> std::result::Result<bool, Trouble> {
        let address = upstream.address(timeouts).await;
        let address = address.map_err(|error| steer::no_address(error, self.ctx))?;
        let link = self.link(upstream, address, timeouts).await?;
        let reused = link.reused;
        match self.exchange(link, timeouts).await {
            Err(Trouble::Origin(error)) => {
                let error = error.more_context(format!("origin at {address}"));
                let is_repeatable = !self.has_spoken && !self.head_is_out;
                let error = steer::failed(self.edge, is_repeatable, self.ctx, error, reused);
                Err(Trouble::Origin(error))
            }
            done => done,
        }
    }

    async fn link(
        &mut self,
        upstream: &Arc<Upstream>,
        address: SocketAddr,
        timeouts: &Timeouts,
    ) -> std::result::Result<Link, Trouble> {
        let began = (self.ctx.steering.current.as_ref()).map(|attempt| attempt.began);
        if let Some(began) = began.filter(|_| steer::may_be_idle(self.ctx))
            && let Some(connection) = upstream.idle().take(address, began)
        {
            return Ok(Link::new(connection, upstream, address, true));
        }
        let connected = self.connect(address, timeouts).await?;
        let connection = connected.map_err(|error| {
            steer::could_not_connect(self.edge, Some(address), true, self.ctx, error.into_up())
        })?;
        steer::connected_to(address, self.ctx);
        Ok(Link::new(connection, upstream, address, false))
    }

    async fn connect(
        &mut self,
        address: SocketAddr,
        timeouts: &Timeouts,
    ) -> std::result::Result<Result<Connection>, Trouble> {
        let connecting = timeout(timeouts.connect, connect(address));
        let what = || format!("origin at {address}");
        Ok(match unless_gone(self.client, connecting).await? {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(Error::because(ErrorType::ConnectError, what(), error)),
            Err(_) => Error::e_explain(ErrorType::ConnectTimedout, what()),
        })
    }

    async fn exchange(
        &mut self,
        mut link: Link,
        timeouts: &Timeouts,
    ) -> std::result::Result<bool, Trouble> {
        let request = self.request()?;
        gathered().await;
        link.send(&request, timeouts.send).await?;
        drop(request);
        let until = Instant::now() + timeouts.first_byte;
        loop {
            let mut response = self.response(&mut link, until).await?;
            steer::responded(self.edge, &response, self.ctx);
            // Of lengths that contradict each other one counts; the connection is not trusted any further.
            let is_doubtful = response.has(&header::TRANSFER_ENCODING)
                && (response.version != Version::HTTP_11 || response.has(&header::CONTENT_LENGTH));
            let says = || options(response.lines(&header::CONNECTION));
            let goes_on = !is_doubtful && persists_with(response.version, says);
            let waits = response::lets_wait(&response);
            let waits = timeouts.idle.min(waits.unwrap_or(timeouts.idle));
            let waits = Some(waits).filter(|time| goes_on && !time.is_zero());
            hops::end_of_response(&mut response, self.ctx)?;
            storing::is_asked_for(response.status, self.ctx)?;
            if !response.status.is_informational() {
                return self.answer(link, response, waits, timeouts).await;
            }
            self.interim(&response).await?;
        }
    }

    /// The request as it goes to the origin.
    fn request(&mut self) -> Result<BytesMut> {
        let mut request = self.own.forward();
        hops::begin_request(&mut request)?;
        transform::towards_origin(&mut request, self.edge.pseudonym(), self.ctx)?;
        storing::begin_unstored(self.ctx);
        storing::asks(&request.fields, self.ctx);
        let mut octets = BytesMut::with_capacity(REQUEST_BYTES);
        octets.put_slice(request.method.as_str().as_bytes());
        octets.put_u8(b' ');
        octets.put_slice(request.target.as_bytes());
        octets.put_slice(b" HTTP/1.1\r\n");
        self.own.spelling().write(&request.fields, &mut octets);
        octets.put_slice(b"\r\n");
        Ok(octets)
    }

    async fn response(
        &mut self,
        link: &mut Link,
        until: Instant,
    ) -> std::result::Result<Plain, Trouble> {
        loop {
            if !link.octets.is_empty()
                && let Some(response) = response::take(&mut link.octets).map_err(Error::into_up)?
            {
                return Ok(response);
            }
            if link.more(self.client, until).await? == 0 {
                return Err(link.ended("before the end of a response's head").into());
            }
        }
    }

    /// An interim answer, for those who know any.
    async fn interim(&mut self, response: &Plain) -> std::result::Result<(), Trouble> {
        if self.own.request().version == Version::HTTP_10 {
            return Ok(());
        }
        let mut octets = BytesMut::with_capacity(REQUEST_BYTES);
        octets.put_slice(b"HTTP/1.1 ");
        octets.put_slice(response.status.as_str().as_bytes());
        octets.put_u8(b' ');
        octets.put_slice(response.reason());
        octets.put_slice(b"\r\n");
        response.write(&mut octets);
        octets.put_slice(b"\r\n");
        self.has_spoken = true;
        self.say(octets, BytesMut::new(), b"").await.map(drop)
    }

    /// Passes a final response on. `waits`: so long the connection to the origin may wait for another request.
    async fn answer(
        &mut self,
        mut link: Link,
        mut response: Plain,
        waits: Option<Duration>,
        timeouts: &Timeouts,
    ) -> std::result::Result<bool, Trouble> {
        let asked = self.own.request();
        let (is_old, is_head) = (
            asked.version == Version::HTTP_10,
            *asked.method == Method::HEAD,
        );
        let mut body = Body::of(&response, is_head)?;
        if body.is_closing() {
            response.version = Version::HTTP_11;
            response.set(header::TRANSFER_ENCODING, CHUNKED)?;
        }
        self.ctx.answer.status = Some(response.status);
        self.ctx.body_is_fetched(&response, AHEAD_BYTES_MAX);
        let limits = admit::limit_fields(self.ctx);
        let mut keeps = self.keeps;
        if is_old && hops::without_chunks(&mut response) {
            keeps = false;
        }
        transform::towards_client(&mut response, self.edge.pseudonym(), limits, self.ctx)?;
        let is_chunked = response.has(&header::TRANSFER_ENCODING) && !body.is_done();
        let frame = if is_chunked {
            Frame::Chunks
        } else {
            Frame::Plain
        };
        // What is wrong with the first of it can still be told.
        let mut piece = body.take(&mut link.octets)?;
        let room = piece.len().min(JOINED_BYTES_MAX);
        let mut front = C::head_octets(&mut response, keeps, room);
        drop(response);
        gathered().await;
        let mut now = self.ctx.head_goes_out_now();
        let mut link = Some(link);
        loop {
            let is_done = body.is_done();
            if is_done {
                // However slowly the client takes the rest, the origin has done its part.
                let link = link.take().filter(|link| link.octets.is_empty());
                if let (Some(link), Some(time)) = (link, waits.filter(|_| !body.is_closing())) {
                    link.let_wait(now + time);
                }
                self.ctx.steering.place = None;
            }
            let back = frame.around(&mut front, piece.len(), is_done);
            self.head_is_out = true;
            piece = self.say(std::mem::take(&mut front), piece, back).await?;
            let Some(link) = link.as_mut() else {
                return Ok(keeps);
            };
            link.recycle(piece);
            let until = Instant::now() + timeouts.between_bytes;
            if link.more(self.client, until).await? == 0 && !body.end() {
                return Err(link.ended("before the end of a response's body").into());
            }
            now = clock::Instant::now();
            piece = body.take(&mut link.octets)?;
        }
    }

    /// Says what stands before a piece of the body, the piece, and what stands behind it. Gives the piece back.
    async fn say(
        &mut self,
        mut front: BytesMut,
        mut piece: BytesMut,
        back: &'static [u8],
    ) -> std::result::Result<BytesMut, Trouble> {
        let (before, length) = (front.len(), piece.len());
        let sent_before = self.ctx.answer.bytes;
        if length <= JOINED_BYTES_MAX {
            front.extend_from_slice(&piece);
            front.extend_from_slice(back);
            piece.clear();
        }
        let back = if piece.is_empty() { b"" } else { back };
        let mut written = 0;
        let (client, ctx) = (&mut *self.client, &mut *self.ctx);
        let saying = poll_fn(|task| {
            loop {
                let pieces = rest(&[&front, &piece, back], written);
                if pieces.iter().all(|piece| piece.is_empty()) {
                    return client.poll_flush(task);
                }
                let taken = match client.poll_write(task, &pieces) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(taken)) => taken,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                };
                written += taken;
                ctx.answer.bytes = sent_before + written.saturating_sub(before).min(length) as u64;
            }
        });
        let said = saying.await;
        said.map_err(|error| Trouble::Client(Some(error)))?;
        Ok(piece)
    }
}

impl Frame {
    /// Puts before a piece what must stand there, and says what must stand behind it.
    fn around(self, front: &mut BytesMut, length: usize, is_last: bool) -> &'static [u8] {
        if self == Self::Plain {
            return b"";
        }
        if length > 0 {
            // Memory is all that could refuse it.
            let _ = write!(front, "{length:X}\r\n");
        }
        match (length > 0, is_last) {
            (true, true) => b"\r\n0\r\n\r\n",
            (true, false) => b"\r\n",
            (false, true) => b"0\r\n\r\n",
            (false, false) => b"",
        }
    }
}

/// What is left of pieces of which so much is gone.
fn rest<'a>(pieces: &[&'a [u8]; 3], mut gone: usize) -> [IoSlice<'a>; 3] {
    pieces.map(|piece| {
        let from = gone.min(piece.len());
        gone -= from;
        IoSlice::new(piece.get(from..).unwrap_or_default())
    })
}

/// Lets whoever else is ready go first: so writes come one behind the other, and those who wait for them on another core are
/// woken once, and not each time. To wake somebody costs as much as half of a write.
async fn gathered() {
    tokio::task::yield_now().await;
}

/// Does something while the client is there.
async fn unless_gone<T>(
    client: &mut impl Client,
    work: impl Future<Output = T>,
) -> std::result::Result<T, Trouble> {
    let mut work = pin!(work);
    poll_fn(|task| {
        if let Poll::Ready(done) = work.as_mut().poll(task) {
            return Poll::Ready(Ok(done));
        }
        client.poll_gone(task).map(|()| Err(Trouble::Client(None)))
    })
    .await
}
