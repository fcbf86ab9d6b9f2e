//! The body of a message, up to its last octet.

use crate::{
    Framing, Limits, Violation,
    chunk::{Chunks, Sender},
};

/// Looks at the body of one message as it comes.
#[derive(Debug, Clone)]
pub struct BodyReader {
    limits: Limits,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    Left(u64),
    Chunked(Chunks),
}

/// What became of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filtered {
    /// So many octets of the piece belong to the body; what follows is the next request.
    pub taken: usize,
    /// So many of them go on, and stand at the front of the piece now.
    pub kept: usize,
}

impl BodyReader {
    /// For the body that a request's head announced.
    pub fn new(framing: Framing, limits: Limits) -> Self {
        Self::from(Sender::Client, framing, limits)
    }

    /// For the body that a response's head announced. Nobody smuggles anything in what an origin sends to [`decode`]: so
    /// white space around extensions is taken as the grammar has it (RFC 9112 §7.1.1), of extensions only those of one chunk
    /// are bounded, for some sign each chunk, and trailers may have any name, as none goes on.
    ///
    /// [`decode`]: Self::decode
    pub fn of_response(framing: Framing) -> Self {
        Self::from(Sender::Origin, framing, Limits::of_response())
    }

    fn from(sender: Sender, framing: Framing, limits: Limits) -> Self {
        let state = match framing {
            Framing::Empty => State::Left(0),
            Framing::Length(length) => State::Left(length),
            Framing::Chunked => State::Chunked(Chunks::new(sender)),
        };
        Self { limits, state }
    }

    /// Whether the body has ended.
    pub fn is_done(&self) -> bool {
        match &self.state {
            State::Left(left) => *left == 0,
            State::Chunked(chunks) => chunks.is_done(),
        }
    }

    /// Looks at what came, and moves what goes on to its front. After a [`Violation`] the reader is spent, and nothing of
    /// the piece goes on.
    pub fn filter(&mut self, piece: &mut [u8]) -> Result<Filtered, Violation> {
        match &mut self.state {
            State::Left(left) => {
                let taken = piece
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                Ok(Filtered { taken, kept: taken })
            }
            State::Chunked(chunks) => filter_chunks(chunks, piece, &self.limits, Keep::Chunks),
        }
    }

    /// The same, but of chunks only their data goes on, for whoever frames it anew.
    pub fn decode(&mut self, piece: &mut [u8]) -> Result<Filtered, Violation> {
        match &mut self.state {
            State::Left(_) => self.filter(piece),
            State::Chunked(chunks) => filter_chunks(chunks, piece, &self.limits, Keep::Data),
        }
    }
}

/// What of a chunked body goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Chunks,
    Data,
}

fn filter_chunks(
    chunks: &mut Chunks,
    piece: &mut [u8],
    limits: &Limits,
    keep: Keep,
) -> Result<Filtered, Violation> {
    let (mut taken, mut kept) = (0, 0);
    while taken < piece.len() && !chunks.is_done() {
        let is_data = chunks.is_in_data();
        let (count, passes) = chunks.take(piece.get(taken..).unwrap_or_default(), limits)?;
        if passes && (is_data || keep == Keep::Chunks) {
            if kept < taken {
                piece.copy_within(taken..taken + count, kept);
            }
            kept += count;
        }
        taken += count;
    }
    Ok(Filtered { taken, kept })
}
