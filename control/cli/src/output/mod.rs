//! The only place that writes to the terminal: answers to stdout in the format that was asked for, everything else to stderr.

mod diagnostic;
mod progress;
mod table;

pub use progress::Progress;
pub use table::Table;

use crate::failure::Failure;
use serde::Serialize;
use std::io::{ErrorKind, IsTerminal as _, Stderr, Stdout, stderr, stdout};

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people: aligned columns.
    #[default]
    Table,
    /// For programs: one JSON document.
    Json,
    /// For both.
    Yaml,
}

/// Where a command's words go.
#[derive(Debug)]
pub struct Output {
    format: Format,
    answers: Stdout,
    remarks: Stderr,
}

impl Output {
    /// An output in this format.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            answers: stdout(),
            remarks: stderr(),
        }
    }

    /// The answer of a command: the whole value for programs, what `people` makes of it for people.
    pub fn answer<T: Serialize>(
        &self,
        value: &T,
        people: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let unwritable = |error: &dyn std::fmt::Display| {
            Failure::failed(format!("the answer can't be written: {error}"))
        };
        let text = match self.format {
            Format::Table => people(value),
            Format::Json => {
                serde_json::to_string_pretty(value).map_err(|error| unwritable(&error))?
            }
            Format::Yaml => serde_saphyr::to_string(value).map_err(|error| unwritable(&error))?,
        };
        self.text(&text)
    }

    /// Whether answers are for people rather than for programs.
    pub fn is_for_people(&self) -> bool {
        self.format == Format::Table
    }

    /// Text for stdout, as it is; a line break is added unless it ends in one. A reader that has gone (`| head`) is no
    /// error of ours; a disk that is full is one.
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        match write(&mut self.answers.lock(), text) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::failed(format!(
                "the answer can't be written to stdout: {error}"
            ))),
            _ => Ok(()),
        }
    }

    /// A remark for people, beside the answer.
    pub fn note(&self, text: &str) {
        let _ = write(&mut self.remarks.lock(), text);
    }

    /// Why the command ends without success.
    pub fn failure(&self, failure: &Failure) {
        let text = match (self.format, failure) {
            (_, Failure::Answered) => return,
            (Format::Json, Failure::Refused(problem)) => {
                serde_json::to_string_pretty(problem).unwrap_or_default()
            }
            (_, failure) => diagnostic::failure(failure),
        };
        let _ = write(&mut self.remarks.lock(), &text);
    }

    /// A table in the style that suits stdout.
    pub fn table(&self, header: &[&str]) -> Table {
        Table::new(header, self.answers.is_terminal())
    }
}

/// A remark for people while a command waits.
pub fn remark(text: &str) {
    let _ = write(&mut stderr().lock(), &printable(text));
}

fn write(to: &mut dyn std::io::Write, text: &str) -> std::io::Result<()> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    write!(to, "{text}{end}").and_then(|()| to.flush())
}

/// An RFC 3339 time to the second: people compare lines, not nanoseconds.
pub fn to_the_second(at: &str) -> String {
    let Some((seconds, rest)) = at.split_once('.') else {
        return at.to_owned();
    };
    format!(
        "{seconds}{}",
        rest.trim_start_matches(|c: char| c.is_ascii_digit())
    )
}

/// Text from elsewhere, without the control characters that would steer a terminal.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_to_the_second() {
        let cases = [
            ("2026-11-23T03:38:16.908311429Z", "2026-11-23T03:38:16Z"),
            ("2026-11-23T03:38:16.9+01:00", "2026-11-23T03:38:16+01:00"),
            ("2026-11-23T03:38:16Z", "2026-11-23T03:38:16Z"),
            ("", ""),
        ];
        for (at, shown) in cases {
            assert_eq!(to_the_second(at), shown);
        }
    }
}
