//! What the program says beside its log: on standard output what its operator must copy, on standard error why it ends.

use std::io::Write as _;

/// Tells a token, the only time that it can be told.
pub fn token(purpose: &str, text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{purpose} token (shown once, keep it): {text}")?;
    out.flush()
}

/// Tells why the program ends, with every cause, on one line. A standard error that is closed can't be told of anything.
pub fn error(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr().lock(), "error: {error:#}");
}
