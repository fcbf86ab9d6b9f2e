//! Whether an origin may be used, and the verdict of active checks. Pure: the checks themselves are in `check`.

use latencify_conf::policy::HealthCheck;

/// Whether an origin is worth a try. Those that are not come last in the steering order; they are never left out, since
/// a doubtful origin is better than none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Health {
    /// Nothing speaks against it.
    Healthy,
    /// Active checks failed.
    Unhealthy,
    /// Requests failed; it rests for a while.
    Ejected,
    /// Its name has no address, and never had one.
    Unresolved,
}

impl Health {
    /// Whether it is to be preferred over those that are not.
    pub fn is_usable(self) -> bool {
        self == Self::Healthy
    }

    /// The name in metrics, records and explanations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Ejected => "ejected",
            Self::Unresolved => "unresolved",
        }
    }
}

/// What active checks have found so far. An origin counts as healthy until they say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checked {
    /// Whether the checks have found it unhealthy.
    pub unhealthy: bool,
    /// Checks in a row that spoke against the present verdict.
    pub against: u32,
}

/// What one more check did to the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// As before.
    Stays,
    /// From healthy to unhealthy.
    Fell,
    /// From unhealthy to healthy.
    Rose,
}

impl Checked {
    /// Counts one more check.
    pub fn record(&mut self, good: bool, rule: &HealthCheck) -> Turn {
        if good != self.unhealthy {
            self.against = 0;
            return Turn::Stays;
        }
        self.against = self.against.saturating_add(1);
        let needed = if self.unhealthy {
            rule.healthy_after
        } else {
            rule.unhealthy_after
        };
        if self.against < needed {
            return Turn::Stays;
        }
        *self = Self {
            unhealthy: !self.unhealthy,
            against: 0,
        };
        if self.unhealthy {
            Turn::Fell
        } else {
            Turn::Rose
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latencify_conf::policy::StatusSet;
    use std::time::Duration;

    fn rule(healthy_after: u32, unhealthy_after: u32) -> HealthCheck {
        HealthCheck {
            path: "/".into(),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            healthy_after,
            unhealthy_after,
            expect: StatusSet(vec![200..=299]),
        }
    }

    #[test]
    fn a_verdict_turns_after_its_number_of_checks_in_a_row() {
        // `+` a good check, `-` a failed one; after each the verdict: `h` healthy, `u` unhealthy.
        let cases = [
            (2, 3, "+++", "hhh"),
            (2, 3, "--+--+--", "hhhhhhhh"),
            (2, 3, "---", "hhu"),
            (2, 3, "----", "hhuu"),
            (2, 3, "---+-++", "hhuuuuh"),
            (2, 3, "---++---", "hhuuhhhu"),
            (1, 1, "-+-+", "uhuh"),
            // Thresholds of zero can't be written; they act like one.
            (0, 0, "-+", "uh"),
        ];
        for (healthy_after, unhealthy_after, checks, verdicts) in cases {
            let rule = rule(healthy_after, unhealthy_after);
            let mut checked = Checked::default();
            let seen: String = checks
                .chars()
                .map(|check| {
                    let before = checked.unhealthy;
                    let turn = checked.record(check == '+', &rule);
                    assert_eq!(turn != Turn::Stays, before != checked.unhealthy);
                    if checked.unhealthy { 'u' } else { 'h' }
                })
                .collect();
            assert_eq!(
                seen, verdicts,
                "{checks} with {healthy_after}/{unhealthy_after}"
            );
        }
    }
}
