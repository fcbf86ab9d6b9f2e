//! A body under way: one writer, the thread that puts it on disk, and many followers.
//!
//! It lies in chunks of one size. Each is *held* in memory until it is *placed* on disk; a follower reads either. If the
//! tier stops storing it (the disk is slow, or full), it is *refused*: what comes is handed on to those who follow already,
//! and let go when all of them have it. A follower that falls [`WINDOW_BYTES_MAX`] behind a refused body is cut off, and nobody
//! else with it.

mod follower;
mod registry;
mod writer;

pub use follower::Follower;
pub(crate) use registry::Fills;
pub use registry::{FILLS_MAX, FILLS_PER_KEY_MAX};
pub use writer::{Abandoned, Writer};

use crate::{
    format::Extent,
    hash::KeyHash,
    head::Head,
    memory::Charge,
    outcome::{Broken, Refusal},
    segments::Segment,
    shared::Shared,
};
use bytes::Bytes;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, task::Waker};

/// The most bytes that a refused body holds for followers that lag.
pub const WINDOW_BYTES_MAX: u64 = 8 << 20;
/// What a piece of a chunk costs beside its bytes.
const PIECE_OVERHEAD_BYTES: u64 = 96;

/// A body under way.
#[derive(Debug)]
pub(crate) struct Fill {
    pub(crate) id: u64,
    pub(crate) hash: KeyHash,
    pub(crate) order: u64,
    pub(crate) head: Head,
    pub(crate) expected: Option<u64>,
    pub(crate) chunk_bytes: u64,
    pub(crate) state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    /// All but the last are full.
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) written: u64,
    pub(crate) phase: Phase,
    pub(crate) refused: Option<Refusal>,
    /// Follower → offset of its next byte.
    followers: HashMap<u64, u64>,
    next_follower: u64,
    wakers: Vec<Waker>,
    charge: Charge,
}

#[derive(Debug)]
pub(crate) enum Chunk {
    /// In memory.
    Held(Vec<Bytes>),
    /// On disk.
    Placed(Arc<Segment>, Extent),
    /// Let go.
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    Ended,
    Broken(Broken),
}

impl Fill {
    pub(crate) fn new(
        (id, hash, order): (u64, KeyHash, u64),
        head: Head,
        expected: Option<u64>,
        chunk_bytes: u64,
        charge: Charge,
    ) -> Self {
        Self {
            id,
            hash,
            order,
            head,
            expected,
            chunk_bytes,
            state: Mutex::new(State {
                chunks: Vec::new(),
                written: 0,
                phase: Phase::Open,
                refused: None,
                followers: HashMap::new(),
                next_follower: 0,
                wakers: Vec::new(),
                charge,
            }),
        }
    }

    /// Adds a piece that has been copied, no larger than what is left of the present chunk. False: its bytes can't be charged.
    fn add(&self, piece: Bytes) -> bool {
        let wakers = {
            let mut state = self.state.lock();
            if !state.charge.grow(piece.len() as u64 + PIECE_OVERHEAD_BYTES) {
                return false;
            }
            if state.written.is_multiple_of(self.chunk_bytes) {
                state.chunks.push(Chunk::Held(Vec::new()));
            }
            state.written += piece.len() as u64;
            if let Some(Chunk::Held(pieces)) = state.chunks.last_mut() {
                pieces.push(piece);
            }
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
        true
    }

    /// A chunk is on disk.
    pub(crate) fn place(&self, number: usize, segment: &Arc<Segment>, extent: Extent) {
        let mut state = self.state.lock();
        if state.refused.is_none() {
            let placed = Chunk::Placed(Arc::clone(segment), extent);
            state.let_go(number, placed);
        }
    }

    /// From here on it is not stored, and nobody new may follow it. Who follows already reads on, out of memory that
    /// is set aside for that: what waits for a slow disk does not take it away.
    pub(crate) fn give_up(&self, shared: &Shared, refusal: Refusal) {
        let (is_first, wakers) = {
            let mut state = self.state.lock();
            let is_first = state.refused.is_none();
            if is_first {
                state.refused = Some(refusal);
                state.trim(self.chunk_bytes);
                loop {
                    if let Some(charge) = shared.passing.charge(state.charge.bytes()) {
                        state.charge = charge;
                        break;
                    }
                    if !state.cut_off_last(self.chunk_bytes) {
                        state.phase = Phase::Broken(Broken::TooSlow);
                        break;
                    }
                }
            }
            (is_first, std::mem::take(&mut state.wakers))
        };
        if is_first {
            shared.counters.add(refusal);
            if refusal.is_of_the_tier() {
                shared.forget_older(self.hash, self.order);
            }
        }
        wakers.into_iter().for_each(Waker::wake);
        shared.fills.end(self);
    }

    pub(crate) fn refused(&self) -> Option<Refusal> {
        self.state.lock().refused
    }

    /// Nothing more comes.
    fn end(&self, phase: Phase) {
        let wakers = {
            let mut state = self.state.lock();
            if state.phase == Phase::Open {
                state.phase = phase;
            }
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Makes room in a refused body. False: nobody follows it, or nobody does any more.
    fn make_way(&self) -> bool {
        let (wakers, is_followed) = {
            let mut state = self.state.lock();
            state.trim(self.chunk_bytes);
            while state.held() > WINDOW_BYTES_MAX && state.cut_off_last(self.chunk_bytes) {}
            let is_followed = !state.followers.is_empty() && state.phase == Phase::Open;
            (std::mem::take(&mut state.wakers), is_followed)
        };
        wakers.into_iter().for_each(Waker::wake);
        is_followed
    }

    /// Makes room in a refused body at the cost of who lags furthest. False: nobody is left.
    fn cut_off_last(&self) -> bool {
        self.state.lock().cut_off_last(self.chunk_bytes)
    }
}

impl State {
    fn held(&self) -> u64 {
        let held = |chunk: &Chunk| match chunk {
            Chunk::Held(pieces) => pieces.iter().map(|piece| piece.len() as u64).sum(),
            _ => 0,
        };
        self.chunks.iter().map(held).sum()
    }

    /// Lets go what every follower of a refused body has read.
    fn trim(&mut self, chunk_bytes: u64) {
        if self.refused.is_none() {
            return;
        }
        let last = usize::from(self.phase == Phase::Open);
        let read = match self.followers.values().min() {
            Some(&at) => (at / chunk_bytes) as usize,
            None => self.chunks.len(),
        };
        for number in 0..read.min(self.chunks.len().saturating_sub(last)) {
            self.let_go(number, Chunk::Gone);
        }
    }

    /// Cuts off who lags furthest behind a refused body, and those in the same chunk. False: nobody is left.
    fn cut_off_last(&mut self, chunk_bytes: u64) -> bool {
        if let Some(last) = self.followers.values().min().map(|at| at / chunk_bytes) {
            self.followers.retain(|_, at| *at / chunk_bytes > last);
            self.trim(chunk_bytes);
        }
        !self.followers.is_empty()
    }

    fn let_go(&mut self, number: usize, becomes: Chunk) {
        if let Some(chunk) = self.chunks.get_mut(number) {
            if let Chunk::Held(pieces) = chunk {
                let bytes: u64 = pieces
                    .iter()
                    .map(|piece| piece.len() as u64 + PIECE_OVERHEAD_BYTES)
                    .sum();
                self.charge.shrink(bytes);
            }
            *chunk = becomes;
        }
    }
}
