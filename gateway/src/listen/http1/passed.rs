//! A connection as requests see it that pass through before Pingora.

use super::{answered::write_plain, line::Line};
use crate::{incoming::Plain, through};
use bytes::BytesMut;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::AsyncWrite as _;

impl through::Client for Line {
    fn poll_gone(&mut self, task: &mut Context<'_>) -> Poll<()> {
        self.poll_end(task)
    }

    fn poll_write(
        &mut self,
        task: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match pieces {
            [piece, rest @ ..] if rest.iter().all(|piece| piece.is_empty()) => {
                Pin::new(&mut self.stream).poll_write(task, piece)
            }
            pieces => Pin::new(&mut self.stream).poll_write_vectored(task, pieces),
        }
    }

    fn poll_flush(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn head_octets(head: &mut Plain, keeps: bool, room: usize) -> BytesMut {
        write_plain(head, keeps, room)
    }
}
