//! Passive ejection: an origin whose requests keep failing rests for a while, longer each time. Pure, with an explicit
//! clock.

use std::time::{Duration, Instant};

/// So many failed requests in a row eject an origin.
pub const EJECT_AFTER_FAILURES: u32 = 5;
/// The first rest.
pub const EJECT_FIRST: Duration = Duration::from_secs(5);
/// The longest rest.
pub const EJECT_MAX: Duration = Duration::from_mins(2);

/// What requests have found so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ejection {
    /// Failed requests in a row.
    failures: u32,
    /// Rests in a row, without a good time between them.
    rests: u32,
    /// When the last rest ends or ended.
    until: Option<Instant>,
}

impl Ejection {
    /// Whether it rests.
    pub fn is_ejected(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Counts a failed request. Returns the rest that begins with it, if one does. One failure after a rest is enough
    /// for the next one; failures during a rest (of requests that had nowhere better to go) do not prolong it.
    pub fn failed(&mut self, now: Instant) -> Option<Duration> {
        if self.is_ejected(now) {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures < EJECT_AFTER_FAILURES && self.rests == 0 {
            return None;
        }
        self.rests = self.rests.saturating_add(1);
        self.failures = 0;
        let rest = rest_length(self.rests);
        self.until = Some(now + rest);
        Some(rest)
    }

    /// Counts a good request. It forgives earlier rests once the origin has been back for as long as the last one took.
    pub fn succeeded(&mut self, now: Instant) {
        self.failures = 0;
        if self
            .until
            .is_some_and(|until| now >= until + rest_length(self.rests))
        {
            *self = Self::default();
        }
    }

    /// Forgets everything: something better than requests has found the origin good.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The length of the n-th rest in a row (from 1): doubled each time, up to [`EJECT_MAX`].
pub fn rest_length(nth: u32) -> Duration {
    let doublings = nth.saturating_sub(1).min(16);
    EJECT_FIRST.saturating_mul(1 << doublings).min(EJECT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_the_longest() {
        for (nth, seconds) in [
            (0, 5),
            (1, 5),
            (2, 10),
            (3, 20),
            (4, 40),
            (5, 80),
            (6, 120),
            (7, 120),
            (u32::MAX, 120),
        ] {
            assert_eq!(rest_length(nth), Duration::from_secs(seconds), "rest {nth}");
        }
    }

    #[test]
    fn failures_in_a_row_eject_and_good_requests_forgive() {
        // (second, request: good or failed, ejected afterwards)
        type Step = (u64, bool, bool);
        let failures = |at: u64, count: u32| (0..count).map(move |_| (at, false, false));
        let until_ejected = |at| {
            failures(at, EJECT_AFTER_FAILURES - 1)
                .chain([(at, false, true)])
                .collect::<Vec<Step>>()
        };
        let cases: Vec<(&str, Vec<Step>)> = vec![
            ("too few", failures(0, EJECT_AFTER_FAILURES - 1).collect()),
            (
                "a good one between",
                failures(0, 4)
                    .chain([(0, true, false)])
                    .chain(failures(0, 4))
                    .collect(),
            ),
            ("enough", until_ejected(0)),
            (
                "a rest ends by itself",
                [until_ejected(0), vec![(5, true, false)]].concat(),
            ),
            (
                "failures in a rest do not prolong it",
                [until_ejected(0), vec![(4, false, true), (5, true, false)]].concat(),
            ),
            (
                "one failure after a rest ejects again",
                [
                    until_ejected(0),
                    vec![(5, false, true), (14, true, true), (15, true, false)],
                ]
                .concat(),
            ),
            (
                "a good time as long as the rest forgives",
                [
                    until_ejected(0),
                    vec![(10, true, false), (10, false, false)],
                ]
                .concat(),
            ),
            (
                "a shorter one does not",
                [until_ejected(0), vec![(9, true, false), (9, false, true)]].concat(),
            ),
        ];
        for (name, steps) in cases {
            let start = Instant::now();
            let mut ejection = Ejection::default();
            for (step, (second, good, ejected)) in steps.into_iter().enumerate() {
                let now = start + Duration::from_secs(second);
                if good {
                    ejection.succeeded(now);
                } else {
                    ejection.failed(now);
                }
                assert_eq!(ejection.is_ejected(now), ejected, "{name}, step {step}");
            }
        }
    }
}
