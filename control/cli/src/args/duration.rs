//! How long a command waits, written as policies write durations.

use latencify_conf::document::text::{self, Text as _};
use std::time::Duration;

/// The longest that a command may be told to wait.
const WAIT_MAX: Duration = Duration::from_hours(24);

/// Reads a duration.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text::Duration(duration) = text::Duration::parse(text).map_err(|flaw| flaw.to_string())?;
    if duration > WAIT_MAX {
        return Err(format!("a command waits a day at most, not {text}"));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_in_policies_and_have_an_end() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for (text, says) in [
            ("", "is not a duration"),
            ("30", "has no unit"),
            ("-1s", "negative"),
            ("1.5s", "only whole numbers"),
            ("25h", "a day at most"),
            ("3651d", "longer than ten years"),
            ("99999999999999999999s", "too large"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
