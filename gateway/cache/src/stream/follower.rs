//! One reader of a body under way.

use super::{Broken, Phase, Stream};
use crate::body::OutOfRange;
use bytes::Bytes;
use std::sync::Arc;

/// Reads a body under way, at its own pace, from some offset to some end.
#[derive(Debug)]
pub struct Follower {
    stream: Arc<Stream>,
    id: u64,
    at: u64,
    end: u64,
}

/// Where a follower stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    /// The offset of its next byte, which may be still to arrive.
    pub(super) at: u64,
    /// It has read all that it asked for.
    pub(super) is_done: bool,
}

enum Step {
    Piece(Bytes),
    End,
    Wait,
}

impl Follower {
    pub(super) fn new(stream: Arc<Stream>, id: u64) -> Self {
        Self {
            stream,
            id,
            at: 0,
            end: u64::MAX,
        }
    }

    /// The next piece, waiting for it to arrive; none at the end. Cancel-safe.
    pub async fn read(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            let stream = Arc::clone(&self.stream);
            let mut changed = std::pin::pin!(stream.changed.notified());
            // Registered before looking, so that a change between looking and waiting is not missed.
            changed.as_mut().enable();
            match self.step()? {
                Step::Piece(piece) => return Ok(Some(piece)),
                Step::End => return Ok(None),
                Step::Wait => changed.await,
            }
        }
    }

    /// Goes to an offset, to read up to an end (exclusive). An offset behind the end is noticed here if the length is
    /// known, and reads as nothing if it is not. What a passing body has let go can't be read again.
    pub fn seek(&mut self, start: u64, end: Option<u64>) -> Result<(), OutOfRange> {
        let mut state = self.stream.state.lock();
        let length = match &state.phase {
            Phase::Complete(body) => Some(body.len()),
            _ => self.stream.expected,
        };
        if let Some(length) = length.filter(|&length| start > length) {
            return Err(OutOfRange { start, length });
        }
        if matches!(state.phase, Phase::Passing { .. }) && start < state.start {
            return Err(OutOfRange {
                start,
                length: state.length,
            });
        }
        (self.at, self.end) = (start, end.unwrap_or(u64::MAX));
        self.stand(&mut state);
        Ok(())
    }

    /// The body under way.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    fn step(&mut self) -> Result<Step, Broken> {
        if self.at >= self.end {
            return Ok(Step::End);
        }
        let stream = Arc::clone(&self.stream);
        let mut state = stream.state.lock();
        let piece = match &state.phase {
            Phase::Broken(why) => return Err(*why),
            Phase::Complete(body) => body.slice(self.at, self.end)?,
            Phase::Growing => state.slice(self.at, self.end),
            Phase::Passing { .. } if !state.followers.contains_key(&self.id) => {
                return Err(if state.is_given_up {
                    Broken::Withdrawn
                } else {
                    Broken::TooSlow
                });
            }
            Phase::Passing { .. } => state.slice(self.at, self.end),
        };
        let Some(piece) = piece else {
            let ended = matches!(
                state.phase,
                Phase::Complete(_) | Phase::Passing { ended: true }
            );
            return Ok(if ended { Step::End } else { Step::Wait });
        };
        self.at += piece.len() as u64;
        self.stand(&mut state);
        Ok(Step::Piece(piece))
    }

    /// Tells the body where this follower stands, so that it lets go of what lies before.
    fn stand(&self, state: &mut super::State) {
        if let Some(place) = state.followers.get_mut(&self.id) {
            *place = Place {
                at: self.at,
                is_done: self.at >= self.end,
            };
            self.stream.trim(state);
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut state = self.stream.state.lock();
        state.followers.remove(&self.id);
        self.stream.trim(&mut state);
    }
}
