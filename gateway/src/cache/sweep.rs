//! The task that sweeps the memory tier, a little at a time: it gives the memory of purged objects back and lets marks be
//! forgotten. Requests never wait for it.

use super::MemoryStorage;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often it works …
const PERIOD: Duration = Duration::from_secs(1);
/// … how many objects it looks at before it lets others run …
const OBJECTS_PER_STEP: usize = 1_024;
/// … and how many such steps it makes at once: a round over a million objects takes half a minute and a few hundredths of
/// a core.
const STEPS_PER_PERIOD: usize = 32;

/// Sweeps for the life of the process.
pub async fn keep_swept(storage: &'static MemoryStorage) {
    let mut sweep = storage.sweep();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for _ in 0..STEPS_PER_PERIOD {
            if sweep.step(OBJECTS_PER_STEP).is_end() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}
