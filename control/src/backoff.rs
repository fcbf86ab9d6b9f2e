//! Pauses between attempts that grow, up to a limit. For attempts of one program against one thing that it alone waits
//! for: nobody else is in step with it, so there is no chance in them.

use std::time::Duration;

/// The pauses of one row of attempts.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// From the first pause, doubled each time, to the longest.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    /// How long the next pause is.
    pub fn due(&self) -> Duration {
        self.next
    }

    /// Waits for the next pause. Given up, it counts all the same.
    pub async fn pause(&mut self) {
        tokio::time::sleep(self.take()).await;
    }

    /// It worked: the next row begins with the first pause.
    pub fn reset(&mut self) {
        self.next = self.first;
    }

    /// The next pause, which counts as taken.
    pub fn take(&mut self) -> Duration {
        let longer = self.next.saturating_mul(2).min(self.longest);
        std::mem::replace(&mut self.next, longer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        for seconds in [1, 2, 4, 5, 5] {
            assert_eq!(backoff.due(), Duration::from_secs(seconds));
            assert_eq!(backoff.take(), Duration::from_secs(seconds));
        }
        backoff.reset();
        assert_eq!(backoff.due(), Duration::from_secs(1));
    }
}
