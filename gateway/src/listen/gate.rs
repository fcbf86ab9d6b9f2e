//! Who gets in: what all listeners of the public share.

use super::{Limits, backlog::Backlog, handshakes::Handshakes};
use crate::{
    edge::Edge,
    observe::{ConnectionMetrics, Refused},
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// One in so many file descriptors is kept from clients, for origins, files and names …
const RESERVE_SHARE: u64 = 32;
/// … but at most so many.
const RESERVE_MAX: u64 = 1_024;

/// Counts connections, in all and by client address, against the limits that hold now.
pub struct Gate {
    /// The limits.
    pub limits: Limits,
    /// The numbers.
    pub metrics: ConnectionMetrics,
    /// Where requests are told of that are refused before the application sees them. Set once; none on the admin address.
    pub edge: OnceLock<Arc<Edge>>,
    /// What clients do not take.
    pub backlog: Arc<Backlog>,
    handshakes: Handshakes,
    /// So many descriptors clients may have, whatever the policy says.
    descriptors: u64,
    open: AtomicU64,
    /// An address is here only while it has connections, so there are never more than connections.
    by_address: Mutex<HashMap<Block, u32>>,
}

/// One connection, counted until it is dropped.
#[derive(Debug)]
pub struct Slot {
    gate: Arc<Gate>,
    client: Option<Block>,
}

/// What counts as one client: an IPv4 address, or the /64 that one IPv6 subscriber has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block(IpAddr);

impl Gate {
    /// A gate with nobody inside. The process may have so many descriptors.
    pub fn new(limits: Limits, metrics: ConnectionMetrics, descriptors: u64) -> Arc<Self> {
        let reserve = (descriptors / RESERVE_SHARE).min(RESERVE_MAX);
        Arc::new(Self {
            backlog: Backlog::new(limits.clone(), metrics.clone()),
            limits,
            metrics,
            edge: OnceLock::new(),
            handshakes: Handshakes::new(),
            descriptors: descriptors.saturating_sub(reserve).max(1),
            open: AtomicU64::new(0),
            by_address: Mutex::default(),
        })
    }

    /// Lets a connection in, or says why not. A client that is not known yet is counted by [`Slot::belongs_to`].
    pub fn enter(self: &Arc<Self>, client: Option<IpAddr>) -> Result<Slot, Refused> {
        let limits = self.limits.now();
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        // From here on the count is given back by the slot, however this ends.
        let mut slot = Slot {
            gate: self.clone(),
            client: None,
        };
        self.metrics.opened();
        if before >= u64::from(limits.connections) {
            return Err(self.refuse(Refused::InAll));
        }
        if before >= self.descriptors {
            return Err(self.refuse(Refused::Descriptors));
        }
        if let Some(client) = client {
            slot.belongs_to(client)?;
        }
        self.metrics.accepted();
        Ok(slot)
    }

    /// A client has asked for TLS, which is what costs; or it must go.
    pub fn shake_hands(&self, client: IpAddr) -> Result<(), Refused> {
        let limits = self.limits.now();
        let taken = self.handshakes.take(Block::of(client), &limits);
        taken.map_err(|reason| self.refuse(reason))
    }

    fn refuse(&self, reason: Refused) -> Refused {
        self.metrics.refused(reason);
        reason
    }
}

impl Slot {
    /// The connection is that client's.
    pub fn belongs_to(&mut self, client: IpAddr) -> Result<(), Refused> {
        let most = self.gate.limits.now().connections_per_address;
        let block = Block::of(client);
        self.leave_block();
        let mut counts = self.gate.by_address.lock();
        let count = counts.entry(block).or_insert(0);
        if *count >= most {
            // An entry that was just made for nobody would stay for ever.
            if *count == 0 {
                counts.remove(&block);
            }
            drop(counts);
            return Err(self.gate.refuse(Refused::OfAddress));
        }
        *count += 1;
        self.client = Some(block);
        Ok(())
    }

    fn leave_block(&mut self) {
        let Some(block) = self.client.take() else {
            return;
        };
        let mut counts = self.gate.by_address.lock();
        if let Some(count) = counts.get_mut(&block) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&block);
            }
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.leave_block();
        self.gate.open.fetch_sub(1, Ordering::Relaxed);
        self.gate.metrics.closed();
    }
}

