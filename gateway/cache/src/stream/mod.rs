//! A body under way: one writer, many followers, none of which ever hangs on a writer that is gone.
//!
//! - **growing**: all bytes since the first are kept and charged; anyone may begin to follow.
//! - **passing**: the body will not be stored (no room, too large). What every present follower has read is let go, and
//!   once anything has arrived nobody else may join. A follower that falls [`WINDOW_BYTES_MAX`] behind is cut off, so that one that
//!   stopped reading can't hold the window open, and if all such bodies hold [`PASSING_BYTES_MAX`], one that falls
//!   [`LAG_BYTES_MAX`] behind. Who has read all that it asked for holds nothing.
//! - **complete**: followers read on in the [`Body`]. If it leaves the index and they are slow, they [lose](crate::LINGER_RATE)
//!   the rest.
//! - **broken**: followers get an error, never a clean end.
//!
//! Bytes that arrive are copied into chunks of their exact size: a slice of a network buffer would keep the whole
//! buffer alive, and the budget would not know.

mod follower;

pub use follower::Follower;
use follower::Place;

use crate::body::{Body, CHUNK_OVERHEAD_BYTES, Chunk, WHOLE_BYTES_MAX};
use crate::budget::Charge;
use crate::filling::LAG_BYTES_MAX;
use crate::linger::LINGER_RATE;
use bytes::Bytes;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;

/// The largest chunk of a stored body.
pub const CHUNK_BYTES_MAX: usize = 64 * 1024;
/// The first chunk of a body whose length is unknown; later ones double.
pub const CHUNK_BYTES_MIN: usize = 4 * 1024;
/// The most bytes that a passing body holds for followers that lag.
pub const WINDOW_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// From so many bytes on, over all passing bodies, each holds no more than [`LAG_BYTES_MAX`] for followers that lag.
pub const PASSING_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The most bytes that one read of a passing body returns at once, so that a reader gains on a fast writer.
pub const PASSING_READ_BYTES_MAX: u64 = 1024 * 1024;

/// Why a body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Its writer went away before the end.
    #[error("the fetch that brought this body broke off")]
    Aborted,
    /// It ended before, or went on after, the length that its header announced.
    #[error("the body does not have the length that its header announced")]
    WrongLength,
    /// This follower fell too far behind a body that is not stored.
    #[error("the reader fell too far behind a body that is not stored")]
    TooSlow,
    /// What it read had left the cache, or was arriving, slowly, and its memory was needed.
    #[error(
        "the object had left the cache or was arriving, was read slower than {LINGER_RATE} bytes a second, and its memory was needed"
    )]
    Withdrawn,
}

/// A body under way.
#[derive(Debug)]
pub struct Stream {
    state: Mutex<State>,
    changed: Notify,
    /// The length that the header announced.
    expected: Option<u64>,
    /// Bytes that passing bodies hold, over all of them.
    passing_bytes: Arc<AtomicU64>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Where the first byte kept stands in the body.
    start: u64,
    chunks: VecDeque<Part>,
    /// Where each chunk ends in the body.
    ends: VecDeque<u64>,
    /// What arrived after the last chunk.
    tail: Vec<u8>,
    /// Bytes that arrived.
    length: u64,
    followers: HashMap<u64, Place, ahash::RandomState>,
    next_follower: u64,
    /// What this body adds to `passing_bytes`.
    counted: u64,
    /// Its memory was needed.
    is_given_up: bool,
}

/// A chunk as it is kept.
#[derive(Debug)]
enum Part {
    /// To be stored.
    Own(Arc<Chunk>),
    /// Handed on as it came.
    Passing(Bytes),
}

#[derive(Debug)]
enum Phase {
    Growing,
    Passing { ended: bool },
    Complete(Arc<Body>),
    Broken(Broken),
}

