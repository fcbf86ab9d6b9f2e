//! TLS handshakes in a second, of one client address and in all: what one costs is the edge's to pay, and hardly anything of
//! it the client's.

use super::gate::Block;
use crate::observe::Refused;
use latencify_conf::policy::EdgeLimits;
use latencify_decide::limit::{Rate, gcra};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Addresses whose handshakes are counted apart. Of more that come within seconds, the limit in all is the only one.
const ADDRESSES_MAX: usize = 1 << 16;
/// Of all clients those of this time may come at once: the cores do nothing else meanwhile. One client opens what it needs and
/// is quiet then, so it may have those of a longer time.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Addresses whose count is empty are forgotten no more often than this.
const FORGETS_EVERY: Duration = Duration::from_secs(1);

/// The handshakes of all listeners.
#[derive(Debug)]
pub(super) struct Handshakes {
    began: Instant,
    counts: Mutex<Counts>,
}

/// When each count will be empty, in nanoseconds since the start.
#[derive(Debug, Default)]
struct Counts {
    in_all: u64,
    by_address: HashMap<Block, u64>,
    forgot_at: u64,
}

impl Handshakes {
    /// Nobody's so far.
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            counts: Mutex::default(),
        }
    }

    /// A client asks for one; or it is one too many. What is refused counts for nothing.
    pub(super) fn take(&self, client: Block, limits: &EdgeLimits) -> Result<(), Refused> {
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.counts.lock().take(client, limits, now)
    }
}

impl Counts {
    fn take(&mut self, client: Block, limits: &EdgeLimits, now: u64) -> Result<(), Refused> {
        let before = self.by_address.get(&client).copied();
        let each = rate(limits.handshakes_per_address, EdgeLimits::WINDOW);
        let (of_address, empty_at) = gcra(before.unwrap_or_default(), now, each);
        if !of_address.allowed {
            return Err(Refused::HandshakesOfAddress);
        }
        let (of_all, all_empty_at) = gcra(self.in_all, now, rate(limits.handshakes, AT_ONCE));
        if !of_all.allowed {
            return Err(Refused::Handshakes);
        }
        self.in_all = all_empty_at;
        if before.is_some() || self.has_room(now) {
            self.by_address.insert(client, empty_at);
        }
        Ok(())
    }

    fn has_room(&mut self, now: u64) -> bool {
        let is_full = self.by_address.len() >= ADDRESSES_MAX;
        if is_full && now.saturating_sub(self.forgot_at) >= FORGETS_EVERY.as_nanos() as u64 {
            self.forgot_at = now;
            self.by_address.retain(|_, empty_at| *empty_at > now);
        }
        self.by_address.len() < ADDRESSES_MAX
    }
}

/// So many in a second; those of that time may come at once.
fn rate(a_second: u32, at_once: Duration) -> Rate {
    let a_second = a_second.max(1);
    let window = u32::try_from(at_once.as_secs()).unwrap_or(u32::MAX);
    Rate {
        interval_ns: 1_000_000_000_u64.div_ceil(u64::from(a_second)),
        burst: a_second.saturating_mul(window),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    const SECOND: u64 = 1_000_000_000;

    fn client(number: u32) -> Block {
        Block::of(IpAddr::V4(Ipv4Addr::from(number)))
    }

    fn limits(in_all: u32, each: u32) -> EdgeLimits {
        EdgeLimits {
            handshakes: in_all,
            handshakes_per_address: each,
            ..EdgeLimits::default()
        }
    }

    fn let_in(counts: &mut Counts, number: u32, tries: u32, limits: &EdgeLimits, now: u64) -> u32 {
        (0..tries)
            .map(|_| u32::from(counts.take(client(number), limits, now).is_ok()))
            .sum()
    }

    #[test]
    fn an_address_has_those_of_a_window_at_once_and_then_its_rate() {
        let (mut counts, limits) = (Counts::default(), limits(1_000, 4));
        assert_eq!(let_in(&mut counts, 1, 100, &limits, SECOND), 40);
        assert_eq!(
            counts.take(client(1), &limits, SECOND),
            Err(Refused::HandshakesOfAddress)
        );
        // Another's are its own.
        assert_eq!(let_in(&mut counts, 2, 5, &limits, SECOND), 5);
        assert_eq!(let_in(&mut counts, 1, 100, &limits, 3 * SECOND), 8);
    }

    #[test]
    fn all_together_have_theirs_and_who_is_refused_takes_none() {
        let (mut counts, limits) = (Counts::default(), limits(20, 1));
        // An address that is over its own takes nothing from the others.
        assert_eq!(let_in(&mut counts, 1, 1_000, &limits, SECOND), 10);
        assert_eq!(let_in(&mut counts, 2, 1_000, &limits, SECOND), 10);
        assert_eq!(
            counts.take(client(3), &limits, SECOND),
            Err(Refused::Handshakes)
        );
        assert_eq!(let_in(&mut counts, 3, 1_000, &limits, 2 * SECOND), 10);
    }

    #[test]
    fn the_number_of_addresses_is_bounded() {
        let (mut counts, limits) = (Counts::default(), limits(u32::MAX, 1));
        for number in 0..ADDRESSES_MAX as u32 + 100 {
            assert!(counts.take(client(number), &limits, SECOND).is_ok());
        }
        assert_eq!(counts.by_address.len(), ADDRESSES_MAX);
        // Whose count is empty again is forgotten.
        assert!(counts.take(client(u32::MAX), &limits, 3 * SECOND).is_ok());
        assert_eq!(counts.by_address.len(), 1);
    }
}
