//! Waiting for something to become true, instead of sleeping.

use std::{fmt::Display, time::Duration};
use tokio::time::{Instant, sleep};

const PAUSE: Duration = Duration::from_millis(20);

/// Asks again and again until the answer is `Ok`, and hands it out.
///
/// # Panics
/// When the time is over: says what was waited for, and what was seen last.
pub async fn wait_until<T, E: Display>(
    what: &str,
    at_most: Duration,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let end = Instant::now() + at_most;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(saw) if Instant::now() >= end => {
                panic!("waited {at_most:?} in vain until {what}; saw at last: {saw}")
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Looks again and again for a while: something must not happen.
///
/// # Panics
/// At the first error, which it shows.
pub async fn wait_while_ok<E: Display>(
    what: &str,
    lasting: Duration,
    mut look: impl AsyncFnMut() -> Result<(), E>,
) {
    let end = Instant::now() + lasting;
    while Instant::now() < end {
        if let Err(saw) = look().await {
            panic!("{what} did not last {lasting:?}: {saw}");
        }
        sleep(PAUSE).await;
    }
}
