//! A topic that was just made. The cluster tells of it before every broker, and every client that has asked before, knows its
//! partition: for a moment, whoever reads or writes it is told that there is none.

use crate::backoff::Backoff;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::time::Duration;
use tokio::time::Instant;

/// For so long what is missing may still be on its way.
const SETTLE_MAX: Duration = Duration::from_secs(10);
/// Before the second attempt.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// Between two attempts at most.
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// Attempts at a topic that may be that young.
#[derive(Debug)]
pub(super) struct Settling {
    give_up: Instant,
    pauses: Backoff,
}

impl Settling {
    /// Before the first attempt.
    pub(super) fn begin() -> Self {
        Self {
            give_up: Instant::now() + SETTLE_MAX,
            pauses: Backoff::new(PAUSE_FIRST, PAUSE_LONGEST),
        }
    }

    /// Says whether an attempt that failed is worth another, after the pause that belongs between them.
    pub(super) async fn is_worth_another(&mut self, error: &KafkaError) -> bool {
        let Some(pause) = self.pause(error, Instant::now()) else {
            return false;
        };
        tracing::debug!(%error, "a topic that may be new is asked for again");
        tokio::time::sleep(pause).await;
        true
    }

    /// How long to wait before another attempt; none: it would say the same.
    fn pause(&mut self, error: &KafkaError, now: Instant) -> Option<Duration> {
        let is_over = now + self.pauses.due() > self.give_up;
        (!is_over && may_be_on_its_way(error)).then(|| self.pauses.take())
    }
}

/// Whether it says that something is not there. In none of these cases has anything been written.
fn may_be_on_its_way(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::LeaderNotAvailable
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many attempts that fail with this code are worth another, and how long all of them take.
    fn attempts(code: RDKafkaErrorCode) -> (u32, Duration) {
        let begun = Instant::now();
        let mut settling = Settling::begin();
        let (mut further, mut now) = (0, begun);
        while let Some(pause) = settling.pause(&KafkaError::MetadataFetch(code), now) {
            further += 1;
            now += pause;
        }
        (further, now - begun)
    }

    #[test]
    fn a_topic_that_was_just_made_is_asked_for_again_for_a_bounded_time() {
        for code in [
            RDKafkaErrorCode::UnknownPartition,
            RDKafkaErrorCode::UnknownTopic,
            RDKafkaErrorCode::UnknownTopicOrPartition,
            RDKafkaErrorCode::LeaderNotAvailable,
        ] {
            let (further, took) = attempts(code);
            // Soon at first, and at least once a second until the end.
            assert!((10..20).contains(&further), "{code}: {further}");
            assert!(took <= SETTLE_MAX + PAUSE_FIRST, "{code}: {took:?}");
            assert!(took + 2 * PAUSE_LONGEST > SETTLE_MAX, "{code}: {took:?}");
        }
        let other = RDKafkaErrorCode::TopicAuthorizationFailed;
        assert_eq!(attempts(other), (0, Duration::ZERO));
    }
}