impl Block {
    /// The one that an address belongs to.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from(network))
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latencify_conf::policy::{EdgeLimits, EdgeRules};

    fn gate(connections: u32, each: u32) -> Arc<Gate> {
        let limits = Limits::default();
        limits.set(EdgeRules {
            limits: EdgeLimits {
                connections,
                connections_per_address: each,
                ..EdgeLimits::default()
            },
            ..EdgeRules::default()
        });
        Gate::new(limits, ConnectionMetrics::unseen().unwrap(), 1 << 20)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_has_its_share_and_others_the_rest() {
        let gate = gate(5, 2);
        let first = gate.enter(Some(address("192.0.2.1"))).unwrap();
        let _second = gate.enter(Some(address("192.0.2.1"))).unwrap();
        assert_eq!(
            gate.enter(Some(address("192.0.2.1"))).unwrap_err(),
            Refused::OfAddress
        );
        // The same address in its IPv6 form is the same client.
        assert_eq!(
            gate.enter(Some(address("::ffff:192.0.2.1"))).unwrap_err(),
            Refused::OfAddress
        );
        let _other = gate.enter(Some(address("192.0.2.2"))).unwrap();
        drop(first);
        let _again = gate.enter(Some(address("192.0.2.1"))).unwrap();
    }

    #[test]
    fn a_subscriber_of_ipv6_has_one_share() {
        let gate = gate(100, 1);
        let _first = gate.enter(Some(address("2001:db8::1"))).unwrap();
        assert_eq!(
            gate.enter(Some(address("2001:db8::ffff:1"))).unwrap_err(),
            Refused::OfAddress
        );
        let _other = gate.enter(Some(address("2001:db8:0:1::1"))).unwrap();
    }

    #[test]
    fn all_together_have_theirs() {
        let gate = gate(2, 2);
        let slots: Vec<_> = (1..=2)
            .map(|n| gate.enter(Some(address(&format!("192.0.2.{n}")))).unwrap())
            .collect();
        assert_eq!(
            gate.enter(Some(address("192.0.2.9"))).unwrap_err(),
            Refused::InAll
        );
        drop(slots);
        gate.enter(Some(address("192.0.2.9"))).unwrap();
    }

    #[test]
    fn a_client_behind_a_proxy_counts_once_it_is_known() {
        let gate = gate(10, 1);
        let mut first = gate.enter(None).unwrap();
        let mut second = gate.enter(None).unwrap();
        first.belongs_to("192.0.2.1".parse().unwrap()).unwrap();
        assert_eq!(
            second.belongs_to("192.0.2.1".parse().unwrap()).unwrap_err(),
            Refused::OfAddress
        );
        second.belongs_to("192.0.2.2".parse().unwrap()).unwrap();
    }

    #[test]
    fn nothing_is_kept_of_who_has_left() {
        let gate = gate(4, 2);
        for n in 0..1_000 {
            let client = IpAddr::from(Ipv6Addr::from(n << 64));
            let _slot = gate.enter(Some(client)).unwrap();
        }
        let refused: Vec<_> = (0..8)
            .map(|_| gate.enter(Some(address("192.0.2.1"))))
            .collect();
        assert_eq!(refused.iter().filter(|one| one.is_ok()).count(), 2);
        drop(refused);
        assert!(gate.by_address.lock().is_empty());
        assert_eq!(gate.open.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn some_descriptors_are_kept_for_origins() {
        let gate = Gate::new(Limits::default(), ConnectionMetrics::unseen().unwrap(), 64);
        let held: Vec<_> = (0..62).map(|_| gate.enter(None).unwrap()).collect();
        assert_eq!(gate.enter(None).unwrap_err(), Refused::Descriptors);
        drop(held);
    }
}
