//! The places of one listening address, and who makes way when they are taken.
//!
//! A place is kept by who has shown a token. The others are strangers: there may be as many as there are places, but of one
//! address no more than [`STRANGERS_PER_ADDRESS_MAX`], and when a newcomer finds no place, the one makes way that has been a
//! stranger for longest, at the address that has most of them. So whoever has a token gets in however many come without:
//! it is a stranger for the time that one request takes. Edges and operators behind one address (a NAT, loopback) are not
//! counted against each other, because they have shown theirs.
//!
//! Rejected: letting newcomers wait in the backlog until a place is free, which hands the address to whoever came first;
//! refusing newcomers at an address that has many strangers, which hands a NAT to one of those behind it; counting those
//! with a token by address, which bounds fleets.

use parking_lot::Mutex;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};
use tokio_util::sync::CancellationToken;

/// Connections at a time of one listening address.
pub const CONNECTIONS_MAX: usize = 4096;
/// Of them, those of one client address that have shown no token yet; IPv6 by its /64.
pub const STRANGERS_PER_ADDRESS_MAX: usize = 1024;

/// The places of a listening address.
pub struct Places(Mutex<Book>);

#[derive(Default)]
struct Book {
    taken: usize,
    /// By client, in the order in which they came. A client is here only while it has strangers.
    strangers: HashMap<Client, BTreeMap<Number, CancellationToken>>,
    newest: Number,
}

/// A later connection has a larger number.
type Number = u64;

/// What counts as one client: an IPv4 address, or the /64 that one IPv6 subscriber has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Client(IpAddr);

/// One connection's place, until it is dropped.
pub struct Place {
    places: Arc<Places>,
    client: Client,
    number: Number,
    made_way: CancellationToken,
}

/// How a newcomer came to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It was free.
    Free,
    /// A stranger of the same address made way.
    Own,
    /// All were taken: a stranger made way.
    Another,
}

/// Everybody in a place has shown a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Places {
    /// All of them free.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::default()))
    }

    /// A place for a newcomer, who is a stranger.
    pub fn take(self: &Arc<Self>, from: IpAddr) -> Result<(Place, Found), Full> {
        let client = Client::of(from);
        let mut book = self.0.lock();
        let own = book.strangers.get(&client).map_or(0, BTreeMap::len);
        let found = if own >= STRANGERS_PER_ADDRESS_MAX {
            book.makes_way(client);
            Found::Own
        } else if book.taken >= CONNECTIONS_MAX {
            let most = book.has_most_strangers().ok_or(Full)?;
            book.makes_way(most);
            Found::Another
        } else {
            Found::Free
        };
        book.taken += 1;
        book.newest += 1;
        let (number, made_way) = (book.newest, CancellationToken::new());
        let of_client = book.strangers.entry(client).or_default();
        of_client.insert(number, made_way.clone());
        let place = Place {
            places: Arc::clone(self),
            client,
            number,
            made_way,
        };
        Ok((place, found))
    }

    /// Lets a stranger make way for what is no connection, if there is one.
    pub fn make_room(&self) {
        let mut book = self.0.lock();
        if let Some(most) = book.has_most_strangers() {
            book.makes_way(most);
        }
    }

    /// So many are taken.
    pub fn taken(&self) -> usize {
        self.0.lock().taken
    }
}

impl Book {
    /// Of two with as many, the one whose first has been there for longer.
    fn has_most_strangers(&self) -> Option<Client> {
        let count = |strangers: &BTreeMap<Number, _>| {
            let first = strangers.first_key_value();
            (strangers.len(), first.map(|(number, _)| Reverse(*number)))
        };
        let most = self
            .strangers
            .iter()
            .max_by_key(|(_, strangers)| count(strangers));
        most.map(|(client, _)| *client)
    }

    /// The stranger of that client makes way that has been there for longest.
    fn makes_way(&mut self, client: Client) {
        let Some(strangers) = self.strangers.get_mut(&client) else {
            return;
        };
        if let Some((_, made_way)) = strangers.pop_first() {
            made_way.cancel();
            self.taken -= 1;
        }
        self.tidy(client);
    }

    fn is_no_stranger(&mut self, client: Client, number: Number) {
        if let Some(strangers) = self.strangers.get_mut(&client) {
            strangers.remove(&number);
        }
        self.tidy(client);
    }

    fn tidy(&mut self, client: Client) {
        if self.strangers.get(&client).is_some_and(BTreeMap::is_empty) {
            self.strangers.remove(&client);
        }
    }
}

impl Place {
    /// It has shown a token: it makes way for nobody.
    pub fn keep(&self) {
        let mut book = self.places.0.lock();
        book.is_no_stranger(self.client, self.number);
    }

