//! The clock of soft marks: handed in, so that a simulator can turn it.

use parking_lot::Mutex;
use std::time::{Duration, Instant, SystemTime};

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Now. Never earlier than what it told before.
    fn now(&self) -> SystemTime;
}

/// Wall clock at its start plus monotonic time since: setting the machine's clock moves no age.
#[derive(Debug)]
pub struct SteadyClock {
    wall: SystemTime,
    started: Instant,
}

impl SteadyClock {
    /// Starts at the wall clock's present time.
    pub fn start() -> Self {
        Self {
            wall: SystemTime::now(),
            started: Instant::now(),
        }
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> SystemTime {
        self.wall + self.started.elapsed()
    }
}

/// A clock that stands still until it is turned: for simulators and tests.
#[derive(Debug)]
pub struct ManualClock(Mutex<SystemTime>);

impl ManualClock {
    /// Stands at `time`.
    pub fn at(time: SystemTime) -> Self {
        Self(Mutex::new(time))
    }

    /// Turns it forward.
    pub fn advance(&self, by: Duration) {
        *self.0.lock() += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        *self.0.lock()
    }
}

impl<C: Clock> Clock for std::sync::Arc<C> {
    fn now(&self) -> SystemTime {
        (**self).now()
    }
}
