//! The tasks of an origin: following its name, checking its health. They end with the last policy that has it.

use super::{
    Network,
    ca::Ca,
    check::{self, CheckFailure},
    credentials::Credentials,
    live::Live,
    peer, resolve,
};
use latencify_conf::policy::{HealthCheck, Origin, Timeouts};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::time::timeout;
use tracing::{debug, info, warn};

/// The first check of an origin comes at a random time within this.
const FIRST_CHECK_WITHIN: Duration = Duration::from_secs(1);
/// Checks come earlier or later by up to this share of the interval.
const CHECK_JITTER: f64 = 0.1;

/// Asks for the origin's name whenever its TTL is over. A failure keeps the addresses that were good last.
pub async fn follow_name(origin: Arc<Origin>, live: Arc<Live>, network: Arc<Network>) {
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
                resolve::retry_after(failures, kept)
            }
        };
        live.asked.send_replace(true);
        // Not more often than the shortest TTL, however often connections fail.
        tokio::time::sleep(resolve::TTL_MIN).await;
        let _ = timeout(pause.saturating_sub(resolve::TTL_MIN), live.ask.notified()).await;
    }
}

/// Checks on a timer, with a random start and a little randomness each time, so that edges do not beat in time.
pub async fn check_health(
    origin: Arc<Origin>,
    rule: HealthCheck,
    ca: Option<Ca>,
    credentials: Credentials,
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
    // A name that nobody has asked for yet is no failure.
    let _ = live.asked.subscribe().wait_for(|asked| *asked).await;
    // The first check comes soon: until it does, a dead origin counts as healthy.
    let mut pause = rule
        .interval
        .min(FIRST_CHECK_WITHIN)
        .mul_f64(rand::random());
    loop {
        tokio::time::sleep(pause).await;
        let result = match live.addresses.next(Instant::now()) {
            None => {
                live.ask.notify_one();
                Err(CheckFailure::NoAddress)
            }
            Some(address) => {
                let mut peer = peer::peer(&origin, ca.as_ref(), address, &limits);
                credentials.show(&mut peer);
                let signing = credentials.signing().map(AsRef::as_ref);
                let result = check::check(&network.connector, &peer, &origin, &rule, signing).await;
                if let Err(CheckFailure::Connect(_) | CheckFailure::TimedOut(_)) = &result {
                    live.addresses.rest(address, Instant::now());
                    live.ask.notify_one();
                } else {
                    live.addresses.wake(address);
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
