//! The addresses of one origin: taken in turn, and those that could not be connected to are left out for a while.

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// The most addresses of a name that are used; a longer answer is cut.
pub const ADDRESSES_MAX: usize = 32;
/// An address that could not be connected to is left out for so long, if there are others.
pub const ADDRESS_REST: Duration = Duration::from_secs(10);

/// The addresses of one origin.
#[derive(Debug, Default)]
pub struct Addresses {
    list: ArcSwap<Vec<SocketAddr>>,
    turn: AtomicUsize,
    /// Addresses that rest, and until when; at most one entry an address of the list.
    resting: Mutex<Vec<(SocketAddr, Instant)>>,
}

impl Addresses {
    /// These addresses. Returns whether they differ from the former ones; order does not count.
    pub fn set(&self, found: impl IntoIterator<Item = IpAddr>, port: u16) -> bool {
        let mut list: Vec<_> = found
            .into_iter()
            .map(|ip| SocketAddr::new(ip, port))
            .collect();
        list.sort_unstable();
        list.dedup();
        list.truncate(ADDRESSES_MAX);
        if *self.list.load_full() == list {
            return false;
        }
        self.resting
            .lock()
            .retain(|(address, _)| list.contains(address));
        self.list.store(Arc::new(list));
        true
    }

    /// All of them, sorted.
    pub fn all(&self) -> Arc<Vec<SocketAddr>> {
        self.list.load_full()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.load().is_empty()
    }

    /// The next one.
    pub fn next(&self, now: Instant) -> Option<SocketAddr> {
        let list = self.list.load();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        choose(&list, turn, &self.resting.lock(), now)
    }

    /// How many do not rest.
    pub fn usable(&self, now: Instant) -> usize {
        let resting = self.resting.lock();
        self.list
            .load()
            .iter()
            .filter(|address| !rests(**address, &resting, now))
            .count()
    }

    /// Leaves an address out for [`ADDRESS_REST`].
    pub fn rest(&self, address: SocketAddr, now: Instant) {
        if !self.list.load().contains(&address) {
            return;
        }
        let mut resting = self.resting.lock();
        resting.retain(|(other, until)| *other != address && *until > now);
        resting.push((address, now + ADDRESS_REST));
    }

    /// Uses an address again: it was connected to.
    pub fn wake(&self, address: SocketAddr) {
        let mut resting = self.resting.lock();
        if !resting.is_empty() {
            resting.retain(|(other, _)| *other != address);
        }
    }
}

/// The address whose turn it is: the next that does not rest; if all rest, the one that has rested longest.
fn choose(
    list: &[SocketAddr],
    turn: usize,
    resting: &[(SocketAddr, Instant)],
    now: Instant,
) -> Option<SocketAddr> {
    let start = turn % list.len().max(1);
    let in_turn = || list.iter().cycle().skip(start).take(list.len()).copied();
    in_turn()
        .find(|address| !rests(*address, resting, now))
        .or_else(|| {
            in_turn().min_by_key(|address| {
                resting
                    .iter()
                    .find(|(other, _)| other == address)
                    .map(|(_, until)| *until)
            })
        })
}

fn rests(address: SocketAddr, resting: &[(SocketAddr, Instant)], now: Instant) -> bool {
    resting
        .iter()
        .any(|(other, until)| *other == address && *until > now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 80))
    }

    #[test]
    fn addresses_take_turns_and_resting_ones_are_left_out() {
        // (addresses, (address, seconds of rest left), turns → addresses)
        type Case = (&'static [u8], &'static [(u8, u64)], &'static [Option<u8>]);
        let cases: [Case; 6] = [
            (&[], &[], &[None, None]),
            (&[1], &[], &[Some(1), Some(1)]),
            (&[1, 2, 3], &[], &[Some(1), Some(2), Some(3), Some(1)]),
            (&[1, 2, 3], &[(2, 5)], &[Some(1), Some(3), Some(3), Some(1)]),
            (&[1, 2], &[(1, 9), (2, 3)], &[Some(2), Some(2)]),
            (&[1, 2], &[(1, 0)], &[Some(1), Some(2)]),
        ];
        let now = Instant::now();
        for (list, resting, expected) in cases {
            let list: Vec<_> = list.iter().map(|last| address(*last)).collect();
            let resting: Vec<_> = resting
                .iter()
                .map(|(last, left)| (address(*last), now + Duration::from_secs(*left)))
                .collect();
            let chosen: Vec<_> = (0..expected.len())
                .map(|turn| choose(&list, turn, &resting, now))
                .collect();
            let expected: Vec<_> = expected.iter().map(|last| last.map(address)).collect();
            assert_eq!(chosen, expected, "{list:?} {resting:?}");
        }
    }

    #[test]
    fn a_new_answer_replaces_the_addresses_and_forgets_rests_of_those_gone() {
        let now = Instant::now();
        let addresses = Addresses::default();
        let ip = |last| IpAddr::from([127, 0, 0, last]);
        assert!(addresses.set([ip(2), ip(1), ip(2)], 80));
        assert!(
            !addresses.set([ip(1), ip(2)], 80),
            "another order is no change"
        );
        addresses.rest(address(1), now);
        addresses.rest(address(9), now);
        assert_eq!(addresses.usable(now), 1);
        assert!(addresses.set([ip(2), ip(3)], 80));
        assert_eq!(addresses.usable(now), 2);
        addresses.rest(address(3), now);
        assert_eq!(addresses.next(now), Some(address(2)));
        assert_eq!(addresses.next(now), Some(address(2)));
        addresses.wake(address(3));
        assert_eq!(addresses.usable(now), 2);
    }
}
