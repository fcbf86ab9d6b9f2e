//! Who holds how much, since when, and who has to go: arithmetic alone.

use crate::{listen::gate::Block, observe::Ended};
use latencify_conf::policy::EdgeLimits;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What connections hold whose clients are waited for.
#[derive(Debug)]
pub(super) struct Accounts<C> {
    bytes: u64,
    /// An address is here only while one of its connections is.
    addresses: HashMap<Block, Address<C>>,
    /// The same, by what they hold.
    by_bytes: BTreeSet<(u64, Block)>,
    newest: Place,
}

/// When a connection began to be waited for: a later one has a larger number.
pub(super) type Place = u64;

#[derive(Debug)]
struct Address<C> {
    bytes: u64,
    waits: BTreeMap<Place, (u64, C)>,
}

impl<C> Default for Accounts<C> {
    fn default() -> Self {
        Self {
            bytes: 0,
            addresses: HashMap::new(),
            by_bytes: BTreeSet::new(),
            newest: 0,
        }
    }
}

impl<C> Accounts<C> {
    /// Bytes of all.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Another connection is waited for, and holds nothing yet.
    pub(super) fn enter(&mut self, block: Block, connection: C) -> Place {
        self.newest += 1;
        let address = self.addresses.entry(block).or_insert_with(|| Address {
            bytes: 0,
            waits: BTreeMap::new(),
        });
        address.waits.insert(self.newest, (0, connection));
        self.by_bytes.insert((address.bytes, block));
        self.newest
    }

    /// A connection holds so much now.
    pub(super) fn set(&mut self, block: Block, place: Place, bytes: u64) {
        let Some(address) = self.addresses.get_mut(&block) else {
            return;
        };
        let Some((held, _)) = address.waits.get_mut(&place) else {
            return;
        };
        let before = std::mem::replace(held, bytes);
        self.by_bytes.remove(&(address.bytes, block));
        address.bytes = address.bytes - before + bytes;
        self.by_bytes.insert((address.bytes, block));
        self.bytes = self.bytes - before + bytes;
    }

    /// A connection is not waited for any more.
    pub(super) fn leave(&mut self, block: Block, place: Place) -> Option<C> {
        self.set(block, place, 0);
        let address = self.addresses.get_mut(&block)?;
        let (_, connection) = address.waits.remove(&place)?;
        if address.waits.is_empty() {
            self.by_bytes.remove(&(address.bytes, block));
            self.addresses.remove(&block);
        }
        Some(connection)
    }

    /// Takes out who has been waited for the longest: at that address if it holds too much, else, if all do, at the one that
    /// holds most. None: nobody holds too much.
    pub(super) fn take_over(&mut self, block: Block, limits: &EdgeLimits) -> Option<(C, Ended)> {
        let of_address = self.addresses.get(&block).map_or(0, |held| held.bytes);
        let (block, why) = if of_address > limits.unsent_bytes_per_address {
            (block, Ended::UnsentOfAddress)
        } else if self.bytes > limits.unsent_bytes {
            (self.by_bytes.last()?.1, Ended::UnsentInAll)
        } else {
            return None;
        };
        let (place, _) = self.addresses.get(&block)?.waits.first_key_value()?;
        let connection = self.leave(block, *place)?;
        Some((connection, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> Block {
        Block::of(text.parse().unwrap())
    }

    fn limits(of_address: u64, in_all: u64) -> EdgeLimits {
        EdgeLimits {
            unsent_bytes_per_address: of_address,
            unsent_bytes: in_all,
            ..EdgeLimits::default()
        }
    }

    #[test]
    fn an_address_over_its_share_loses_the_oldest_until_it_is_within() {
        let (one, other) = (block("192.0.2.1"), block("192.0.2.2"));
        let mut accounts = Accounts::default();
        for (name, block, bytes) in [("a", one, 6), ("b", one, 5), ("x", other, 9)] {
            let place = accounts.enter(block, name);
            accounts.set(block, place, bytes);
        }
        let limits = limits(10, 100);
        assert_eq!(accounts.take_over(other, &limits), None);
        let over = accounts.take_over(one, &limits);
        assert_eq!(over, Some(("a", Ended::UnsentOfAddress)));
        assert_eq!(accounts.take_over(one, &limits), None);
        assert_eq!(accounts.bytes(), 14);
    }

    #[test]
    fn all_over_theirs_lose_the_oldest_of_who_holds_most() {
        let (few, much) = (block("192.0.2.1"), block("2001:db8::1"));
        let neighbour = block("2001:db8::2");
        assert_eq!(much, neighbour, "one subscriber");
        let mut accounts = Accounts::default();
        for (name, block, bytes) in [("f", few, 4), ("m", much, 3), ("n", neighbour, 5)] {
            let place = accounts.enter(block, name);
            accounts.set(block, place, bytes);
        }
        let limits = limits(10, 10);
        let over = accounts.take_over(few, &limits);
        assert_eq!(over, Some(("m", Ended::UnsentInAll)));
        assert_eq!(accounts.take_over(few, &limits), None);
    }

    #[test]
    fn nothing_is_kept_of_who_has_left() {
        let one = block("192.0.2.1");
        let mut accounts = Accounts::default();
        let (first, second) = (accounts.enter(one, 1), accounts.enter(one, 2));
        accounts.set(one, first, 7);
        accounts.set(one, second, 8);
        accounts.set(one, first, 2);
        assert_eq!(accounts.bytes(), 10);
        assert_eq!(accounts.leave(one, first), Some(1));
        assert_eq!(accounts.leave(one, first), None);
        assert_eq!(accounts.leave(one, second), Some(2));
        assert_eq!(accounts.bytes(), 0);
        assert!(accounts.addresses.is_empty() && accounts.by_bytes.is_empty());
    }
}
