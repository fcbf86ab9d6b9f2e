//! Reads a body that is under way.

use super::{Chunk, Fill, Phase};
use crate::{
    head::Head,
    outcome::Broken,
    pool::Lane,
    shared::{BodyPermit, Shared},
    ticket::{Ticket, promise},
};
use bytes::Bytes;
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// Reads a body that is under way, from memory and from disk.
pub struct Follower {
    shared: Arc<Shared>,
    fill: Arc<Fill>,
    id: u64,
    at: u64,
    end: u64,
    /// The chunk that is being read from disk, and its number.
    reading: Option<(u64, Ticket<Result<Bytes, Broken>>)>,
    /// The chunk that was read last.
    chunk: Option<(u64, Bytes)>,
    _permit: BodyPermit,
}

enum Next {
    Ready(Option<Bytes>),
    Read(u64, Ticket<Result<Bytes, Broken>>),
    Later,
}

impl Follower {
    /// None: it can't be followed any more.
    pub(crate) fn new(shared: Arc<Shared>, fill: Arc<Fill>, permit: BodyPermit) -> Option<Self> {
        let id = {
            let mut state = fill.state.lock();
            if state.refused.is_some() || matches!(state.phase, Phase::Broken(_)) {
                return None;
            }
            state.next_follower += 1;
            let id = state.next_follower;
            state.followers.insert(id, 0);
            id
        };
        Some(Self {
            shared,
            fill,
            id,
            at: 0,
            end: u64::MAX,
            reading: None,
            chunk: None,
            _permit: permit,
        })
    }

    /// What is known of the object. The caller judges it: a fill is not asked for by the tier.
    pub fn head(&self) -> &Head {
        &self.fill.head
    }

    /// The length of the body, if it is known.
    pub fn body_bytes(&self) -> Option<u64> {
        let state = self.fill.state.lock();
        match state.phase {
            Phase::Ended => Some(state.written),
            _ => self.fill.expected,
        }
    }

    /// Goes to an offset, to read up to an end (exclusive).
    pub fn seek(&mut self, start: u64, end: Option<u64>) {
        (self.at, self.end) = (start, end.unwrap_or(u64::MAX));
        self.reading = None;
        self.stand();
    }

    /// Whether what it waits for is the disk.
    pub fn waits_for_disk(&self) -> bool {
        self.reading.is_some()
    }

    /// The next piece, waiting for it if it is still to arrive; none at the end. Cancel-safe.
    pub async fn read(&mut self) -> Result<Option<Bytes>, Broken> {
        poll_fn(|context| self.poll_read(context)).await
    }

    /// [`read`](Self::read), polled.
    pub fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broken>> {
        loop {
            if self.at >= self.end {
                return Poll::Ready(Ok(None));
            }
            if let Some((number, ticket)) = &mut self.reading {
                let number = *number;
                let Poll::Ready(read) = Pin::new(ticket).poll(context) else {
                    return Poll::Pending;
                };
                self.reading = None;
                self.chunk = Some((number, read?));
            }
            match self.next(context)? {
                Next::Ready(None) => return Poll::Ready(Ok(None)),
                Next::Ready(Some(piece)) => {
                    self.at += piece.len() as u64;
                    self.stand();
                    return Poll::Ready(Ok(Some(piece)));
                }
                Next::Read(number, ticket) => self.reading = Some((number, ticket)),
                Next::Later => return Poll::Pending,
            }
        }
    }

    /// Tells the body where it stands, unless it was cut off. What a refused body has let go does not come back.
    fn stand(&self) {
        let mut state = self.fill.state.lock();
        if let Some(at) = state.followers.get_mut(&self.id) {
            *at = self.at;
        }
    }

    fn next(&mut self, context: &mut Context<'_>) -> Result<Next, Broken> {
        let number = self.at / self.fill.chunk_bytes;
        let within = (self.at % self.fill.chunk_bytes) as usize;
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        if let Some((_, chunk)) = self.chunk.as_ref().filter(|(of, _)| *of == number)
            && within < chunk.len()
        {
            let stop = chunk.len().min(within.saturating_add(left));
            return Ok(Next::Ready(Some(chunk.slice(within..stop))));
        }
        self.chunk = None;
        let mut state = self.fill.state.lock();
        if !state.followers.contains_key(&self.id) {
            return Err(Broken::TooSlow);
        }
        if let Phase::Broken(broken) = state.phase {
            return Err(broken);
        }
        if self.at >= state.written {
            if state.phase == Phase::Ended {
                return Ok(Next::Ready(None));
            }
            state
                .wakers
                .retain(|waker| !waker.will_wake(context.waker()));
            state.wakers.push(context.waker().clone());
            return Ok(Next::Later);
        }
        match state.chunks.get(number as usize) {
            Some(Chunk::Held(pieces)) => Ok(Next::Ready(piece_of(pieces, within, left))),
            Some(Chunk::Placed(segment, extent)) => {
                let (segment, extent) = (Arc::clone(segment), *extent);
                let (promise, ticket) = promise();
                let job = Box::new(move || {
                    if promise.is_wanted() {
                        promise.keep(segment.chunk(&extent));
                    }
                });
                drop(state);
                self.shared.pool.push(Lane::Bodies, job);
                Ok(Next::Read(number, ticket))
            }
            Some(Chunk::Gone) | None => Err(Broken::TooSlow),
        }
    }
}

/// The rest of the piece that holds the byte at `at`, of at most `left` bytes.
fn piece_of(pieces: &[Bytes], mut at: usize, left: usize) -> Option<Bytes> {
    for piece in pieces {
        if at < piece.len() {
            let stop = piece.len().min(at.saturating_add(left));
            return Some(piece.slice(at..stop));
        }
        at -= piece.len();
    }
    None
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut state = self.fill.state.lock();
        state.followers.remove(&self.id);
        state.trim(self.fill.chunk_bytes);
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower")
            .field("fill", &self.fill.id)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
