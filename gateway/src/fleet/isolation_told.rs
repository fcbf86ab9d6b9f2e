//! Tells the operator when the edge becomes isolated, and when that is over.

use super::{
    settings::WhenIsolated,
    standing::{Isolated, Standing},
};
use latencify_conf::link::edge::Isolation;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

/// How often somebody looks. What requests do depends on nobody's looking.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Joining and catching up take a moment on a good day; longer is worth a word.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks for as long as the edge lives.
pub async fn keep_telling(standing: Arc<Standing>) {
    let mut since = Instant::now();
    let mut told = None;
    loop {
        let isolated = standing.isolated();
        match (isolated, told) {
            (Some(now), None) if since.elapsed() >= patience(now.why) => {
                begins(now);
                told = Some(now);
            }
            (Some(_), _) => {}
            (None, Some(was)) => {
                let after_ms = since.elapsed().as_millis() as u64;
                info!(
                    was = was.why.as_str(),
                    after_ms, "no longer isolated: every purge is obeyed again"
                );
                told = None;
                since = Instant::now();
            }
            (None, None) => since = Instant::now(),
        }
        sleep(LOOK_EVERY).await;
    }
}

fn patience(why: Isolation) -> Duration {
    match why {
        Isolation::NotJoined | Isolation::CatchingUp => PATIENCE,
        Isolation::LeaseOver | Isolation::Removed => Duration::ZERO,
        // Told by whoever stops the edge.
        Isolation::Left => Duration::MAX,
    }
}

fn begins(isolated: Isolated) {
    let reason = isolated.why.as_str();
    let does = match isolated.does {
        WhenIsolated::Revalidate => {
            "stored responses are validated at their origins before each use"
        }
        WhenIsolated::Serve => "stored responses are served all the same, and may have been purged",
        WhenIsolated::Refuse => "stored responses are refused with 503",
    };
    let remedy = match isolated.why {
        Isolation::NotJoined | Isolation::LeaseOver => {
            "bring control back, or mend the network to it; the edge comes back by itself"
        }
        Isolation::Removed => "it joins again by itself if control takes it",
        Isolation::CatchingUp => "it ends when the edge obeys what was purged meanwhile",
        Isolation::Left => "it does not come back; another process may",
    };
    warn!(
        reason,
        when_isolated = isolated.does.as_str(),
        "isolated: purges may be missing; {does}; {remedy}"
    );
}
