//! A deadline that is seldom met, and set anew with every request.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::time::{Instant, Sleep, sleep_until};

/// Rings for whoever waits. The runtime's timer is left as it is while it would ring early enough: when it rings too early, it
/// is set anew. So most waits set none.
#[derive(Debug, Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready when the time is over.
    pub fn poll_over(&mut self, task: &mut Context<'_>, until: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if sleep.deadline() > until {
            sleep.as_mut().reset(until);
        }
        loop {
            ready!(sleep.as_mut().poll(task));
            if sleep.deadline() >= until {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::poll_fn, time::Duration};

    async fn rings(alarm: &mut Alarm, after: Duration) -> Duration {
        let begin = Instant::now();
        poll_fn(|task| alarm.poll_over(task, begin + after)).await;
        begin.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_for_each_deadline_whatever_it_was_set_to() {
        let mut alarm = Alarm::default();
        for seconds in [5, 9, 2, 2, 30] {
            let after = Duration::from_secs(seconds);
            let rang = rings(&mut alarm, after).await;
            assert!(rang >= after, "{rang:?} for {after:?}");
            assert!(
                rang < after + Duration::from_secs(1),
                "{rang:?} for {after:?}"
            );
        }
        // One that nobody waits for any more rings for nobody.
        let far = Instant::now() + Duration::from_mins(1);
        let polled = poll_fn(|task| Poll::Ready(alarm.poll_over(task, far))).await;
        assert!(polled.is_pending());
        let rang = rings(&mut alarm, Duration::from_secs(3)).await;
        assert!(rang < Duration::from_secs(4), "{rang:?}");
    }
}
