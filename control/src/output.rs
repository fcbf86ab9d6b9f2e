//! What the program says on standard output: only what its operator must copy.

use std::io::Write as _;

/// Tells a token, the only time that it can be told.
pub fn token(purpose: &str, text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{purpose} token (shown once, keep it): {text}")?;
    out.flush()
}
