//! The least rate at which the other side must act, as arithmetic on the time that it is waited for.
//!
//! Whoever is waited for has a grace. Waiting uses it up; what passes gives it back, at the rate asked for, and never
//! more than there was at the start. So a side that keeps the rate on average is never cut off, one that stops is cut off
//! after the grace, and one that brings a byte now and then only a little later, whatever it brought before. Time in
//! which we are the slow ones does not count.

use latencify_conf::policy::RateMin;
use std::time::{Duration, Instant};

/// One side's grace.
#[derive(Debug, Clone, Copy)]
pub struct RateMeter {
    grace_left: Duration,
    waiting_since: Option<Instant>,
}

impl RateMeter {
    /// With all of its grace, waited for by nobody.
    pub fn new(least: RateMin) -> Self {
        Self {
            grace_left: least.grace,
            waiting_since: None,
        }
    }

    /// From now on it is waited for, if it is not already.
    pub fn wait(&mut self, now: Instant) {
        self.waiting_since.get_or_insert(now);
    }

    /// It is no longer waited for.
    pub fn rest(&mut self, now: Instant) {
        if let Some(since) = self.waiting_since.take() {
            let waited = now.saturating_duration_since(since);
            self.grace_left = self.grace_left.saturating_sub(waited);
        }
    }

    /// So many bytes passed since it was last looked at. What they earn counts against the wait for them, so that it
    /// does not matter how seldom somebody looks.
    pub fn pass(&mut self, bytes: u64, least: RateMin, now: Instant) {
        let earned = match least.bytes_per_second {
            0 => least.grace,
            rate => {
                let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate);
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
        };
        self.grace_left = self.grace_left.saturating_add(earned);
        let was_waited_for = self.waiting_since.is_some();
        self.rest(now);
        self.grace_left = self.grace_left.min(least.grace);
        if was_waited_for {
            self.wait(now);
        }
    }

    /// When its grace ends, if it is waited for and nothing passes; none: never.
    pub fn deadline(&self, least: RateMin) -> Option<Instant> {
        if least.bytes_per_second == 0 {
            return None;
        }
        self.waiting_since?.checked_add(self.grace_left)
    }

    /// When to look at it again, if it is waited for: at its deadline, or so long after the last look, for the rate that
    /// is asked for may be another by then.
    pub fn next_look(&self, least: RateMin, within: Duration) -> Option<Instant> {
        let soon = self.waiting_since?.checked_add(within)?;
        Some(self.deadline(least).map_or(soon, |end| end.min(soon)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: RateMin = RateMin {
        bytes_per_second: 1_000,
        grace: Duration::from_secs(10),
    };

    /// The second at which a side is cut off that brings so many bytes every so many seconds, within an hour.
    fn cut_off_after(bytes: u64, every_seconds: u64) -> Option<u64> {
        let start = Instant::now();
        let mut meter = RateMeter::new(LEAST);
        meter.wait(start);
        for second in 1..3_600 {
            let now = start + Duration::from_secs(second);
            if meter
                .deadline(LEAST)
                .is_some_and(|deadline| deadline <= now)
            {
                return Some(second);
            }
            if second.is_multiple_of(every_seconds) {
                meter.pass(bytes, LEAST, now);
            }
        }
        None
    }

    #[test]
    fn who_stops_is_cut_off_after_the_grace_whatever_came_before() {
        assert_eq!(cut_off_after(0, 1), Some(10));
        let start = Instant::now();
        let mut meter = RateMeter::new(LEAST);
        meter.wait(start);
        meter.pass(1 << 40, LEAST, start);
        assert_eq!(meter.deadline(LEAST), Some(start + LEAST.grace));
    }

    #[test]
    fn who_drips_is_cut_off_and_who_keeps_the_rate_is_not() {
        assert_eq!(cut_off_after(1, 1), Some(11));
        assert_eq!(cut_off_after(500, 1), Some(19));
        assert_eq!(cut_off_after(1_000, 1), None);
        assert_eq!(cut_off_after(9_000, 9), None);
        assert_eq!(cut_off_after(20_000, 11), Some(10));
    }

    #[test]
    fn time_in_which_nobody_waits_does_not_count() {
        let start = Instant::now();
        let mut meter = RateMeter::new(LEAST);
        meter.wait(start);
        meter.rest(start + Duration::from_secs(4));
        assert_eq!(meter.deadline(LEAST), None);
        let later = start + Duration::from_hours(1);
        meter.wait(later);
        assert_eq!(meter.deadline(LEAST), Some(later + Duration::from_secs(6)));
    }

    #[test]
    fn who_drips_is_cut_off_however_seldom_somebody_looks() {
        let start = Instant::now();
        for every in [2, 7, 20] {
            let mut meter = RateMeter::new(LEAST);
            meter.wait(start);
            let ended = (1..10)
                .map(|look| start + Duration::from_secs(look * every))
                .find(|now| {
                    meter.pass(every, LEAST, *now);
                    meter
                        .deadline(LEAST)
                        .is_some_and(|deadline| deadline <= *now)
                });
            let seconds = ended.map(|end| (end - start).as_secs());
            assert!(
                seconds.is_some_and(|seconds| seconds < 10 + 2 * every),
                "{every}: {seconds:?}"
            );
        }
    }

    #[test]
    fn a_rate_of_zero_asks_for_nothing() {
        let any = RateMin {
            bytes_per_second: 0,
            ..LEAST
        };
        let mut meter = RateMeter::new(any);
        meter.wait(Instant::now());
        meter.pass(7, any, Instant::now());
        assert_eq!(meter.deadline(any), None);
    }

    #[test]
    fn a_rate_that_is_asked_for_later_is_heard() {
        const WITHIN: Duration = Duration::from_secs(4);
        let any = RateMin {
            bytes_per_second: 0,
            ..LEAST
        };
        let start = Instant::now();
        let mut meter = RateMeter::new(any);
        assert_eq!(meter.next_look(any, WITHIN), None);
        meter.wait(start);
        assert_eq!(meter.next_look(any, WITHIN), Some(start + WITHIN));
        let later = start + WITHIN;
        meter.pass(0, any, later);
        assert_eq!(meter.next_look(LEAST, WITHIN), Some(later + WITHIN));
        assert_eq!(meter.deadline(LEAST), Some(later + LEAST.grace));
    }
}
