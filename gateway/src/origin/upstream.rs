//! One origin at work: its addresses, its health, its counters, and the tasks that keep them up to date.

use super::{
    BuildError, Network, OriginError, OriginState, Outcome,
    addresses::Addresses,
    ca::{self, Ca},
    check::{self, CheckFailure},
    eject::Ejection,
    health::{Checked, Health, Turn},
    peer, resolve,
};
use latencify_conf::policy::{HealthCheck, Origin, Timeouts};
use parking_lot::Mutex;
use pingora::upstreams::peer::HttpPeer;
use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, info, warn};

/// An origin of the policy in force. Its tasks end when the last policy that has it goes.
pub struct Upstream {
    origin: Arc<Origin>,
    ca: Option<Ca>,
    live: Arc<Live>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
    started: AtomicBool,
}

/// What changes while an origin is in use.
#[derive(Default)]
struct Live {
    addresses: Addresses,
    /// Whether the name has been asked for, successfully or not.
    asked: watch::Sender<bool>,
    /// Asks for the name again before its TTL is over.
    ask: Notify,
    checked: Mutex<Checked>,
    ejection: Mutex<Ejection>,
    /// Whether `ejection` holds anything at all: the way of good requests past its lock.
    doubted: AtomicBool,
    /// As `checked` says, without its lock.
    unhealthy: AtomicBool,
    counters: Counters,
}

/// What has happened since this origin came with these addresses.
#[derive(Default)]
struct Counters {
    resolve_failures: AtomicU64,
    connect_failures: AtomicU64,
    response_failures: AtomicU64,
    ejections: AtomicU64,
    checks_good: AtomicU64,
    checks_failed: AtomicU64,
}

