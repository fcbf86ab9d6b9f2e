//! The next certificate, in time.

use super::{Identity, Passport};
use crate::fleet::backoff::Backoff;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// A certificate is renewed when two thirds of its time are over …
const RENEWED_AFTER: (u32, u32) = (2, 3);
/// … and up to this part of it earlier, by chance, so that a fleet does not come in step.
const EARLIER_PART: f64 = 0.05;
/// Of the time that is left, the longest pause between two attempts, at the most …
const PAUSE_PART: u32 = 10;
/// … and in any case.
const PAUSE_MAX: Duration = Duration::from_hours(1);
/// The first pause.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// How long to wait before it is looked again whether there is a certificate.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// No sleep is longer: the clock that certificates go by may be set meanwhile.
const SLEEP_MAX: Duration = Duration::from_hours(1);

impl Passport {
    /// Renews the certificate, until the edge leaves. The stream goes on meanwhile.
    pub async fn keep_renewed(self: Arc<Self>, leave: CancellationToken) {
        let _ = leave.run_until_cancelled(self.renewals()).await;
    }

    async fn renewals(&self) {
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX);
        let earlier = rand::random::<f64>() * EARLIER_PART;
        loop {
            let Some(identity) = self.identity() else {
                sleep(LOOK_AGAIN).await;
                continue;
            };
            let Some(holds) = identity.holds() else {
                // Only the join token helps, and the session tries that.
                sleep(LOOK_AGAIN).await;
                continue;
            };
            let due = due(&identity, holds, earlier);
            if !due.is_zero() {
                sleep(due.min(SLEEP_MAX)).await;
                continue;
            }
            // Another process of this edge may have done it.
            self.take_over().await;
            if self.identity().is_some_and(|now| !now.is(&identity)) {
                continue;
            }
            match self.renew().await {
                Ok(()) => {
                    backoff.reset();
                    let until = self.identity().map(|identity| identity.until());
                    info!(until, "the certificate of this edge is renewed");
                }
                Err(broken) => {
                    let most = (holds / PAUSE_PART).max(PAUSE_FIRST);
                    let pause = backoff.next().min(most);
                    let (until, again_ms) = (identity.until(), pause.as_millis() as u64);
                    if holds < identity.lifetime() / 6 {
                        warn!(%broken, until, again_ms, "the certificate of this edge can't be renewed, and expires soon");
                    } else {
                        debug!(%broken, until, again_ms, "the certificate of this edge can't be renewed yet");
                    }
                    sleep(pause).await;
                }
            }
        }
    }
}

/// How long until it is to be renewed.
fn due(identity: &Identity, holds: Duration, earlier: f64) -> Duration {
    let lifetime = identity.lifetime();
    let (part, whole) = RENEWED_AFTER;
    let left_then = lifetime * (whole - part) / whole + lifetime.mul_f64(earlier);
    holds.saturating_sub(left_then)
}
