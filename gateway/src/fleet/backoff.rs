//! Waiting before another attempt.

use std::time::Duration;

/// Doubles from the first pause to the longest; half of each pause is random, so that a fleet does not come back in
/// step.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    attempts: u32,
}

impl Backoff {
    /// A backoff between these pauses.
    pub fn new(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max,
            attempts: 0,
        }
    }

    /// The next pause.
    pub fn next(&mut self) -> Duration {
        let pause = pause(self.first, self.max, self.attempts, rand::random());
        self.attempts = self.attempts.saturating_add(1);
        pause
    }

    /// An attempt succeeded.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// The pause after so many earlier ones; `chance` is in 0..1.
fn pause(first: Duration, max: Duration, attempts: u32, chance: f64) -> Duration {
    let full = first.saturating_mul(1 << attempts.min(20)).min(max);
    full.mul_f64(0.5 + chance / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_half_is_chance() {
        let (first, max) = (Duration::from_millis(100), Duration::from_secs(5));
        for (attempts, chance, ms) in [
            (0, 0.0, 50),
            (0, 1.0, 100),
            (1, 1.0, 200),
            (3, 0.5, 600),
            (6, 1.0, 5000),
            (99, 0.0, 2500),
        ] {
            assert_eq!(
                pause(first, max, attempts, chance),
                Duration::from_millis(ms),
                "{attempts} {chance}"
            );
        }
    }
}
