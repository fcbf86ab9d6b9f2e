//! Who fetches and who waits: a table of fetches under way, by key and by the newest mark that could match what they
//! bring. A purge changes the slot, so a reader of after it never waits for a fetch of before it.
//!
//! The slot only saves waiting in vain. What makes a purge hold is that the reader looks up again after the wait.

use crate::{key::Key, stamp::Newest};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

const SHARDS: usize = 16;

/// Where fetches meet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The key that is fetched.
    pub key: Key,
    /// The newest mark that could match what the fetch brings, when it was asked for.
    pub newest: Newest,
}

/// Fetches under way. There is at most one in a slot, and at most one a request, so their number is bounded by that of
/// requests.
#[derive(Debug)]
pub struct Slots<T> {
    shards: [Mutex<Shard<T>>; SHARDS],
    hasher: ahash::RandomState,
    ticket: AtomicU64,
}

/// Slot → ticket and what its leader left for those who come.
type Shard<T> = HashMap<Slot, (u64, T), ahash::RandomState>;

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: ahash::RandomState::new(),
            ticket: AtomicU64::new(0),
        }
    }
}

impl<T> Slots<T> {
    /// Joins whoever leads the slot, or leads it. `join` may find that the leader is gone; then `lead` takes its place.
    /// `lead` is given the slot and the ticket to [leave](Self::leave) with.
    pub fn join_or_lead<R>(
        &self,
        slot: Slot,
        join: impl FnOnce(&T) -> Option<R>,
        lead: impl FnOnce(&Slot, u64) -> (T, R),
    ) -> R {
        let mut shard = self.shard(&slot).lock();
        if let Some(joined) = shard.get(&slot).and_then(|(_, leader)| join(leader)) {
            return joined;
        }
        let ticket = self.ticket.fetch_add(1, Ordering::Relaxed);
        let (leader, led) = lead(&slot, ticket);
        shard.insert(slot, (ticket, leader));
        led
    }

    /// Leaves the slot. False: another leader has taken it.
    pub fn leave(&self, slot: &Slot, ticket: u64) -> bool {
        let mut shard = self.shard(slot).lock();
        let leads = shard.get(slot).is_some_and(|(leader, _)| *leader == ticket);
        if leads {
            shard.remove(slot);
        }
        leads
    }

    /// Slots that are led.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Whether none is led.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, slot: &Slot) -> &Mutex<Shard<T>> {
        &self.shards[(self.hasher.hash_one(slot) >> 48) as usize % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyRef;

    fn slot(key: &[u8], local: u64) -> Slot {
        let key = KeyRef {
            primary: key,
            variance: None,
        }
        .to_key();
        Slot {
            key,
            newest: Newest {
                local,
                ..Newest::default()
            },
        }
    }

    fn enter(slots: &Slots<bool>, slot: Slot) -> Option<u64> {
        slots.join_or_lead(
            slot,
            |alive| alive.then_some(None),
            |_, ticket| (true, Some(ticket)),
        )
    }

    #[test]
    fn one_leads_and_the_others_join_until_it_leaves() {
        let slots = Slots::default();
        let first = enter(&slots, slot(b"a", 0)).expect("leads");
        assert_eq!(enter(&slots, slot(b"a", 0)), None, "joins");
        assert!(enter(&slots, slot(b"b", 0)).is_some(), "another key");
        assert!(enter(&slots, slot(b"a", 1)).is_some(), "after a purge");
        assert!(slots.leave(&slot(b"a", 0), first));
        assert!(enter(&slots, slot(b"a", 0)).is_some());
        assert!(
            !slots.leave(&slot(b"a", 0), first),
            "the slot has another leader"
        );
        assert_eq!(slots.len(), 3);
    }

    #[test]
    fn a_dead_leader_is_replaced() {
        let slots = Slots::default();
        slots.join_or_lead(slot(b"a", 0), |_: &bool| None, |_, _| (false, ()));
        assert!(enter(&slots, slot(b"a", 0)).is_some());
        assert_eq!(slots.len(), 1);
    }
}
