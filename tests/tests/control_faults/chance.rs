//! Random moments that a seed gives, which a failure shows.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// SplitMix64.
pub struct Chance(u64);

impl Chance {
    /// From `LATENCIFY_SEED`, else from the clock; told on standard error.
    #[allow(clippy::print_stderr)] // shown when the test fails
    pub fn new() -> Self {
        let seed = std::env::var("LATENCIFY_SEED").ok().map_or_else(
            || {
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap()
                    .as_nanos() as u64
            },
            |seed| seed.parse().expect("LATENCIFY_SEED is a number"),
        );
        eprintln!("LATENCIFY_SEED={seed}");
        Self(seed)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    /// A moment within a span. Faults fall where they fall; nothing is concluded from how long this takes.
    pub async fn moment(&mut self, at_most: Duration) {
        let micros = self.below(at_most.as_micros() as u64);
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }
}
