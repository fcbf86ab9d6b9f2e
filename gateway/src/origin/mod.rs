//! Origins at work: which addresses their names have, whether they are worth a try, and how they are connected to.
//!
//! Built once a policy. An origin that the new policy has unchanged is the same object with the same tasks; one that
//! changed keeps what still means the same. The steering order itself is `decide`'s; this module only tells it each
//! origin's [`Health`].

mod addresses;
mod ca;
mod check;
mod credentials;
mod eject;
mod health;
mod idle;
mod live;
mod peer;
mod resolve;
mod shortage;
pub mod signing;
mod silence;
mod tasks;
mod upstream;

pub use addresses::{ADDRESS_REST, ADDRESSES_MAX};
pub use eject::{EJECT_AFTER_FAILURES, EJECT_FIRST, EJECT_MAX};
pub use health::Health;
pub use idle::{Connection, IDLE_IN_ALL_MAX, IDLE_OF_ORIGIN_MAX, connect};
pub use peer::over_new_connection;
pub use resolve::{TTL_MAX, TTL_MIN};
pub use shortage::Shortage;
pub use silence::{Handle as SocketHandle, Watch};
pub use upstream::Upstream;

use crate::{observe::OriginCounts, secrets::Secrets, step::Step};
use latencify_conf::policy::{OriginId, Policy, Scheme, Timeouts};
use pingora::{connectors::http::Connector, upstreams::peer::HttpPeer};
use signing::Signing;
use std::{collections::HashMap, net::SocketAddr, path::Path, sync::Arc, time::Instant};
use tokio::runtime::Handle;

/// What origins need of the outside: answers for names, and connections for health checks. One a program.
pub struct Network {
    resolver: resolve::Resolver,
    connector: Connector,
}

impl Network {
    /// Names are asked of this DNS server, or as the system's `resolv.conf` says; `/etc/hosts` comes first either way.
    pub fn new(dns: Option<SocketAddr>) -> Arc<Self> {
        Arc::new(Self {
            resolver: resolve::Resolver::new(dns),
            connector: Connector::new(None),
        })
    }
}

/// The origins of one policy.
pub struct Origins {
    /// [`OriginId`] is the index.
    upstreams: Vec<Arc<Upstream>>,
}

/// An origin that can't be built here; the policy is not put in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("origin {origin}: {reason}")]
pub struct BuildError {
    /// Its name in the policy.
    pub origin: Arc<str>,
    /// What is wrong and what helps.
    pub reason: String,
}

/// A request can't be sent to an origin.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// The name has no address.
    #[error("origin {origin}: {host} has no address")]
    Unresolved {
        /// The origin's name in the policy.
        origin: Arc<str>,
        /// The name that was asked for.
        host: String,
    },
    /// The policy in force has no such origin: an id of another policy.
    #[error("no origin {0:?} in this policy")]
    Unknown(OriginId),
}

/// What became of a request to an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A connection was made to this address.
    Connected(SocketAddr),
    /// No connection (TCP or TLS), to this address if it got that far.
    ConnectFailed(Option<SocketAddr>),
    /// A connection, but no head of a response: it broke or took too long, and the fault is not the client's.
    NoResponse,
    /// The head of a response with this status. 502, 503 and 504 count as failures.
    Responded(u16),
}

/// One origin in `/metrics`. Counters grow for as long as a policy has an origin of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginState {
    /// Its name in the policy.
    pub name: Arc<str>,
    /// Whether it is worth a try.
    pub health: Health,
    /// Addresses that its name has.
    pub addresses: usize,
    /// Of those, the ones that do not rest.
    pub usable_addresses: usize,
    /// Its name was asked for in vain.
    pub resolve_failures: u64,
    /// Connections that failed.
    pub connect_failures: u64,
    /// Requests without a response, or with 502, 503 or 504.
    pub response_failures: u64,
    /// How often it was ejected.
    pub ejections: u64,
    /// Active checks that were good.
    pub checks_good: u64,
    /// Active checks that failed.
    pub checks_failed: u64,
}

