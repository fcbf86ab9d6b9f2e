//! Requests that wait for an origin: how many there may be, in all and of one client. Each holds a connection, and with it one
//! of the few ports that this machine has towards an address, for as long as that origin likes to be silent.

use crate::{
    errors::Fault,
    listen::{Block, Limits},
    observe::FetchMetrics,
};
use ahash::RandomState;
use parking_lot::Mutex;
use std::{collections::HashMap, net::IpAddr, sync::Arc};

/// Counts requests that are at an origin, against the limits that hold now.
pub struct Fetches {
    limits: Limits,
    metrics: FetchMetrics,
    counts: Mutex<Counts>,
}

/// A client is here only while it has requests at origins, so there are never more of them than requests.
#[derive(Default)]
struct Counts {
    in_all: u32,
    by_client: HashMap<Block, u32, RandomState>,
}

/// The place of one request at an origin, whatever number of attempts it takes; given back when this is dropped.
pub struct Place {
    fetches: Arc<Fetches>,
    client: Option<Block>,
}

/// Which limit leaves no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowded {
    /// `fetches`.
    InAll,
    /// `fetches_per_address`.
    OfAddress,
}

impl Crowded {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::InAll, Self::OfAddress];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        self.fault().name()
    }

    /// What the client is told.
    pub fn fault(self) -> Fault {
        match self {
            Self::InAll => Fault::Fetches,
            Self::OfAddress => Fault::FetchesOfAddress,
        }
    }

    /// The step of the decision.
    pub fn step(self) -> &'static str {
        match self {
            Self::InAll => "edge:fetches",
            Self::OfAddress => "edge:fetches_per_address",
        }
    }
}

impl Fetches {
    /// None so far.
    pub fn new(limits: Limits, metrics: FetchMetrics) -> Arc<Self> {
        Arc::new(Self {
            limits,
            metrics,
            counts: Mutex::default(),
        })
    }

    /// A place for a request of that client's; for nobody's in particular, which is a background refresh, only the limit in
    /// all holds.
    pub fn enter(self: &Arc<Self>, client: Option<IpAddr>) -> Result<Place, Crowded> {
        let limits = self.limits.now();
        let client = client.map(Block::of);
        let mut counts = self.counts.lock();
        counts.enter(client, limits.fetches, limits.fetches_per_address)?;
        drop(counts);
        self.metrics.entered();
        Ok(Place {
            fetches: self.clone(),
            client,
        })
    }

    /// A request, or a background refresh, is turned away for that.
    pub fn turned_away(&self, crowded: Crowded) {
        self.metrics.refused(crowded);
    }
}

impl Counts {
    fn enter(&mut self, client: Option<Block>, most: u32, each: u32) -> Result<(), Crowded> {
        let of_client = client.map_or(0, |client| {
            self.by_client.get(&client).copied().unwrap_or_default()
        });
        // Told first: it is what this client can do something about.
        if client.is_some() && of_client >= each {
            return Err(Crowded::OfAddress);
        }
        if self.in_all >= most {
            return Err(Crowded::InAll);
        }
        self.in_all += 1;
        if let Some(client) = client {
            self.by_client.insert(client, of_client + 1);
        }
        Ok(())
    }

    fn leave(&mut self, client: Option<Block>) {
        self.in_all = self.in_all.saturating_sub(1);
        let Some(client) = client else { return };
        if let Some(count) = self.by_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&client);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.fetches.counts.lock().leave(self.client);
        self.fetches.metrics.left();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latencify_conf::policy::{EdgeLimits, EdgeRules};

    fn fetches(most: u32, each: u32) -> Arc<Fetches> {
        let limits = Limits::default();
        limits.set(EdgeRules {
            limits: EdgeLimits {
                fetches: most,
                fetches_per_address: each,
                ..EdgeLimits::default()
            },
            ..EdgeRules::default()
        });
        Fetches::new(limits, FetchMetrics::unseen().unwrap())
    }

    fn enter(fetches: &Arc<Fetches>, client: &str) -> Result<Place, Crowded> {
        fetches.enter(Some(client.parse().unwrap()))
    }

    #[test]
    fn one_client_has_its_share_and_others_the_rest() {
        let fetches = fetches(4, 2);
        let first = enter(&fetches, "192.0.2.1").ok().unwrap();
        let _second = enter(&fetches, "192.0.2.1").ok().unwrap();
        let crowded = |client| enter(&fetches, client).err();
        assert_eq!(crowded("192.0.2.1"), Some(Crowded::OfAddress));
        // The same in its IPv6 form.
        assert_eq!(crowded("::ffff:192.0.2.1"), Some(Crowded::OfAddress));
        // A subscriber of IPv6 has one share.
        let _others = [
            enter(&fetches, "2001:db8::1").ok().unwrap(),
            enter(&fetches, "2001:db8::2").ok().unwrap(),
        ];
        assert_eq!(crowded("2001:db8::3"), Some(Crowded::OfAddress));
        assert_eq!(crowded("192.0.2.9"), Some(Crowded::InAll));
        drop(first);
        assert_eq!(crowded("192.0.2.9"), None);
    }

    #[test]
    fn a_refresh_is_nobodys_and_counts_in_all() {
        let fetches = fetches(3, 1);
        let refreshes: Vec<_> = (0..3).map(|_| fetches.enter(None).ok().unwrap()).collect();
        assert_eq!(fetches.enter(None).err(), Some(Crowded::InAll));
        assert_eq!(enter(&fetches, "192.0.2.1").err(), Some(Crowded::InAll));
        drop(refreshes);
        assert!(enter(&fetches, "192.0.2.1").is_ok());
    }

    #[test]
    fn nothing_is_kept_of_who_has_left_or_was_refused() {
        let fetches = fetches(2, 2);
        for number in 0..1_000_u32 {
            let client = IpAddr::from(std::net::Ipv4Addr::from(number));
            let _places = [(); 5].map(|()| fetches.enter(Some(client)));
        }
        let counts = fetches.counts.lock();
        assert_eq!((counts.in_all, counts.by_client.len()), (0, 0));
    }
}
