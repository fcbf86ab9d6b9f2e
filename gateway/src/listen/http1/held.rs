//! The head of a response, which waits for the octets behind it: both leave in one write. A write costs the edge more
//! than all that it decides of a request.
//!
//! Only a head waits whose writer looks for the client while it waits for those octets: then the head goes out. And only
//! over cleartext: TLS puts what it is given into a record of its own.

use pingora::protocols::Stream;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};
use tokio::io::AsyncWrite as _;

/// A head that is larger goes out alone: then copying it is what costs.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How a head begins, and how it ends.
const BEGIN: &[u8] = b"HTTP/1.";
const END: &[u8] = b"\r\n\r\n";

/// What was taken and not written yet.
#[derive(Debug, Default)]
pub(super) struct Held {
    octets: Vec<u8>,
    written: usize,
}

impl Held {
    /// Whether these are to wait. A body may look like a head: then it waits, too, and for no longer.
    pub(super) fn takes(&self, octets: &[u8]) -> bool {
        self.is_empty()
            && octets.len() <= HEAD_BYTES_MAX
            && octets.starts_with(BEGIN)
            && octets.ends_with(END)
    }

    /// Holds a head.
    pub(super) fn hold(&mut self, head: Vec<u8>) {
        *self = Self {
            octets: head,
            written: 0,
        };
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Writes what waits, and these octets behind it: how many of these were taken, which is none only of none.
    pub(super) fn poll_write_with(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        while !self.is_empty() {
            let waits = self.octets.get(self.written..).unwrap_or_default();
            let pieces = [IoSlice::new(waits), IoSlice::new(octets)];
            let taken = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &pieces))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let Some(behind) = taken.checked_sub(waits.len()) else {
                self.written += taken;
                continue;
            };
            *self = Self::default();
            if behind > 0 {
                return Poll::Ready(Ok(behind));
            }
        }
        if octets.is_empty() {
            return Poll::Ready(Ok(0));
        }
        Pin::new(stream).poll_write(cx, octets)
    }

    /// Writes what waits without waiting itself: nobody is there any more who would ask again. Says whether all of it was
    /// written.
    pub(super) fn let_go(&mut self, stream: &mut Stream) -> bool {
        let _ = self.poll_write_with(stream, &mut Context::from_waker(Waker::noop()), b"");
        self.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";

    #[test]
    fn a_head_waits_and_nothing_else_does() {
        let large = [BEGIN, &[b'x'; HEAD_BYTES_MAX], END].concat();
        for (octets, waits) in [
            (HEAD, true),
            (b"HTTP/1.1 100 Continue\r\n\r\n", true),
            (b"body", false),
            (b"HTTP/1.1 200 OK\r\nContent-Len", false),
            (b"", false),
            (&large, false),
        ] {
            assert_eq!(Held::default().takes(octets), waits, "{octets:?}");
        }
        let mut held = Held::default();
        held.hold(HEAD.to_vec());
        assert!(!held.takes(HEAD), "the next one");
    }

    /// However little the other end takes at a time.
    #[tokio::test]
    async fn what_waited_comes_first_and_all_of_it() {
        for room in 1..=HEAD.len() + 5 {
            let (near, mut far) = tokio::io::duplex(room);
            let mut near: Stream = Box::new(near);
            let mut held = Held::default();
            held.hold(HEAD.to_vec());
            let writing = async {
                let mut body: &[u8] = b"body";
                while !body.is_empty() {
                    let taken = poll_fn(|cx| held.poll_write_with(&mut near, cx, body)).await;
                    body = &body[taken.unwrap()..];
                }
                near.shutdown().await.unwrap();
            };
            let mut read = Vec::new();
            let ((), all) = tokio::join!(writing, far.read_to_end(&mut read));
            all.unwrap();
            assert_eq!(read, [HEAD, b"body"].concat(), "with room for {room}");
        }
    }

    #[tokio::test]
    async fn what_is_left_of_a_head_is_told() {
        let (near, _far) = tokio::io::duplex(8);
        let mut held = Held::default();
        held.hold(HEAD.to_vec());
        let near: Stream = Box::new(near);
        assert!(!held.let_go(&mut { near }));
    }

    #[tokio::test]
    async fn what_nobody_asks_for_any_more_is_written_all_the_same() {
        let (near, mut far) = tokio::io::duplex(1_024);
        let mut near: Stream = Box::new(near);
        let mut held = Held::default();
        held.hold(HEAD.to_vec());
        assert!(held.let_go(&mut near));
        drop(near);
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, HEAD);
    }
}
