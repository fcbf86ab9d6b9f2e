//! An edge that runs something else than its target, and does not say why: it is shown, and told its target again. Pure.

use std::time::Duration;

/// An edge may take so long to run what it was told before it is told again.
pub const AFTER: Duration = Duration::from_secs(30);
/// It is told again so often, each time after as long; then it is only shown.
pub const TIMES_MAX: u32 = 5;

/// What was done about one edge's drift on one stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mending {
    since: Option<Duration>,
    told: u32,
}

impl Mending {
    /// Whether the edge is to be told its target again now.
    pub fn is_due(&mut self, has_drifted: bool, now: Duration) -> bool {
        if !has_drifted {
            *self = Self::default();
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let is_due = self.told < TIMES_MAX && now.saturating_sub(since) >= AFTER * (self.told + 1);
        self.told += u32::from(is_due);
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_that_drifts_is_told_a_few_times_and_anew_when_it_has_come_back() {
        let mut mending = Mending::default();
        let mut told = |drifts: bool, seconds: std::ops::Range<u64>| -> Vec<u64> {
            let looks =
                seconds.filter(|second| mending.is_due(drifts, Duration::from_secs(*second)));
            looks.collect()
        };
        assert_eq!(told(true, 0..1_000), [30, 60, 90, 120, 150], "bounded");
        assert_eq!(told(false, 1_000..2_000), [0; 0]);
        assert_eq!(told(true, 2_000..2_100), [2_030, 2_060, 2_090]);
    }
}