impl Origins {
    /// The origins of a policy, with all errors at once. Reads CA files (relative paths start at `folder`) and starts
    /// nothing: see [`start`](Self::start).
    pub fn build(
        policy: &Policy,
        folder: &Path,
        secrets: &Secrets,
        previous: Option<&Self>,
    ) -> Result<Self, Vec<BuildError>> {
        let former: HashMap<_, _> = previous
            .into_iter()
            .flat_map(|previous| &previous.upstreams)
            .map(|upstream| (upstream.origin().name.clone(), upstream))
            .collect();
        let mut upstreams = Vec::with_capacity(policy.origins.len());
        let mut errors = Vec::new();
        for origin in &policy.origins {
            match Upstream::build(origin, folder, secrets, former.get(&origin.name).copied()) {
                Ok(upstream) => upstreams.push(upstream),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(Self { upstreams })
        } else {
            Err(errors)
        }
    }

    /// Starts following names and checking health, on this runtime. What the previous policy already does goes on.
    /// The tasks end when the last policy that has their origin is dropped.
    pub fn start(&self, network: &Arc<Network>, runtime: &Handle) {
        for upstream in &self.upstreams {
            upstream.start(network, runtime);
        }
    }

    /// Whether an origin is worth a try.
    pub fn health(&self, id: OriginId) -> Health {
        self.get(id).map_or(Health::Unresolved, |upstream| {
            upstream.health(Instant::now())
        })
    }

    /// How many addresses of an origin do not rest: with more than one, another attempt at the same origin makes sense
    /// after a failed connection.
    pub fn usable_addresses(&self, id: OriginId) -> usize {
        self.get(id)
            .map_or(0, |upstream| upstream.usable_addresses(Instant::now()))
    }

    /// The peer for one request to an origin, at its next address. Never asks DNS itself; for a name that was never
    /// answered yet it waits as long as a connection may take.
    pub async fn peer(
        &self,
        id: OriginId,
        timeouts: &Timeouts,
    ) -> Result<Box<HttpPeer>, OriginError> {
        match self.get(id) {
            Some(upstream) => upstream.peer(timeouts).await,
            None => Err(OriginError::Unknown(id)),
        }
    }

    /// An origin, if HTTP/1.1 is spoken to it in cleartext.
    pub fn plain(&self, id: OriginId) -> Option<&Arc<Upstream>> {
        self.get(id)
            .filter(|upstream| upstream.origin().scheme == Scheme::Http)
    }

    /// How the requests to an origin are signed; none: they are not.
    pub fn signing(&self, id: OriginId) -> Option<&Arc<Signing>> {
        self.get(id).and_then(|upstream| upstream.signing())
    }

    /// What an origin keeps of its metrics.
    pub fn counts(&self, id: OriginId) -> Option<&OriginCounts> {
        self.get(id).map(|upstream| upstream.counts())
    }

    /// The name of an origin, and the step of a decision for it.
    pub fn named(&self, id: OriginId) -> (Arc<str>, Step) {
        match self.get(id) {
            Some(upstream) => (
                upstream.origin().name.clone(),
                upstream.step().clone().into(),
            ),
            None => (Arc::from("-"), "origin:-".into()),
        }
    }

    /// Learns what became of a request.
    pub fn report(&self, id: OriginId, outcome: Outcome) {
        if let Some(upstream) = self.get(id) {
            upstream.report(outcome, Instant::now());
        }
    }

    /// All origins, for `/metrics`.
    pub fn snapshot(&self) -> Vec<OriginState> {
        let now = Instant::now();
        self.upstreams
            .iter()
            .map(|upstream| upstream.state(now))
            .collect()
    }

    fn get(&self, id: OriginId) -> Option<&Arc<Upstream>> {
        self.upstreams.get(id.0)
    }
}

/// The address of a peer that [`Origins::peer`] made, for [`Outcome`].
pub fn address_of(peer: &HttpPeer) -> Option<SocketAddr> {
    peer._address.as_inet().copied()
}

#[cfg(test)]
mod tests;