impl Stream {
    /// A body of which nothing has arrived.
    pub(crate) fn new(expected: Option<u64>, passing_bytes: Arc<AtomicU64>) -> Arc<Self> {
        let state = State {
            phase: Phase::Growing,
            start: 0,
            chunks: VecDeque::new(),
            ends: VecDeque::new(),
            tail: Vec::new(),
            length: 0,
            followers: HashMap::default(),
            next_follower: 0,
            counted: 0,
            is_given_up: false,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: Notify::new(),
            expected,
            passing_bytes,
        })
    }

    /// Begins to read it from its first byte; none when that is no longer possible.
    pub fn follow(self: &Arc<Self>) -> Option<Follower> {
        let mut state = self.state.lock();
        let is_late = match state.phase {
            Phase::Growing | Phase::Complete(_) => false,
            Phase::Passing { .. } => state.length > 0,
            Phase::Broken(_) => true,
        };
        if is_late {
            return None;
        }
        let id = state.next_follower;
        state.next_follower += 1;
        state.followers.insert(id, Place::default());
        Some(Follower::new(Arc::clone(self), id))
    }

    /// Whether others may begin to follow it.
    pub fn is_open(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Growing | Phase::Complete(_))
    }

    /// The length that the header announced.
    pub fn expected(&self) -> Option<u64> {
        self.expected
    }

    /// Starts the next chunk, of that many bytes.
    pub(crate) fn open_chunk(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.close_tail();
        state.tail = Vec::with_capacity(bytes);
    }

    /// Adds bytes to the present chunk.
    pub(crate) fn extend(&self, data: &[u8]) {
        let mut state = self.state.lock();
        state.tail.extend_from_slice(data);
        state.length += data.len() as u64;
        drop(state);
        self.changed.notify_waiters();
    }

    /// Adds all bytes of a body, in chunks of their own.
    pub(crate) fn extend_chunked(&self, data: &[u8]) {
        for chunk in data.chunks(CHUNK_BYTES_MAX) {
            self.open_chunk(chunk.len());
            self.extend(chunk);
        }
    }

    /// From here on the body is not kept.
    pub(crate) fn pass(&self) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Growing) {
            state.close_tail();
            state.phase = Phase::Passing { ended: false };
            self.trim(&mut state);
        }
    }

    /// From here on the body is not kept, and its memory is needed: who lags far behind loses it.
    pub(crate) fn give_up(&self) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Growing) {
            state.close_tail();
            state.phase = Phase::Passing { ended: false };
            state.is_given_up = true;
            let length = state.length;
            state
                .followers
                .retain(|_, place| length.saturating_sub(place.at) <= LAG_BYTES_MAX);
            self.trim(&mut state);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Bytes that have arrived.
    pub(crate) fn arrived(&self) -> u64 {
        self.state.lock().length
    }

    /// Hands bytes of a passing body on. False: nobody reads it any more.
    pub(crate) fn hand_on(&self, data: Bytes) -> bool {
        let mut state = self.state.lock();
        if !data.is_empty() {
            state.length += data.len() as u64;
            let end = state.length;
            state.chunks.push_back(Part::Passing(data));
            state.ends.push_back(end);
        }
        let is_crowded = self.passing_bytes.load(Ordering::Relaxed) > PASSING_BYTES_MAX;
        let window = if is_crowded {
            LAG_BYTES_MAX
        } else {
            WINDOW_BYTES_MAX
        };
        let length = state.length;
        state.followers.retain(|_, place| {
            let window = if place.is_done {
                WINDOW_BYTES_MAX
            } else {
                window
            };
            length.saturating_sub(place.at) <= window
        });
        self.trim(&mut state);
        let read = !state.followers.is_empty();
        drop(state);
        self.changed.notify_waiters();
        read
    }

    /// The body is whole: followers go on in what this returns. `charge` is for it, and so many bytes of it for its record.
    pub(crate) fn complete(&self, charge: Charge, record_bytes: u64) -> Arc<Body> {
        let mut state = self.state.lock();
        state.ends.clear();
        let length = state.length;
        let body = if state.chunks.is_empty() && length <= WHOLE_BYTES_MAX {
            charge.shrink_to(record_bytes + length + CHUNK_OVERHEAD_BYTES);
            let bytes = std::mem::take(&mut state.tail);
            Body::whole(bytes.into_boxed_slice(), charge)
        } else {
            state.close_tail();
            let chunks = std::mem::take(&mut state.chunks).into_iter();
            let chunks: Vec<_> = chunks.map(Part::into_chunk).collect();
            charge.shrink_to(record_bytes + length + CHUNK_OVERHEAD_BYTES * chunks.len() as u64);
            Body::chunked(chunks, charge)
        };
        let body = Arc::new(body);
        state.phase = Phase::Complete(Arc::clone(&body));
        drop(state);
        self.changed.notify_waiters();
        body
    }

    /// A passing body is at its end.
    pub(crate) fn end(&self) {
        self.state.lock().phase = Phase::Passing { ended: true };
        self.changed.notify_waiters();
    }

    /// The body ends here, and not well.
    pub(crate) fn break_off(&self, why: Broken) {
        let mut state = self.state.lock();
        state.phase = Phase::Broken(why);
        state.chunks.clear();
        state.ends.clear();
        state.tail = Vec::new();
        state.start = state.length;
        self.count(&mut state, 0);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Lets go of what every follower of a passing body has read.
    fn trim(&self, state: &mut State) {
        if !matches!(state.phase, Phase::Passing { .. }) {
            return;
        }
        let needed = state
            .followers
            .values()
            .filter(|place| !place.is_done)
            .map(|place| place.at)
            .min()
            .unwrap_or(state.length);
        while state.ends.front().is_some_and(|&end| end <= needed) {
            state.chunks.pop_front();
            state.start = state.ends.pop_front().unwrap_or(state.start);
        }
        let held = state.length - state.start;
        self.count(state, held);
    }

    fn count(&self, state: &mut State, held: u64) {
        // The gauge wraps around when it falls, and comes out right.
        self.passing_bytes
            .fetch_add(held.wrapping_sub(state.counted), Ordering::Relaxed);
        state.counted = held;
    }
}

impl State {
    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            let chunk = Chunk::new(std::mem::take(&mut self.tail).into_boxed_slice());
            self.chunks.push_back(Part::Own(chunk));
            self.ends.push_back(self.length);
        }
    }

    /// Bytes from `at` up to `end` at most; none when they have not arrived.
    fn slice(&self, at: u64, end: u64) -> Option<Bytes> {
        let end = end.min(self.length);
        if at >= end {
            return None;
        }
        let passing = matches!(self.phase, Phase::Passing { .. });
        let piece = self.piece(at, end)?;
        if !passing || at + piece.len() as u64 == end {
            return Some(piece);
        }
        let end = end.min(at + PASSING_READ_BYTES_MAX);
        let mut joined = piece.to_vec();
        while let Some(piece) = self.piece(at + joined.len() as u64, end) {
            joined.extend_from_slice(&piece);
        }
        Some(joined.into())
    }

    /// The rest of the chunk that holds `at`, cut at `end`; copied if that chunk is still being written.
    fn piece(&self, at: u64, end: u64) -> Option<Bytes> {
        if at >= end {
            return None;
        }
        let index = self.ends.partition_point(|&chunk_end| chunk_end <= at);
        if let (Some(chunk), Some(&chunk_end)) = (self.chunks.get(index), self.ends.get(index)) {
            let start = chunk.len().checked_sub((chunk_end - at) as usize)?;
            let stop = chunk.len() - chunk_end.saturating_sub(end) as usize;
            return Some(chunk.slice(start..stop));
        }
        let tail_start = self.length - self.tail.len() as u64;
        let start = at.checked_sub(tail_start)? as usize;
        let stop = end.checked_sub(tail_start)? as usize;
        self.tail.get(start..stop).map(Bytes::copy_from_slice)
    }
}

impl Part {
    fn len(&self) -> usize {
        match self {
            Self::Own(chunk) => chunk.len(),
            Self::Passing(bytes) => bytes.len(),
        }
    }

    fn slice(&self, range: Range<usize>) -> Bytes {
        match self {
            Self::Own(chunk) => chunk.piece(range),
            Self::Passing(bytes) => bytes.slice(range),
        }
    }

    fn into_chunk(self) -> Arc<Chunk> {
        match self {
            Self::Own(chunk) => chunk,
            Self::Passing(bytes) => Chunk::new(bytes.as_ref().into()),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let counted = self.state.get_mut().counted;
        self.passing_bytes.fetch_sub(counted, Ordering::Relaxed);
    }
}
