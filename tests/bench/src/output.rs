//! The only place from which this program speaks.

use std::io::{self, Write as _};

/// A result: standard output.
pub fn say(line: &str) {
    // Whoever reads it may have gone.
    let _ = writeln!(io::stdout(), "{line}");
}

/// Progress: standard error.
pub fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// What went wrong: standard error.
pub fn warn(line: &str) {
    let _ = writeln!(io::stderr(), "bench: {line}");
}
