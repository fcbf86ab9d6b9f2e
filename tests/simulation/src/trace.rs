//! What happened, as a hash always and as text when somebody wants to read it.

use crate::random::mix;
use std::{fmt::Write as _, time::Duration};

/// What happened.
#[derive(Debug, Default)]
pub struct Trace {
    hash: u64,
    lines: u64,
    text: Option<String>,
}

impl Trace {
    /// A trace that keeps its text, or only its hash.
    pub fn new(keeps_text: bool) -> Self {
        Self {
            text: keeps_text.then(String::new),
            ..Self::default()
        }
    }

    /// Something happened. `numbers` tell it apart for the hash, `text` tells it to people.
    pub fn tell(
        &mut self,
        at: Duration,
        what: &'static str,
        numbers: &[u64],
        text: impl FnOnce() -> String,
    ) {
        self.lines += 1;
        self.add(at.as_micros() as u64);
        for byte in what.bytes() {
            self.hash = self.hash.rotate_left(5) ^ u64::from(byte);
        }
        for number in numbers {
            self.add(*number);
        }
        if let Some(lines) = &mut self.text {
            let _ = writeln!(lines, "{:>12.6}  {what:<18} {}", at.as_secs_f64(), text());
        }
    }

    /// Two runs with the same hash went the same way.
    pub fn hash(&self) -> u64 {
        mix(self.hash ^ self.lines)
    }

    /// What happened, for people; empty unless it was kept.
    pub fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    fn add(&mut self, number: u64) {
        self.hash = mix(self.hash ^ number);
    }
}
