//! The only place that writes to the terminal: answers to stdout in the format that was asked for, everything else to stderr.

mod diagnostic;
mod progress;
mod table;

pub use progress::Progress;
pub use table::Table;

use crate::failure::Failure;
use serde::Serialize;
use std::io::{IsTerminal as _, Stderr, Stdout, stderr, stdout};

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
        self.text(&text);
        Ok(())
    }

    /// Whether answers are for people rather than for programs.
    pub fn is_for_people(&self) -> bool {
        self.format == Format::Table
    }

    /// Text for stdout, as it is; a line break is added unless it ends in one.
    pub fn text(&self, text: &str) {
        write(&mut self.answers.lock(), text);
    }

    /// A remark for people, beside the answer.
    pub fn note(&self, text: &str) {
        write(&mut self.remarks.lock(), text);
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
        write(&mut self.remarks.lock(), &text);
    }

    /// A table in the style that suits stdout.
    pub fn table(&self, header: &[&str]) -> Table {
        Table::new(header, self.answers.is_terminal())
    }
}

/// A reader that has gone (`| head`) is no error of ours.
fn write(to: &mut dyn std::io::Write, text: &str) {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let _ = write!(to, "{text}{end}").and_then(|()| to.flush());
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
