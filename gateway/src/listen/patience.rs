//! Waiting for a client that brings something, no longer than a rate allows.

use super::rate::RateMeter;
use latencify_conf::policy::RateMin;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};
use tokio::time::Sleep;

/// The patience with one body.
#[derive(Debug)]
pub struct Patience {
    least: RateMin,
    meter: RateMeter,
    /// Made when the client first has to be waited for.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// With a client that must bring so much.
    pub fn new(least: RateMin) -> Self {
        Self {
            least,
            meter: RateMeter::new(least),
            alarm: None,
        }
    }

    /// So much came. It is waited for no more, until [`Patience::poll_over`] is asked again.
    pub fn came(&mut self, bytes: usize) {
        if self.alarm.is_some() {
            let now = Instant::now();
            self.meter.pass(bytes as u64, self.least, now);
            self.meter.rest(now);
        }
    }

    /// It is not waited for now.
    pub fn rest(&mut self) {
        self.meter.rest(Instant::now());
    }

    /// Nothing comes now: ready when that has lasted too long.
    pub fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.meter.wait(Instant::now());
        let Some(deadline) = self.meter.deadline(self.least) else {
            return Poll::Pending;
        };
        let deadline = tokio::time::Instant::from_std(deadline);
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if alarm.deadline() != deadline {
            alarm.as_mut().reset(deadline);
        }
        ready!(alarm.as_mut().poll(cx));
        Poll::Ready(())
    }
}
