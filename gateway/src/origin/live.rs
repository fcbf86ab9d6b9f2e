//! What changes while an origin is in use: kept by its tasks and by the requests to it.

use super::{
    Outcome,
    addresses::Addresses,
    check::CheckFailure,
    eject::Ejection,
    health::{Checked, Turn},
    idle::Idle,
};
use latencify_conf::policy::{HealthCheck, Origin};
use parking_lot::Mutex;
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Instant,
};
use tokio::sync::{Notify, watch};
use tracing::{debug, info, warn};

/// What changes while an origin is in use.
#[derive(Default)]
pub struct Live {
    /// Where it is.
    pub addresses: Addresses,
    /// Whether the name has been asked for, successfully or not.
    pub asked: watch::Sender<bool>,
    /// Asks for the name again before its TTL is over.
    pub ask: Notify,
    /// What active checks have found.
    pub checked: Mutex<Checked>,
    /// What requests have found.
    pub ejection: Mutex<Ejection>,
    /// Whether `ejection` holds anything at all: the way of good requests past its lock.
    pub doubted: AtomicBool,
    /// As `checked` says, without its lock.
    pub unhealthy: AtomicBool,
    /// What has happened.
    pub counters: Counters,
    /// Connections that wait for a request.
    pub idle: Idle,
}

/// The counters of [`OriginState`](super::OriginState).
#[derive(Default)]
pub struct Counters {
    pub resolve_failures: AtomicU64,
    pub connect_failures: AtomicU64,
    pub response_failures: AtomicU64,
    pub ejections: AtomicU64,
    pub checks_good: AtomicU64,
    pub checks_failed: AtomicU64,
}

impl Live {
    /// Takes over what a former policy's origin of the same name had learned, as far as it still means the same.
    pub fn inherit(&self, former: &Self, origin: &Origin, former_origin: &Origin) {
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

    /// Learns what became of a request.
    pub fn report(&self, origin: &Origin, outcome: Outcome, now: Instant) {
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

    /// Learns what a check found.
    pub fn record_check(
        &self,
        origin: &Origin,
        rule: &HealthCheck,
        result: Result<(), CheckFailure>,
    ) {
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
                {
                    let mut ejection = self.ejection.lock();
                    ejection.clear();
                    self.doubted.store(false, Relaxed);
                }
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