    /// Waits until it has to make way: another has the place already.
    pub async fn made_way(&self) {
        self.made_way.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut book = self.places.0.lock();
        if !self.made_way.is_cancelled() {
            book.is_no_stranger(self.client, self.number);
            book.taken -= 1;
        }
    }
}

impl Client {
    fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !0 << 64)),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(number: usize) -> IpAddr {
        format!("192.0.2.{number}").parse().unwrap()
    }

    fn fill(places: &Arc<Places>, address: IpAddr, count: usize) -> Vec<Place> {
        let place = |_| places.take(address).ok().unwrap().0;
        (0..count).map(place).collect()
    }

    fn made_way(places: &[Place]) -> Vec<usize> {
        let made_way = places.iter().enumerate();
        let made_way = made_way.filter(|(_, place)| place.made_way.is_cancelled());
        made_way.map(|(number, _)| number).collect()
    }

    #[test]
    fn one_address_crowds_out_its_own_strangers_and_nobody_else() {
        let places = Places::new();
        let edges = fill(&places, address(1), STRANGERS_PER_ADDRESS_MAX);
        edges.iter().for_each(Place::keep);
        let flood = fill(&places, address(1), STRANGERS_PER_ADDRESS_MAX + 3);
        assert_eq!(made_way(&flood), [0, 1, 2]);
        assert_eq!(made_way(&edges), [0; 0]);
        assert_eq!(places.taken(), 2 * STRANGERS_PER_ADDRESS_MAX);
        drop(flood);
        assert_eq!(places.taken(), STRANGERS_PER_ADDRESS_MAX);
    }

    #[test]
    fn who_makes_way_has_been_a_stranger_for_longest_where_there_are_most() {
        let places = Places::new();
        let lone = fill(&places, address(1), 1);
        let few = fill(&places, address(2), 1000);
        let many = fill(&places, address(3), 1001);
        let others: Vec<_> = (4..7)
            .flat_map(|number| fill(&places, address(number), 698))
            .collect();
        assert_eq!(places.taken(), CONNECTIONS_MAX);
        let (newcomer, found) = places.take(address(9)).ok().unwrap();
        assert_eq!(found, Found::Another);
        assert_eq!(made_way(&many), [0]);
        // As many at two: whose first is older.
        let second = places.take(address(9)).ok().unwrap();
        assert_eq!((made_way(&few), made_way(&many)), (vec![0], vec![0]));
        assert_eq!(places.taken(), CONNECTIONS_MAX);
        assert!(made_way(&lone).is_empty() && made_way(&others).is_empty());
        drop((newcomer, second));
        assert_eq!(places.taken(), CONNECTIONS_MAX - 2);
    }

    #[test]
    fn nobody_makes_way_who_has_shown_a_token() {
        let places = Places::new();
        let known = fill(&places, address(1), 1);
        known[0].keep();
        let mut all = known;
        for number in 1..=CONNECTIONS_MAX / 512 {
            let more = fill(&places, address(number), 512);
            more.iter().for_each(Place::keep);
            all.extend(more);
            if places.taken() + 512 > CONNECTIONS_MAX {
                break;
            }
        }
        let rest = fill(&places, address(77), CONNECTIONS_MAX - places.taken());
        rest.iter().for_each(Place::keep);
        assert!(matches!(places.take(address(99)), Err(Full)));
        places.make_room();
        assert!(made_way(&all).is_empty() && made_way(&rest).is_empty());
        drop(rest);
        assert!(places.take(address(99)).is_ok());
    }

    #[test]
    fn an_address_is_an_ipv4_address_or_a_64() {
        let of = |text: &str| Client::of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    proptest! {
        /// Whatever comes and goes: as many are counted as are there, and a place has one end.
        #[test]
        fn as_many_are_taken_as_are_there(steps in prop::collection::vec((0..4_usize, 0..6_usize, 0..64_usize), 0..200)) {
            let places = Places::new();
            let mut all = Vec::new();
            for (step, from, which) in steps {
                match step {
                    0 => all.push(places.take(address(from)).ok().unwrap().0),
                    1 if which < all.len() => all[which].keep(),
                    2 if which < all.len() => drop(all.swap_remove(which)),
                    3 => places.make_room(),
                    _ => {}
                }
                let there = all.len() - made_way(&all).len();
                prop_assert_eq!(places.taken(), there);
                let book = places.0.lock();
                let strangers: usize = book.strangers.values().map(BTreeMap::len).sum();
                prop_assert!(strangers <= there);
                prop_assert!(book.strangers.values().all(|strangers| !strangers.is_empty()));
            }
            drop(all);
            prop_assert_eq!(places.taken(), 0);
        }
    }
}
