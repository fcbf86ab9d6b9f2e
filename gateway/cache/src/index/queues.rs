//! In what order objects are evicted. Objects stand in queues, linked by their numbers; nothing is allocated for a place.

use super::slab::{NOBODY, Number, Slab};
use std::collections::{HashSet, VecDeque};

/// The share of a shard's bytes that the small queue may hold before it is evicted from first: 1 / this.
pub const SMALL_SHARE: u64 = 10;
/// The most ghosts that a shard remembers.
pub const GHOSTS_MAX: usize = 4_096;
/// How often a read counts.
pub const READS_MAX: u8 = 3;

/// How what is evicted is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Eviction {
    /// S3-FIFO (Yang et al., SOSP 2023): objects enter a small queue; those read again there move to the main queue, the
    /// others leave and are remembered as ghosts; a ghost that comes back enters the main queue at once. Each queue is a
    /// FIFO, so a hit only counts, under a shared lock.
    #[default]
    S3Fifo,
    /// What was read longest ago leaves. To compare: every hit takes the shard's lock for itself, and one scan takes
    /// everything out.
    Lru,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    Small,
    Main,
}

/// What becomes of an object that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It leaves, and is remembered if it was never read.
    Leaves { as_ghost: bool },
    /// It goes to the end of this queue, with so many reads left.
    Stays { queue: Queue, reads: u8 },
}

#[derive(Debug)]
pub(super) struct Queues {
    pub(super) eviction: Eviction,
    small: List,
    main: List,
    ghosts: Ghosts,
}

/// From whoever is looked at next to whoever came last.
#[derive(Debug)]
struct List {
    first: Number,
    last: Number,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Ghosts {
    order: VecDeque<u64>,
    known: HashSet<u64, ahash::RandomState>,
}

impl Queues {
    pub(super) fn new(eviction: Eviction) -> Self {
        Self {
            eviction,
            small: List::EMPTY,
            main: List::EMPTY,
            ghosts: Ghosts::default(),
        }
    }

    /// The queue that a new object enters.
    pub(super) fn entrance(&mut self, hash: u64) -> Queue {
        match self.eviction {
            Eviction::Lru => Queue::Main,
            Eviction::S3Fifo if self.ghosts.take(hash) => Queue::Main,
            Eviction::S3Fifo => Queue::Small,
        }
    }

    /// Puts an object at the end of a queue.
    pub(super) fn push<M>(&mut self, slab: &mut Slab<M>, number: Number, queue: Queue) {
        let list = self.list(queue);
        let last = list.last;
        list.last = number;
        if last == NOBODY {
            list.first = number;
        }
        if let Some(slot) = slab.get_mut(last) {
            slot.next = number;
        }
        if let Some(slot) = slab.get_mut(number) {
            (slot.previous, slot.next, slot.queue) = (last, NOBODY, queue);
            list.bytes += slot.bytes();
        }
    }

    /// Takes an object out of its queue. To be called while its bytes are those that it entered with.
    pub(super) fn unlink<M>(&mut self, slab: &mut Slab<M>, number: Number) {
        let Some(slot) = slab.get(number) else {
            return;
        };
        let (previous, next, queue, bytes) = (slot.previous, slot.next, slot.queue, slot.bytes());
        let list = self.list(queue);
        list.bytes = list.bytes.saturating_sub(bytes);
        if list.first == number {
            list.first = next;
        }
        if list.last == number {
            list.last = previous;
        }
        if let Some(slot) = slab.get_mut(previous) {
            slot.next = next;
        }
        if let Some(slot) = slab.get_mut(next) {
            slot.previous = previous;
        }
    }

    /// Who is to be looked at next.
    pub(super) fn next(&self) -> Option<Number> {
        let (small, main) = (&self.small, &self.main);
        let total = small.bytes + main.bytes;
        let small_first = small.bytes * SMALL_SHARE > total || main.bytes == 0;
        let order = if small_first {
            [small.first, main.first]
        } else {
            [main.first, small.first]
        };
        order.into_iter().find(|&number| number != NOBODY)
    }

    /// What becomes of an object of that queue that was read so often.
    pub(super) fn fate(&self, queue: Queue, reads: u8) -> Fate {
        match (self.eviction, queue) {
            (Eviction::S3Fifo, Queue::Small) if reads > 1 => kept(0),
            (Eviction::S3Fifo, Queue::Main) if reads > 0 => kept(reads - 1),
            (Eviction::S3Fifo, Queue::Small) => Fate::Leaves { as_ghost: true },
            (Eviction::S3Fifo, Queue::Main) | (Eviction::Lru, _) => {
                Fate::Leaves { as_ghost: false }
            }
        }
    }

    /// Remembers an object that left the small queue unread.
    pub(super) fn haunt(&mut self, hash: u64) {
        self.ghosts.add(hash);
    }

    fn list(&mut self, queue: Queue) -> &mut List {
        match queue {
            Queue::Small => &mut self.small,
            Queue::Main => &mut self.main,
        }
    }
}

/// In the main queue.
fn kept(reads: u8) -> Fate {
    Fate::Stays {
        queue: Queue::Main,
        reads,
    }
}

impl List {
    const EMPTY: Self = Self {
        first: NOBODY,
        last: NOBODY,
        bytes: 0,
    };
}

impl Eviction {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::S3Fifo, Self::Lru];

    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::S3Fifo => "s3-fifo",
            Self::Lru => "lru",
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
