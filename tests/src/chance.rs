//! Chance that can be repeated: a seed, and what follows from it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// SplitMix64: enough chance for places and times of faults.
#[derive(Debug, Clone)]
pub struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    /// From `LATENCIFY_SEED`, else from the clock. The seed is said on standard error, which a failing test shows.
    #[allow(clippy::print_stderr)] // what a test program says of itself
    pub fn new() -> Self {
        let seed = std::env::var("LATENCIFY_SEED").ok().map_or_else(
            || {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                now.as_nanos() as u64
            },
            |seed| seed.parse().expect("LATENCIFY_SEED is a number"),
        );
        eprintln!("LATENCIFY_SEED={seed}");
        Self { seed, state: seed }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Any number below that one.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    /// Any time from the first to the second, in whole milliseconds.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_millis() as u64 + 1;
        least + Duration::from_millis(self.below(span))
    }

    /// Waits for any time within a span. Faults fall where they fall; nothing is concluded from how long this takes.
    pub async fn moment(&mut self, at_most: Duration) {
        let micros = self.below(at_most.as_micros() as u64);
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }

    /// One of them.
    pub fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}

impl Default for Chance {
    fn default() -> Self {
        Self::new()
    }
}
