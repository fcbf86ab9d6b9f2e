//! Rollouts in words, for people.

use super::judge::Wait;

/// Limits of gates.
pub mod gates_in_words {
    /// `at most 1%`.
    pub fn at_most_share(ppm: u32) -> String {
        format!("at most {}%", f64::from(ppm) / 10_000.0)
    }

    /// `at least 80%`.
    pub fn at_least_share(ppm: u32) -> String {
        format!("at least {}%", f64::from(ppm) / 10_000.0)
    }
}

/// What a rollout waits for.
pub fn waits_in_words(wait: &Wait, soak_ms: u64) -> String {
    match wait {
        Wait::Paused => "it is paused".to_owned(),
        Wait::Soaking(past) => format!(
            "soaking for {:.0} of {} s",
            past.as_secs_f64(),
            soak_ms as f64 / 1_000.0
        ),
        Wait::Unsettled(late) => {
            let named: Vec<_> = late
                .iter()
                .take(3)
                .map(|(edge, why)| format!("{edge} {why}"))
                .collect();
            let more = match late.len().saturating_sub(named.len()) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("waiting for edges: {}{more}", named.join(", "))
        }
    }
}
