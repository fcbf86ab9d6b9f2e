//! What the program says beside its log: on standard output what its operator must copy, on standard error why it ends.

use crate::migrate::Done;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use std::{
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

/// Between two lines of progress, where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(2);

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

/// How far long work has come: a bar on a terminal, else a line now and then, on standard error.
pub struct Progress {
    bar: ProgressBar,
    lines: Option<Mutex<Lines>>,
}

struct Lines {
    what: &'static str,
    of: u64,
    told: Instant,
}

impl Default for Progress {
    fn default() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        let lines = (!std::io::stderr().is_terminal()).then(|| {
            Mutex::new(Lines {
                what: "",
                of: 0,
                told: Instant::now(),
            })
        });
        Self { bar, lines }
    }
}

impl Progress {
    /// A piece of work of so many steps begins.
    pub fn begin(&self, what: &'static str, of: u64) {
        self.bar.set_message(what);
        self.bar.set_length(of);
        self.bar.set_position(0);
        if let Some(lines) = &self.lines {
            *lines.lock() = Lines {
                what,
                of,
                told: Instant::now(),
            };
            say(&format!("{what}: {of} entries"));
        }
    }

    /// So many steps of it are done.
    pub fn at(&self, done: u64) {
        self.bar.set_position(done);
        let Some(lines) = &self.lines else { return };
        let mut lines = lines.lock();
        if lines.told.elapsed() >= LINE_EVERY {
            lines.told = Instant::now();
            say(&format!("{}: {done} of {}", lines.what, lines.of));
        }
    }

    /// It is all done.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// A standard error that is closed can't be told of anything.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Tells how the move of a log ended, and what happens next.
pub fn moved(done: &Done) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match done {
        Done::Already { log, flags } => writeln!(
            out,
            "Nothing to do: the store follows log {log} already. Start control with {flags}"
        )?,
        Done::Moved {
            from,
            to,
            entries,
            place,
            flags,
            old,
        } => {
            writeln!(
                out,
                "Log {from} is now log {to}, in {place}: {entries} entries, folded anew and compared."
            )?;
            if let Some(old) = old {
                writeln!(
                    out,
                    "The old log is marked as moved and is not needed any more: {old}"
                )?;
            }
            writeln!(
                out,
                "Next: start control with {flags}\nEdges then see another log: each fetches what it stores anew, once, and obeys \
                 every purge. Requests with idempotency keys from before are still known as repeats.\nOther replicas of the \
                 old log: stop them, run this with their data folders too, then start them likewise."
            )?;
        }
    }
    out.flush()
}
