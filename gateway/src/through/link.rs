//! A connection to an origin, for the time of an exchange.

use super::{Client, Trouble};
use crate::origin::{Connection, Upstream};
use bytes::BytesMut;
use pingora::{Error, ErrorType, RetryType};
use std::{
    future::{Future, poll_fn},
    io,
    mem::MaybeUninit,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context as Task, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf},
    time::{Instant, timeout},
};

/// What one read takes at most, once a body has shown that it brings as much.
pub(super) const READ_BYTES_MAX: usize = 64 << 10;
/// And before: the place is on the stack, and only for the time of the read, so that who waits holds nothing.
const FIRST_READ_BYTES_MAX: usize = 16 << 10;

/// A connection, and what has come over it without having been used.
pub(super) struct Link {
    connection: Connection,
    upstream: Arc<Upstream>,
    address: SocketAddr,
    /// Whether it was idle before.
    pub(super) reused: bool,
    /// What came and belongs to nobody yet.
    pub(super) octets: BytesMut,
    /// Whether anything came at all.
    has_spoken: bool,
    /// Whether the last read was as much as it could be.
    is_rich: bool,
}

impl Link {
    pub(super) fn new(
        connection: Connection,
        upstream: &Arc<Upstream>,
        address: SocketAddr,
        reused: bool,
    ) -> Self {
        Self {
            connection,
            upstream: upstream.clone(),
            address,
            reused,
            octets: BytesMut::new(),
            has_spoken: false,
            is_rich: false,
        }
    }

    /// Sends a request, each further write within a time.
    pub(super) async fn send(
        &mut self,
        octets: &[u8],
        time_max: Duration,
    ) -> Result<(), Box<Error>> {
        let stream = &mut self.connection.stream;
        let sent = match stream.try_write(octets) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            sent => sent,
        };
        let mut rest = sent
            .map(|sent| octets.get(sent..).unwrap_or_default())
            .map_err(|error| self.could_not_write(error))?;
        while !rest.is_empty() {
            let stream = &mut self.connection.stream;
            match timeout(time_max, stream.write(rest)).await {
                Ok(Ok(sent)) => rest = rest.get(sent..).unwrap_or_default(),
                Ok(Err(error)) => return Err(self.could_not_write(error)),
                Err(_) => {
                    let what = "while writing request headers (timeout)";
                    return Err(Error::explain(ErrorType::WriteTimedout, what).into_up());
                }
            }
        }
        Ok(())
    }

    /// Waits for more, while the client is there, and no longer than until then; 0: nothing more comes.
    pub(super) async fn more(
        &mut self,
        client: &mut impl Client,
        until: Instant,
    ) -> Result<usize, Trouble> {
        let came = poll_fn(|task| {
            if let Poll::Ready(came) = self.poll_more(task) {
                return Poll::Ready(came.map_err(|error| self.could_not_read(error).into()));
            }
            if client.poll_gone(task).is_ready() {
                return Poll::Ready(Err(Trouble::Client(None)));
            }
            ready!(self.connection.alarm.poll_over(task, until));
            let late = Error::explain(ErrorType::ReadTimedout, "the origin is silent");
            Poll::Ready(Err(late.into_up().into()))
        });
        came.await
    }

    fn poll_more(&mut self, task: &mut Task<'_>) -> Poll<io::Result<usize>> {
        let came = if self.is_rich {
            self.octets.reserve(READ_BYTES_MAX);
            let reading = self.connection.stream.read_buf(&mut self.octets);
            let came = ready!(pin!(reading).poll(task))?;
            self.is_rich = came > FIRST_READ_BYTES_MAX;
            came
        } else {
            let mut place = [const { MaybeUninit::<u8>::uninit() }; FIRST_READ_BYTES_MAX];
            let mut read = ReadBuf::uninit(&mut place);
            ready!(Pin::new(&mut self.connection.stream).poll_read(task, &mut read))?;
            self.octets.extend_from_slice(read.filled());
            self.is_rich = read.remaining() == 0;
            read.filled().len()
        };
        self.has_spoken |= came > 0;
        Poll::Ready(Ok(came))
    }

    /// Takes back room that was read into, if the next read needs as much.
    pub(super) fn recycle(&mut self, mut room: BytesMut) {
        if self.is_rich && self.octets.is_empty() {
            room.clear();
            self.octets = room;
        }
    }

    /// The end of the connection, where more must come.
    pub(super) fn ended(&self, what: &'static str) -> Box<Error> {
        self.with_retry(Error::explain(ErrorType::ConnectionClosed, what))
    }

    fn could_not_read(&self, error: io::Error) -> Box<Error> {
        self.with_retry(Error::because(
            ErrorType::ReadError,
            "while reading a response",
            error,
        ))
    }

    fn could_not_write(&self, error: io::Error) -> Box<Error> {
        let what = "while writing request headers";
        self.with_retry(Error::because(ErrorType::WriteError, what, error))
    }

    /// A connection that ends before anything came over it may have been closed while it was idle.
    fn with_retry(&self, error: Box<Error>) -> Box<Error> {
        let mut error = error.into_up();
        if !self.has_spoken {
            error.retry = RetryType::ReusedOnly;
        }
        error
    }

    /// The response has been read to its end, and the origin goes on.
    pub(super) fn let_wait(self, until: std::time::Instant) {
        let idle = self.upstream.idle();
        idle.put(self.address, self.connection, until);
    }
}
