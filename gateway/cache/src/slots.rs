//! Who fetches and who waits: a table of fetches under way, by key. A reader joins a fetch only if no mark that could match
//! what it brings is newer than what the edge had seen when the fetch was led: a reader of after a purge never waits for
//! a fetch of before it, but leads another beside it.
//!
//! The table only saves waiting in vain. What makes a purge hold is that the reader looks up again after the wait; so a
//! reader may wait for a fetch that it can't use in the end, as an isolated edge lets it: then it joins or leads the next.

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
    /// The newest mark that could match what the fetch brings.
    pub newest: Newest,
    /// Every mark up to here is known: what a fetch that is led now covers.
    pub seen: Newest,
}

/// Fetches under way. There is at most one of a key, and at most one a request, so their number is bounded by that of
/// requests.
#[derive(Debug)]
pub struct Slots<T> {
    shards: [Mutex<Shard<T>>; SHARDS],
    hasher: ahash::RandomState,
    ticket: AtomicU64,
}

type Shard<T> = HashMap<Key, Led<T>, ahash::RandomState>;

#[derive(Debug)]
struct Led<T> {
    ticket: u64,
    seen: Newest,
    /// What its leader left for those who come.
    leader: T,
}

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
    /// Joins whoever leads the key's fetch, or leads one. `join` may find that the leader is gone; then `lead` takes its
    /// place. `lead` is given the ticket to [leave](Self::leave) with.
    pub fn join_or_lead<R>(
        &self,
        slot: Slot,
        join: impl FnOnce(&T) -> Option<R>,
        lead: impl FnOnce(&Slot, u64) -> (T, R),
    ) -> R {
        let mut shard = self.shard(&slot.key).lock();
        let led = shard
            .get(&slot.key)
            .filter(|led| slot.newest.is_covered_by(&led.seen));
        if let Some(joined) = led.and_then(|led| join(&led.leader)) {
            return joined;
        }
        let ticket = self.ticket.fetch_add(1, Ordering::Relaxed);
        let (leader, led) = lead(&slot, ticket);
        let Slot { key, newest, seen } = slot;
        // A mark may be published whose entry is not obeyed yet: it is seen as well.
        let seen = seen.or_later(newest);
        shard.insert(
            key,
            Led {
                ticket,
                seen,
                leader,
            },
        );
        led
    }

    /// Leaves the key's fetch. False: another leader has taken its place.
    pub fn leave(&self, key: &Key, ticket: u64) -> bool {
        let mut shard = self.shard(key).lock();
        let leads = shard.get(key).is_some_and(|led| led.ticket == ticket);
        if leads {
            shard.remove(key);
        }
        leads
    }

    /// Fetches that are led.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Whether none is led.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, key: &Key) -> &Mutex<Shard<T>> {
        &self.shards[(self.hasher.hash_one(key) >> 48) as usize % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyRef;

    fn key(key: &[u8]) -> Key {
        KeyRef {
            primary: key,
            variance: None,
        }
        .to_key()
    }

    fn local(local: u64) -> Newest {
        Newest {
            local,
            ..Newest::default()
        }
    }

    /// A key, the newest mark that matches it, and the newest of all.
    fn slot(name: &[u8], newest: u64, seen: u64) -> Slot {
        Slot {
            key: key(name),
            newest: local(newest),
            seen: local(seen),
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
        let first = enter(&slots, slot(b"a", 0, 5)).expect("leads");
        assert_eq!(enter(&slots, slot(b"a", 0, 5)), None, "joins");
        assert_eq!(
            enter(&slots, slot(b"a", 5, 6)),
            None,
            "it had seen that purge"
        );
        assert!(enter(&slots, slot(b"b", 0, 5)).is_some(), "another key");
        let second = enter(&slots, slot(b"a", 6, 6)).expect("after a purge");
        assert!(!slots.leave(&key(b"a"), first), "another leads the key");
        assert_eq!(enter(&slots, slot(b"a", 6, 7)), None, "joins the second");
        assert!(slots.leave(&key(b"a"), second));
        assert!(enter(&slots, slot(b"a", 6, 6)).is_some());
        assert_eq!(slots.len(), 2);
    }

    #[test]
    fn a_mark_that_is_not_obeyed_yet_keeps_nobody_from_joining_a_fetch_of_after_it() {
        let slots = Slots::default();
        assert!(enter(&slots, slot(b"a", 6, 5)).is_some());
        assert_eq!(enter(&slots, slot(b"a", 6, 5)), None);
    }

    #[test]
    fn nobody_joins_a_fetch_of_another_log() {
        let slots = Slots::default();
        assert!(enter(&slots, slot(b"a", 0, 5)).is_some());
        let mut other = slot(b"a", 0, 5);
        other.newest.log = Some(latencify_conf::change::LogId(uuid::Uuid::nil()));
        assert!(enter(&slots, other).is_some());
    }

    #[test]
    fn a_dead_leader_is_replaced() {
        let slots = Slots::default();
        slots.join_or_lead(slot(b"a", 0, 0), |_: &bool| None, |_, _| (false, ()));
        assert!(enter(&slots, slot(b"a", 0, 0)).is_some());
        assert_eq!(slots.len(), 1);
    }
}
