//! S3-FIFO (Yang et al., SOSP 2023): objects enter a small queue; those read again there move to the main queue, the
//! others leave and are remembered as ghosts; a ghost that comes back enters the main queue at once. Each queue is a FIFO,
//! so a hit only counts, under a shared lock.

use crate::key::Key;
use std::collections::{HashSet, VecDeque};

/// The share of a shard's bytes that the small queue may hold before it is evicted from first: 1 / this.
pub const SMALL_SHARE: u64 = 10;
/// The most ghosts that a shard remembers.
pub const GHOSTS_MAX: usize = 4_096;
/// How often a read counts.
pub const READS_MAX: u8 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    Small,
    Main,
}

/// A place in a queue. It is stale when the key's object has another ticket by now.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) key: Key,
    pub(super) ticket: u64,
}

#[derive(Debug, Default)]
pub(super) struct Queues {
    small: VecDeque<Place>,
    main: VecDeque<Place>,
    small_bytes: u64,
    main_bytes: u64,
    ghosts: Ghosts,
    next_ticket: u64,
}

#[derive(Debug, Default)]
struct Ghosts {
    order: VecDeque<u64>,
    known: HashSet<u64, ahash::RandomState>,
}

impl Queues {
    /// A new object gets a place. Returns its queue and its ticket.
    pub(super) fn enter(&mut self, key: &Key, hash: u64, bytes: u64) -> (Queue, u64) {
        let queue = if self.ghosts.take(hash) {
            Queue::Main
        } else {
            Queue::Small
        };
        (queue, self.push(queue, key.clone(), bytes))
    }

    /// Puts an object at the end of a queue. Returns its ticket.
    pub(super) fn push(&mut self, queue: Queue, key: Key, bytes: u64) -> u64 {
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        self.queue(queue).push_back(Place { key, ticket });
        *self.bytes_mut(queue) += bytes;
        ticket
    }

    /// An object left its queue, or the map: its bytes no longer count. Its place, if still there, is stale.
    pub(super) fn leave(&mut self, queue: Queue, bytes: u64) {
        let total = self.bytes_mut(queue);
        *total = total.saturating_sub(bytes);
    }

    /// The place that is to be looked at next, and its queue.
    pub(super) fn pop(&mut self) -> Option<(Queue, Place)> {
        let total = self.small_bytes + self.main_bytes;
        let small_first = self.small_bytes * SMALL_SHARE > total || self.main_bytes == 0;
        let order = if small_first {
            [Queue::Small, Queue::Main]
        } else {
            [Queue::Main, Queue::Small]
        };
        order
            .into_iter()
            .find_map(|queue| self.queue(queue).pop_front().map(|place| (queue, place)))
    }

    /// Remembers an object that left the small queue unread.
    pub(super) fn haunt(&mut self, hash: u64) {
        self.ghosts.add(hash);
    }

    /// Places, stale ones included.
    pub(super) fn len(&self) -> usize {
        self.small.len() + self.main.len()
    }

    /// Forgets stale places.
    pub(super) fn retain(&mut self, mut is_valid: impl FnMut(&Place) -> bool) {
        self.small.retain(&mut is_valid);
        self.main.retain(&mut is_valid);
    }

    fn queue(&mut self, queue: Queue) -> &mut VecDeque<Place> {
        match queue {
            Queue::Small => &mut self.small,
            Queue::Main => &mut self.main,
        }
    }

    fn bytes_mut(&mut self, queue: Queue) -> &mut u64 {
        match queue {
            Queue::Small => &mut self.small_bytes,
            Queue::Main => &mut self.main_bytes,
        }
    }
}

impl Ghosts {
    fn add(&mut self, hash: u64) {
        if !self.known.insert(hash) {
            return;
        }
        self.order.push_back(hash);
        while self.order.len() > GHOSTS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    /// Whether it is one; if so it is forgotten. Its place in the order stays until it is the oldest.
    fn take(&mut self, hash: u64) -> bool {
        self.known.remove(&hash)
    }
}
