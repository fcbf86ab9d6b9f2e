//! What is to happen, in the order of its time. What is due at once comes in the order in which it was put in.

use std::{cmp::Ordering, collections::BinaryHeap, time::Duration};

/// What is to happen.
#[derive(Debug)]
pub struct Queue<E> {
    heap: BinaryHeap<Due<E>>,
    next: u64,
}

#[derive(Debug)]
struct Due<E> {
    at: Duration,
    number: u64,
    event: E,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            next: 0,
        }
    }
}

impl<E> Queue<E> {
    /// Something is to happen then.
    pub fn put(&mut self, at: Duration, event: E) {
        self.next += 1;
        self.heap.push(Due {
            at,
            number: self.next,
            event,
        });
    }

    /// What happens next, and when.
    pub fn take(&mut self) -> Option<(Duration, E)> {
        self.heap.pop().map(|due| (due.at, due.event))
    }
}

impl<E> Ord for Due<E> {
    /// The heap gives its greatest first: the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<E> PartialOrd for Due<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Due<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Due<E> {}
