//! One origin at work: what a policy says of it, what is known of it, and the tasks that keep that up to date.

use super::{
    BuildError, Network, OriginError, OriginState, Outcome,
    ca::{self, Ca},
    credentials::Credentials,
    health::Health,
    idle::{self, Idle},
    live::Live,
    peer,
    signing::Signing,
    tasks::{check_health, follow_name},
};
use crate::{observe::OriginCounts, secrets::Secrets};
use latencify_conf::policy::{Origin, Scheme, Timeouts};
use pingora::upstreams::peer::HttpPeer;
use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};
use tokio::{runtime::Handle, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

/// An origin of the policy in force. Its tasks end when the last policy that has it goes.
pub struct Upstream {
    origin: Arc<Origin>,
    ca: Option<Ca>,
    credentials: Credentials,
    live: Arc<Live>,
    step: Arc<str>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
    started: AtomicBool,
    counts: OriginCounts,
}

impl Upstream {
    /// The origin as this policy has it. What is known of it stays known: `previous` is the origin of the same name
    /// in the previous policy.
    pub fn build(
        origin: &Arc<Origin>,
        folder: &Path,
        secrets: &Secrets,
        previous: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, BuildError> {
        let refuse = |reason| BuildError {
            origin: origin.name.clone(),
            reason,
        };
        if let Some(reason) = peer::unverifiable(origin) {
            return Err(refuse(reason));
        }
        let ca = origin
            .tls
            .ca
            .as_ref()
            .map(|path| ca::load(&folder.join(path)))
            .transpose()
            .map_err(refuse)?;
        let credentials = Credentials::build(origin, secrets).map_err(refuse)?;
        if let Some(previous) = previous.filter(|previous| {
            previous.origin == *origin
                && previous.ca.as_ref().map(|ca| ca.digest) == ca.as_ref().map(|ca| ca.digest)
                && previous.credentials.digest() == credentials.digest()
        }) {
            return Ok(previous.clone());
        }
        let live = Arc::new(Live::default());
        if let Some(previous) = previous {
            live.inherit(&previous.live, origin, &previous.origin);
        }
        if let Ok(ip) = origin.host.parse::<IpAddr>() {
            live.addresses.set([ip], origin.port);
            live.asked.send_replace(true);
        }
        let stop = CancellationToken::new();
        Ok(Arc::new(Self {
            origin: origin.clone(),
            ca,
            credentials,
            live,
            step: format!("origin:{}", origin.name).into(),
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
            started: AtomicBool::new(false),
            counts: OriginCounts::default(),
        }))
    }

    /// The origin as the policy has it.
    pub fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// Starts the tasks that keep addresses and health up to date, once.
    pub fn start(&self, network: &Arc<Network>, runtime: &Handle) {
        if self.started.swap(true, Relaxed) {
            return;
        }
        if self.origin.host.parse::<IpAddr>().is_err() {
            let task = follow_name(self.origin.clone(), self.live.clone(), network.clone());
            runtime.spawn(self.stop.clone().run_until_cancelled_owned(task));
        }
        if self.origin.scheme == Scheme::Http {
            let task = idle::keep_swept(self.live.clone());
            runtime.spawn(self.stop.clone().run_until_cancelled_owned(task));
        }
        if let Some(rule) = self.origin.health.clone() {
            let task = check_health(
                self.origin.clone(),
                rule,
                self.ca.clone(),
                self.credentials.clone(),
                self.live.clone(),
                network.clone(),
            );
            runtime.spawn(self.stop.clone().run_until_cancelled_owned(task));
        }
    }

    /// Whether it is worth a try.
    pub fn health(&self, now: Instant) -> Health {
        if self.live.unhealthy.load(Relaxed) {
            Health::Unhealthy
        } else if self.live.doubted.load(Relaxed) && self.live.ejection.lock().is_ejected(now) {
            Health::Ejected
        } else if self.live.addresses.is_empty() && *self.live.asked.borrow() {
            Health::Unresolved
        } else {
            Health::Healthy
        }
    }

    /// Addresses that do not rest.
    pub fn usable_addresses(&self, now: Instant) -> usize {
        self.live.addresses.usable(now)
    }

    /// The peer for one request, at the next address. Waits for the first answer to the origin's name, for as long as
    /// a connection may take.
    pub async fn peer(&self, timeouts: &Timeouts) -> Result<Box<HttpPeer>, OriginError> {
        let address = self.address(timeouts).await?;
        let mut peer = peer::peer(&self.origin, self.ca.as_ref(), address, timeouts);
        self.credentials.show(&mut peer);
        Ok(Box::new(peer))
    }

    /// The address for one request. Waits as [`peer`](Self::peer) does. Where there is none, the name is asked for again.
    pub async fn address(&self, timeouts: &Timeouts) -> Result<SocketAddr, OriginError> {
        let mut address = self.live.addresses.next(Instant::now());
        if address.is_none() {
            let mut asked = self.live.asked.subscribe();
            let _ = timeout(timeouts.connect, asked.wait_for(|asked| *asked)).await;
            address = self.live.addresses.next(Instant::now());
        }
        if address.is_none() {
            self.live.ask.notify_one();
        }
        address.ok_or_else(|| OriginError::Unresolved {
            origin: self.origin.name.clone(),
            host: self.origin.host.clone(),
        })
    }

    /// How its requests are signed; none: they are not.
    pub fn signing(&self) -> Option<&Arc<Signing>> {
        self.credentials.signing()
    }

    /// Idle connections to it, of those that this edge makes itself.
    pub fn idle(&self) -> &Idle {
        &self.live.idle
    }

    /// The step of a decision for it.
    pub fn step(&self) -> &Arc<str> {
        &self.step
    }

    /// What it keeps of its metrics.
    pub fn counts(&self) -> &OriginCounts {
        &self.counts
    }

    /// Learns what became of a request.
    pub fn report(&self, outcome: Outcome, now: Instant) {
        self.live.report(&self.origin, outcome, now);
    }

    /// What `/metrics` says of it.
    pub fn state(&self, now: Instant) -> OriginState {
        let counters = &self.live.counters;
        OriginState {
            name: self.origin.name.clone(),
            health: self.health(now),
            addresses: self.live.addresses.all().len(),
            usable_addresses: self.usable_addresses(now),
            resolve_failures: counters.resolve_failures.load(Relaxed),
            connect_failures: counters.connect_failures.load(Relaxed),
            response_failures: counters.response_failures.load(Relaxed),
            ejections: counters.ejections.load(Relaxed),
            checks_good: counters.checks_good.load(Relaxed),
            checks_failed: counters.checks_failed.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::tests::origin;

    #[tokio::test]
    async fn who_finds_no_address_has_the_name_asked_for_again() {
        let origin = Arc::new(origin("a", "http://origin.test:80"));
        let upstream = Upstream::build(&origin, Path::new("/nowhere"), &Secrets::default(), None)
            .ok()
            .unwrap();
        // As after a failure: nobody asks for minutes.
        upstream.live.asked.send_replace(true);
        assert!(upstream.address(&Timeouts::default()).await.is_err());
        let is_asked = tokio::select! {
            biased;
            () = upstream.live.ask.notified() => true,
            () = std::future::ready(()) => false,
        };
        assert!(is_asked);
    }
}
