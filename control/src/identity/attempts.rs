//! How often somebody may try to log in: by account, whether there is one of that name or not, and by address.
//!
//! An attempt counts before the password is looked at, and is taken back when it was right, so that many at a time are no more
//! than one after the other. What is known is bounded: of too many names, the one that was tried longest ago is forgotten. A
//! replica counts what is tried on it.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// Attempts on an account before each further one has to wait.
pub const ACCOUNT_FREE: u32 = 5;
/// The same from one address: several people may be behind it.
pub const ADDRESS_FREE: u32 = 30;
/// The first wait; each further attempt doubles it.
pub const WAIT_FIRST: Duration = Duration::from_secs(30);
/// The longest wait.
pub const WAIT_MAX: Duration = Duration::from_mins(15);
/// Names and addresses that are known at a time, each.
pub const KNOWN_MAX: usize = 10_000;

/// What was tried.
#[derive(Debug, Default)]
pub struct Attempts {
    accounts: Table<String>,
    addresses: Table<IpAddr>,
}

#[derive(Debug)]
struct Table<K> {
    known: HashMap<K, Tried>,
}

#[derive(Debug, Clone, Copy)]
struct Tried {
    failed: u32,
    last: Instant,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
        }
    }
}

impl Attempts {
    /// An attempt begins, and counts as failed. Err: it has to wait for so long, and does not count.
    pub fn begin(
        &mut self,
        account: &str,
        from: Option<IpAddr>,
        now: Instant,
    ) -> Result<(), Duration> {
        let account = account.to_owned();
        let address = from.map(network);
        let waits = [
            self.accounts.wait(&account, ACCOUNT_FREE, now),
            address.and_then(|address| self.addresses.wait(&address, ADDRESS_FREE, now)),
        ];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(wait);
        }
        self.accounts.count(account, now);
        if let Some(address) = address {
            self.addresses.count(address, now);
        }
        Ok(())
    }

    /// Nobody could look at it, so it does not count.
    pub fn take_back(&mut self, account: &str, from: Option<IpAddr>) {
        let of_account = self.accounts.known.get_mut(account);
        let address = from.map(network);
        let of_address = address.and_then(|address| self.addresses.known.get_mut(&address));
        for tried in of_account.into_iter().chain(of_address) {
            tried.failed = tried.failed.saturating_sub(1);
        }
    }

    /// It was right after all.
    pub fn succeeded(&mut self, account: &str, from: Option<IpAddr>) {
        self.accounts.known.remove(account);
        if let Some(tried) = from.and_then(|from| self.addresses.known.get_mut(&network(from))) {
            tried.failed = tried.failed.saturating_sub(1);
        }
    }
}

/// Whoever has one IPv6 address has 2⁶⁴ of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// How long after so many failures the next attempt has to wait.
fn pause(failed: u32, free: u32) -> Duration {
    let Some(beyond) = failed.checked_sub(free) else {
        return Duration::ZERO;
    };
    WAIT_FIRST
        .saturating_mul(2_u32.saturating_pow(beyond))
        .min(WAIT_MAX)
}

impl<K: Eq + Hash + Clone> Table<K> {
    fn wait(&self, key: &K, free: u32, now: Instant) -> Option<Duration> {
        let tried = self.known.get(key)?;
        let passed = now.saturating_duration_since(tried.last);
        pause(tried.failed, free)
            .checked_sub(passed)
            .filter(|wait| !wait.is_zero())
    }

    fn count(&mut self, key: K, now: Instant) {
        if self.known.len() >= KNOWN_MAX && !self.known.contains_key(&key) {
            let oldest = self.known.iter().min_by_key(|(_, tried)| tried.last);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.known.remove(&oldest);
            }
        }
        let tried = self.known.entry(key).or_insert(Tried {
            failed: 0,
            last: now,
        });
        // Whoever has waited for as long as anybody has to begins anew.
        if now.saturating_duration_since(tried.last) > WAIT_MAX {
            tried.failed = 0;
        }
        tried.failed = tried.failed.saturating_add(1);
        tried.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn an_account_is_locked_after_five_attempts_for_longer_and_longer() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        for last in 0..5 {
            assert_eq!(attempts.begin("alice", Some(address(last)), start), Ok(()));
        }
        assert_eq!(
            attempts.begin("alice", Some(address(9)), start),
            Err(WAIT_FIRST)
        );
        assert_eq!(attempts.begin("bob", Some(address(9)), start), Ok(()));
        let later = start + WAIT_FIRST;
        assert_eq!(attempts.begin("alice", Some(address(9)), later), Ok(()));
        assert_eq!(
            attempts.begin("alice", Some(address(9)), later),
            Err(2 * WAIT_FIRST)
        );
        let mut now = later;
        for _ in 0..20 {
            now += WAIT_MAX;
            assert_eq!(attempts.begin("alice", None, now), Ok(()), "never for ever");
        }
        assert!(attempts.begin("alice", None, now).unwrap_err() <= WAIT_MAX);
        attempts.begin("alice", None, now + 2 * WAIT_MAX).unwrap();
        attempts.succeeded("alice", None);
        for _ in 0..5 {
            assert_eq!(attempts.begin("alice", None, now), Ok(()));
        }
    }

    #[test]
    fn an_address_is_locked_whatever_names_it_tries() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        let from = |number: u32| Some(format!("2001:db8::{number:x}").parse().unwrap());
        for number in 0..ADDRESS_FREE {
            let name = format!("user{number}");
            assert_eq!(attempts.begin(&name, from(number), start), Ok(()));
        }
        assert!(attempts.begin("another", from(9999), start).is_err());
        assert_eq!(attempts.begin("another", Some(address(1)), start), Ok(()));
        // What nobody could look at is not counted either.
        for _ in 0..2 * ACCOUNT_FREE {
            attempts.begin("dave", Some(address(3)), start).unwrap();
            attempts.take_back("dave", Some(address(3)));
        }
        // Who is right is not counted.
        for _ in 0..2 * ADDRESS_FREE {
            attempts.begin("carol", Some(address(2)), start).unwrap();
            attempts.succeeded("carol", Some(address(2)));
        }
    }

    #[test]
    fn what_is_known_is_bounded() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        for number in 0..KNOWN_MAX + 100 {
            let now = start + Duration::from_millis(number as u64);
            attempts.begin(&number.to_string(), None, now).unwrap();
        }
        assert_eq!(attempts.accounts.known.len(), KNOWN_MAX);
        assert!(!attempts.accounts.known.contains_key("0"));
    }
}