impl Upstream {
    /// The origin as this policy has it. What is known of it stays known: `previous` is the origin of the same name
    /// in the previous policy.
    pub fn build(
        origin: &Arc<Origin>,
        folder: &Path,
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
        if let Some(previous) = previous.filter(|previous| {
            previous.origin == *origin
                && previous.ca.as_ref().map(|ca| ca.digest) == ca.as_ref().map(|ca| ca.digest)
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
            live,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
            started: AtomicBool::new(false),
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
        if let Some(rule) = self.origin.health.clone() {
            let task = check_health(
                self.origin.clone(),
                rule,
                self.ca.clone(),
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
        let mut address = self.live.addresses.next(Instant::now());
        if address.is_none() {
            let mut asked = self.live.asked.subscribe();
            let _ = timeout(timeouts.connect, asked.wait_for(|asked| *asked)).await;
            address = self.live.addresses.next(Instant::now());
        }
        let address = address.ok_or_else(|| OriginError::Unresolved {
            origin: self.origin.name.clone(),
            host: self.origin.host.clone(),
        })?;
        Ok(Box::new(peer::peer(
            &self.origin,
            self.ca.as_ref(),
            address,
            timeouts,
        )))
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

impl Live {
    /// Takes over what a former policy's origin of the same name had learned, as far as it still means the same.
    fn inherit(&self, former: &Self, origin: &Origin, former_origin: &Origin) {
        for (counter, former) in self.counters.all().into_iter().zip(former.counters.all()) {
            counter.store(former.load(Relaxed), Relaxed);
        }
        if (&origin.host, origin.port, origin.scheme)
            != (
                &former_origin.host,
                former_origin.port,
                former_origin.scheme,
            )
        {
            return;
        }
        self.addresses.set(
            former.addresses.all().iter().map(SocketAddr::ip),
            origin.port,
        );
        self.asked.send_replace(*former.asked.borrow());
        *self.ejection.lock() = *former.ejection.lock();
        self.doubted.store(former.doubted.load(Relaxed), Relaxed);
        if origin.health.is_some() && former_origin.health.is_some() {
            let checked = *former.checked.lock();
            *self.checked.lock() = checked;
            self.unhealthy.store(checked.unhealthy, Relaxed);
        }
    }

    fn report(&self, origin: &Origin, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Connected(address) => return self.addresses.wake(address),
            Outcome::ConnectFailed(address) => {
                self.counters.connect_failures.fetch_add(1, Relaxed);
                if let Some(address) = address {
                    self.addresses.rest(address, now);
                }
                // The origin may have moved.
                self.ask.notify_one();
            }
            Outcome::NoResponse => {
                self.counters.response_failures.fetch_add(1, Relaxed);
            }
            Outcome::Responded(502..=504) => {
                self.counters.response_failures.fetch_add(1, Relaxed);
            }
            Outcome::Responded(_) => {
                if self.doubted.load(Relaxed) {
                    let mut ejection = self.ejection.lock();
                    ejection.succeeded(now);
                    self.doubted
                        .store(*ejection != Ejection::default(), Relaxed);
                }
                return;
            }
        }
        let mut ejection = self.ejection.lock();
        self.doubted.store(true, Relaxed);
        if let Some(rest) = ejection.failed(now) {
            self.counters.ejections.fetch_add(1, Relaxed);
            warn!(origin = %origin.name, rest_seconds = rest.as_secs(), "origin ejected: its requests keep failing");
        }
    }

    fn record_check(&self, origin: &Origin, rule: &HealthCheck, result: Result<(), CheckFailure>) {
        let counters = &self.counters;
        let counter = if result.is_ok() {
            &counters.checks_good
        } else {
            &counters.checks_failed
        };
        counter.fetch_add(1, Relaxed);
        let (turn, unhealthy) = {
            let mut checked = self.checked.lock();
            (checked.record(result.is_ok(), rule), checked.unhealthy)
        };
        self.unhealthy.store(unhealthy, Relaxed);
        match (turn, result) {
            (Turn::Fell, Err(failure)) => {
                warn!(origin = %origin.name, reason = failure.as_str(), %failure, "origin unhealthy");
            }
            (Turn::Rose, _) => {
                self.ejection.lock().clear();
                self.doubted.store(false, Relaxed);
                info!(origin = %origin.name, "origin healthy again");
            }
            (_, Err(failure)) => debug!(origin = %origin.name, %failure, "health check failed"),
            (_, Ok(())) => {}
        }
    }
}

impl Counters {
    fn all(&self) -> [&AtomicU64; 6] {
        let Self {
            resolve_failures,
            connect_failures,
            response_failures,
            ejections,
            checks_good,
            checks_failed,
        } = self;
        [
            resolve_failures,
            connect_failures,
            response_failures,
            ejections,
            checks_good,
            checks_failed,
        ]
    }
}

/// Asks for the origin's name whenever its TTL is over. A failure keeps the addresses that were good last.
async fn follow_name(origin: Arc<Origin>, live: Arc<Live>, network: Arc<Network>) {
    let mut failures = 0;
    loop {
        let pause = match network.resolver.lookup(&origin.host).await {
            Ok(answer) => {
                if live.addresses.set(answer.addresses, origin.port) {
                    info!(origin = %origin.name, host = origin.host, addresses = ?live.addresses.all(), "origin resolved");
                }
                failures = 0;
                resolve::clamp_ttl(answer.ttl)
            }
            Err(error) => {
                failures += 1;
                live.counters.resolve_failures.fetch_add(1, Relaxed);
                let kept = live.addresses.all().len();
                if failures == 1 {
                    warn!(origin = %origin.name, host = origin.host, %error, kept, "origin name not resolved");
                } else {
                    debug!(origin = %origin.name, host = origin.host, %error, kept, failures, "origin name not resolved");
                }
                resolve::retry_after(failures)
            }
        };
        live.asked.send_replace(true);
        // Not more often than the shortest TTL, however often connections fail.
        tokio::time::sleep(resolve::TTL_MIN).await;
        let _ = timeout(pause.saturating_sub(resolve::TTL_MIN), live.ask.notified()).await;
    }
}

/// Checks on a timer, with a random start and a little randomness each time, so that edges do not beat in time.
async fn check_health(
    origin: Arc<Origin>,
    rule: HealthCheck,
    ca: Option<Ca>,
    live: Arc<Live>,
    network: Arc<Network>,
) {
    let limits = Timeouts {
        connect: rule.timeout,
        first_byte: rule.timeout,
        between_bytes: rule.timeout,
        send: rule.timeout,
        idle: rule.timeout,
    };
    // The first check comes soon: until it does, a dead origin counts as healthy.
    let mut pause = rule
        .interval
        .min(FIRST_CHECK_WITHIN)
        .mul_f64(rand::random());
    loop {
        tokio::time::sleep(pause).await;
        let result = match live.addresses.next(Instant::now()) {
            None => Err(CheckFailure::NoAddress),
            Some(address) => {
                let peer = peer::peer(&origin, ca.as_ref(), address, &limits);
                let result = check::check(&network.connector, &peer, &origin, &rule).await;
                match &result {
                    Err(CheckFailure::Connect(_)) => {
                        live.addresses.rest(address, Instant::now());
                        live.ask.notify_one();
                    }
                    _ => live.addresses.wake(address),
                }
                result
            }
        };
        live.record_check(&origin, &rule, result);
        pause = rule
            .interval
            .mul_f64(rand::random_range(1.0 - CHECK_JITTER..=1.0 + CHECK_JITTER));
    }
}

/// The first check of an origin comes at a random time within this.
const FIRST_CHECK_WITHIN: Duration = Duration::from_secs(1);
/// Checks come earlier or later by up to this share of the interval.
const CHECK_JITTER: f64 = 0.1;
