//! Writes one body, as it arrives. Never waits for the disk.

use super::{Fill, Phase};
use crate::{
    outcome::{Broken, Refusal},
    queue::Operation,
    shared::Shared,
    ticket::{Ticket, promise},
};
use bytes::Bytes;
use std::sync::Arc;

/// Writes one body. Dropped before [`commit`](Self::commit), it breaks the body off: whoever follows gets an error.
pub struct Writer {
    shared: Arc<Shared>,
    fill: Arc<Fill>,
    written: u64,
    is_done: bool,
}

/// Nobody follows a body that is not stored: there is no use in bringing the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody reads this body and it is not stored ({0})")]
pub struct Abandoned(#[source] pub Refusal);

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, fill: Arc<Fill>) -> Self {
        Self {
            shared,
            fill,
            written: 0,
            is_done: false,
        }
    }

    /// Adds bytes, which are copied. If they can't be stored they are handed on to those who follow, and so is what comes
    /// after.
    pub fn write(&mut self, data: &[u8]) -> Result<(), Abandoned> {
        let length = self.written.saturating_add(data.len() as u64);
        if self.fill.expected.is_some_and(|expected| length > expected) {
            self.refuse(Refusal::WrongLength);
        } else if length > self.shared.settings.object_bytes_max() {
            self.refuse(Refusal::TooLarge);
        }
        let mut rest = data;
        while !rest.is_empty() {
            if let Some(refusal) = self.fill.refused()
                && !self.fill.make_way()
            {
                return Err(Abandoned(refusal));
            }
            let chunk_bytes = self.fill.chunk_bytes;
            let space = chunk_bytes - self.written % chunk_bytes;
            let bytes = usize::try_from(space).map_or(rest.len(), |space| space.min(rest.len()));
            let (piece, after) = rest.split_at_checked(bytes).unwrap_or((rest, &[]));
            if !self.add(piece) {
                return Err(Abandoned(Refusal::QueueFull));
            }
            rest = after;
            if self.written.is_multiple_of(chunk_bytes) {
                self.push_chunk();
            }
        }
        Ok(())
    }

    /// The body is whole. The outcome is not the client's concern, and need not be waited for.
    pub fn commit(mut self) -> Ticket<Result<(), Refusal>> {
        self.is_done = true;
        if self
            .fill
            .expected
            .is_some_and(|bytes| bytes != self.written)
        {
            self.fill.end(Phase::Broken(Broken::WrongLength));
            return self.give_up(Refusal::WrongLength);
        }
        self.fill.end(Phase::Ended);
        if let Some(refusal) = self.fill.refused() {
            // Counted when it was refused.
            self.shared.fills.end(&self.fill);
            return Ticket::kept(Err(refusal));
        }
        let (promise, ticket) = promise();
        match self
            .shared
            .queue
            .push(Operation::Commit(Arc::clone(&self.fill), promise))
        {
            Ok(()) => ticket,
            Err(refusal) => self.give_up(refusal),
        }
    }

    /// It is not to be stored, for that reason, although it is served from elsewhere: what it would have replaced must not come after
    /// it, and goes.
    pub fn decline(mut self, why: Refusal) {
        self.is_done = true;
        self.fill.end(Phase::Broken(Broken::Aborted));
        self.refuse(why);
    }

    /// It is not to be stored from here on, for that reason, although it is served from elsewhere; whoever follows it reads on.
    pub fn pass(&self, why: Refusal) {
        self.refuse(why);
    }

    /// Why it is not stored, if it is known already that it will not be.
    pub fn refused(&self) -> Option<Refusal> {
        self.fill.refused()
    }

    fn add(&mut self, piece: &[u8]) -> bool {
        let copy = Bytes::copy_from_slice(piece);
        if !self.fill.add(copy.clone()) {
            self.refuse(Refusal::QueueFull);
            if !self.fill.make_way() {
                return false;
            }
            while !self.fill.add(copy.clone()) {
                // Followers that lag hold what there is.
                if !self.fill.cut_off_last() {
                    self.fill.end(Phase::Broken(Broken::TooSlow));
                    return false;
                }
            }
        }
        self.written += piece.len() as u64;
        true
    }

    fn push_chunk(&self) {
        if self.fill.refused().is_some() {
            return;
        }
        let number = (self.written / self.fill.chunk_bytes).saturating_sub(1) as usize;
        let chunk = Operation::Chunk(Arc::clone(&self.fill), number);
        if let Err(refusal) = self.shared.queue.push(chunk) {
            self.refuse(refusal);
        }
    }

    fn refuse(&self, refusal: Refusal) {
        self.fill.give_up(&self.shared, refusal);
    }

    fn give_up(&self, refusal: Refusal) -> Ticket<Result<(), Refusal>> {
        self.refuse(refusal);
        Ticket::kept(Err(refusal))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.is_done {
            self.fill.end(Phase::Broken(Broken::Aborted));
            self.refuse(Refusal::Aborted);
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("fill", &self.fill.id)
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}
