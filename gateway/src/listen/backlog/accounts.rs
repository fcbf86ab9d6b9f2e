//! Who holds how much, since when, and who has to go: arithmetic alone.

use crate::{listen::gate::Block, observe::Ended};
use latencify_conf::policy::EdgeLimits;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What connections hold whose clients are waited for.
#[derive(Debug)]
pub(super) struct Accounts<C> {
    bytes: u64,
    waits: BTreeMap<Place, Wait<C>>,
    /// An address is here only while one of its connections is.
    addresses: HashMap<Block, Address>,
    newest: Place,
}

/// When a connection began to be waited for: a later one has a larger number.
type Place = u64;

/// Since when a connection is waited for; by default, it has not been yet.
///
/// It stays while the client takes a little now and then, or else a byte a second would keep it young: only who has
/// taken as much as it holds begins anew.
#[derive(Debug, Default)]
pub(super) struct Standing {
    place: Place,
    /// What the client had taken by then.
    taken: u64,
}

#[derive(Debug)]
struct Wait<C> {
    block: Block,
    bytes: u64,
    connection: C,
}

#[derive(Debug, Default)]
struct Address {
    bytes: u64,
    places: BTreeSet<Place>,
}

impl<C> Default for Accounts<C> {
    fn default() -> Self {
        Self {
            bytes: 0,
            waits: BTreeMap::new(),
            addresses: HashMap::new(),
            newest: 0,
        }
    }
}

impl<C> Accounts<C> {
    /// Bytes of all.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A connection is waited for, holds so much, and has taken so many octets in its life.
    pub(super) fn charge(
        &mut self,
        standing: &mut Standing,
        taken: u64,
        (block, bytes, connection): (Block, u64, C),
    ) {
        self.leave(standing);
        if standing.place == 0 || taken.saturating_sub(standing.taken) >= bytes {
            self.newest += 1;
            standing.place = self.newest;
            standing.taken = taken;
        }
        let address = self.addresses.entry(block).or_default();
        address.bytes += bytes;
        address.places.insert(standing.place);
        self.bytes += bytes;
        let wait = Wait {
            block,
            bytes,
            connection,
        };
        self.waits.insert(standing.place, wait);
    }

    /// A connection is not waited for now.
    pub(super) fn leave(&mut self, standing: &Standing) {
        self.take(standing.place);
    }

    /// Takes out who has been waited for the longest: at that address if it holds too much, else of all, if all do.
    /// None: nobody holds too much.
    pub(super) fn take_over(&mut self, block: Block, limits: &EdgeLimits) -> Option<(C, Ended)> {
        let address = self
            .addresses
            .get(&block)
            .filter(|address| address.bytes > limits.unsent_bytes_per_address);
        let (place, why) = if let Some(address) = address {
            (*address.places.first()?, Ended::UnsentOfAddress)
        } else if self.bytes > limits.unsent_bytes {
            (*self.waits.first_key_value()?.0, Ended::UnsentInAll)
        } else {
            return None;
        };
        Some((self.take(place)?, why))
    }

    fn take(&mut self, place: Place) -> Option<C> {
        let wait = self.waits.remove(&place)?;
        self.bytes -= wait.bytes;
        if let Some(address) = self.addresses.get_mut(&wait.block) {
            address.bytes -= wait.bytes;
            address.places.remove(&place);
            if address.places.is_empty() {
                self.addresses.remove(&wait.block);
            }
        }
        Some(wait.connection)
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

    fn wait(
        accounts: &mut Accounts<&'static str>,
        name: &'static str,
        at: Block,
        bytes: u64,
    ) -> Standing {
        let mut standing = Standing::default();
        accounts.charge(&mut standing, 0, (at, bytes, name));
        standing
    }

    #[test]
    fn an_address_over_its_share_loses_the_oldest_until_it_is_within() {
        let (one, other) = (block("192.0.2.1"), block("192.0.2.2"));
        let mut accounts = Accounts::default();
        for (name, at, bytes) in [("x", other, 9), ("a", one, 6), ("b", one, 5)] {
            wait(&mut accounts, name, at, bytes);
        }
        let limits = limits(10, 100);
        assert_eq!(accounts.take_over(other, &limits), None);
        let over = accounts.take_over(one, &limits);
        assert_eq!(over, Some(("a", Ended::UnsentOfAddress)));
        assert_eq!(accounts.take_over(one, &limits), None);
        assert_eq!(accounts.bytes(), 14);
    }

    #[test]
    fn one_subscriber_is_one_address() {
        let (one, neighbour) = (block("2001:db8::1"), block("2001:db8::2"));
        let mut accounts = Accounts::default();
        wait(&mut accounts, "a", one, 6);
        wait(&mut accounts, "b", neighbour, 5);
        let over = accounts.take_over(one, &limits(10, 100));
        assert_eq!(over, Some(("a", Ended::UnsentOfAddress)));
    }

    #[test]
    fn all_over_theirs_lose_the_oldest_whoever_holds_most() {
        let (few, much) = (block("192.0.2.1"), block("192.0.2.2"));
        let mut accounts = Accounts::default();
        for (name, at, bytes) in [("f", few, 4), ("m", much, 4), ("n", much, 4)] {
            wait(&mut accounts, name, at, bytes);
        }
        let limits = limits(10, 10);
        let over = accounts.take_over(much, &limits);
        assert_eq!(over, Some(("f", Ended::UnsentInAll)));
        assert_eq!(accounts.take_over(much, &limits), None);
    }

    #[test]
    fn only_who_takes_as_much_as_it_holds_begins_anew() {
        let check = |taken: u64, first: &str| {
            let (one, other) = (block("192.0.2.1"), block("192.0.2.2"));
            let mut accounts = Accounts::default();
            let mut standing = wait(&mut accounts, "drips", one, 6);
            wait(&mut accounts, "new", other, 6);
            accounts.leave(&standing);
            assert_eq!(accounts.bytes(), 6);
            accounts.charge(&mut standing, taken, (one, 6, "drips"));
            let over = accounts.take_over(one, &limits(10, 10));
            assert_eq!(over.map(|(name, _)| name), Some(first), "{taken}");
        };
        check(5, "drips");
        check(6, "new");
    }

    #[test]
    fn nothing_is_kept_of_who_has_left() {
        let one = block("192.0.2.1");
        let mut accounts = Accounts::default();
        let mut first = wait(&mut accounts, "a", one, 7);
        let second = wait(&mut accounts, "b", one, 8);
        accounts.charge(&mut first, 0, (one, 2, "a"));
        assert_eq!(accounts.bytes(), 10);
        accounts.leave(&first);
        accounts.leave(&first);
        accounts.leave(&second);
        assert_eq!(accounts.bytes(), 0);
        assert!(accounts.addresses.is_empty() && accounts.waits.is_empty());
    }
}
