//! Progress of long work, on stderr; nothing at all when stderr is no terminal.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// Progress that goes away when it is dropped.
pub struct Progress(ProgressBar);

impl Progress {
    /// So many steps; 0 when nobody knows.
    pub fn new(steps: u64) -> Self {
        let bar = if steps == 0 {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::new(steps)
        };
        let template = if steps == 0 {
            "{spinner} {msg} ({elapsed})"
        } else {
            "{spinner} {pos}/{len} {wide_msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    /// So much is done, and this comes next.
    pub fn at(&self, done: u64, next: impl Into<String>) {
        self.0.set_position(done);
        self.0.set_message(next.into());
    }

    /// The number of steps became known or changed.
    pub fn steps(&self, steps: u64) {
        self.0.set_length(steps);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
