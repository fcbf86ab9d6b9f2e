//! An answer under way: the body that says when it is handed over, and the stream that says whether the client takes it.

use super::visit::{UnderWay, Visit};
use axum::body::{Body, Bytes, HttpBody};
use hyper::{
    Version,
    body::{Frame, SizeHint},
};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A body is handed over in parts of so many bytes at most, so that all but the last was taken when it is at its end: a
/// large one is not over while most of it waits for a slow client. Over HTTP/2 a client has to take as much within
/// [`TAKE_MAX`](super::visit::TAKE_MAX).
const PART_BYTES_MAX: usize = 16 * 1024;
/// The last part of a body whose end is known. HTTP/2 has a part handed over as soon as its window has room for one
/// octet: so the answer is under way until there is room for all of it.
const LAST_BYTES: usize = 1;

/// The body of an answer. Its request is under way until it is dropped.
pub struct Answer {
    body: Body,
    /// Of the part that came last.
    rest: Bytes,
    under_way: UnderWay,
    /// Whether the client says how much it takes, as over HTTP/2. Over HTTP/1, what the socket takes says it: parts are asked
    /// for only when many before them have gone.
    has_windows: bool,
}

/// A stream whose client is looked after.
pub struct Looked<S> {
    stream: S,
    visit: Arc<Visit>,
}

impl Answer {
    /// The body of an answer to that request.
    pub fn new(body: Body, under_way: UnderWay, version: Version) -> Self {
        let answer = Self {
            body,
            rest: Bytes::new(),
            under_way,
            has_windows: version == Version::HTTP_2,
        };
        answer.offers();
        answer
    }

    fn offers(&self) {
        if self.has_windows {
            self.under_way.offers();
        }
    }

    fn part(&mut self) -> Bytes {
        let rest = self.rest.len();
        let keeps = if self.body.is_end_stream() && rest > LAST_BYTES {
            LAST_BYTES
        } else {
            0
        };
        self.rest.split_to((rest - keeps).min(PART_BYTES_MAX))
    }

    fn poll_part(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(self.part()))))
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let polled = this.poll_part(context);
        match polled {
            Poll::Ready(_) => this.offers(),
            Poll::Pending => this.under_way.has_no_more_yet(),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(body.lower() + rest);
        hint
    }
}

impl<S> Looked<S> {
    /// That stream of that connection.
    pub fn new(stream: S, visit: Arc<Visit>) -> Self {
        Self { stream, visit }
    }

    fn noted<T>(&self, written: Poll<T>) -> Poll<T> {
        self.visit.takes(written.is_ready());
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Looked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, octets)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Looked<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, octets);
        self.noted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, octets);
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.noted(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.noted(shut)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::visit::Terms, *};
    use futures::FutureExt as _;
    use std::{future::poll_fn, sync::Weak};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    #[tokio::test]
    async fn a_body_is_handed_over_in_parts_and_is_under_way_until_then() {
        let visit = Visit::new(Terms::Open, Weak::new());
        let whole: Vec<u8> = (0..PART_BYTES_MAX * 2 + 5).map(|at| at as u8).collect();
        let mut answer = Answer::new(Body::from(whole.clone()), visit.request(), Version::HTTP_2);
        let (mut got, mut parts) = (Vec::new(), Vec::new());
        loop {
            let left = (whole.len() - got.len()) as u64;
            assert_eq!(answer.size_hint().exact(), Some(left));
            let next = poll_fn(|context| Pin::new(&mut answer).poll_frame(context)).await;
            let Some(frame) = next else {
                break;
            };
            let part = frame.unwrap().into_data().unwrap();
            parts.push(part.len());
            got.extend_from_slice(&part);
            assert_eq!(answer.is_end_stream(), got.len() == whole.len());
            assert!(visit.is_served());
        }
        assert_eq!(parts, [PART_BYTES_MAX, PART_BYTES_MAX, 4, 1]);
        assert!(got == whole);
        drop(answer);
        assert!(!visit.is_served());
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_noticed_and_one_that_goes_on_too() {
        let visit = Visit::new(Terms::Open, Weak::new());
        let (near, mut far) = duplex(8);
        let mut near = Looked::new(near, Arc::clone(&visit));
        let _request = visit.request();
        let long_after =
            || visit.overstays(tokio::time::Instant::now() + super::super::visit::TAKE_MAX);
        near.write_all(b"12345678").await.unwrap();
        assert_eq!(long_after(), None);
        assert!(near.write_all(b"9").now_or_never().is_none());
        assert_eq!(long_after(), Some(super::super::visit::Cut::NotTaken));
        far.read_exact(&mut [0; 4]).await.unwrap();
        near.write_all(b"9").await.unwrap();
        assert_eq!(long_after(), None);
    }
}
