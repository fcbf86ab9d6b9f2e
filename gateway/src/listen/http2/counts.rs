//! What is counted over a window of time.

use crate::observe::Ended;
use latencify_conf::policy::EdgeLimits;
use std::time::Instant;

/// What came of one client within [`EdgeLimits::WINDOW`].
#[derive(Debug, Default)]
pub(super) struct Counts {
    since: Option<Instant>,
    resets: u32,
    /// Of them those of requests beyond `streams`.
    refusals: u32,
    control: u32,
}

impl Counts {
    /// A request was reset, by the client or because of it; how many that makes.
    pub(super) fn reset(&mut self, is_refusal: bool, now: Instant) -> u32 {
        self.begin_window(now);
        self.refusals += u32::from(is_refusal);
        self.resets = self.resets.saturating_add(1);
        self.resets
    }

    /// A frame came that carries nothing of a request; how many that makes.
    pub(super) fn control(&mut self, now: Instant) -> u32 {
        self.begin_window(now);
        self.control = self.control.saturating_add(1);
        self.control
    }

    /// What most of the resets are.
    pub(super) fn why_resets(&self) -> Ended {
        if self.refusals > self.resets / 2 {
            Ended::Streams
        } else {
            Ended::Resets
        }
    }

    fn begin_window(&mut self, now: Instant) {
        let is_over = |since: Instant| now.saturating_duration_since(since) >= EdgeLimits::WINDOW;
        if self.since.is_none_or(is_over) {
            *self = Self {
                since: Some(now),
                ..Self::default()
            };
        }
    }
}
