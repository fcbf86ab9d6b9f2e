//! A connection as requests see it that pass through before Pingora.

use super::{answered::write_head, line::Line};
use crate::{spelling::Spelling, through};
use bytes::BytesMut;
use pingora::http::ResponseHeader;
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

    fn head_octets(head: &mut ResponseHeader, spelling: &Spelling, keeps: bool) -> BytesMut {
        write_head(head, Some(spelling), keeps)
    }
}
