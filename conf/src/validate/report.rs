//! The errors of one bundle, and how they look to people.

use super::tree::{NodeId, Place, Tree};
use crate::{api::PolicyError, bundle::File, document::text::Flaw};
use std::{collections::HashSet, fmt::Write as _, ops::RangeInclusive};

/// The most errors that are told at once; the rest is counted.
pub(super) const ERRORS_MAX: usize = 1_000;
/// The most characters of a line that an error shows.
const SNIPPET_CHARS_MAX: usize = 200;
/// The most characters of a message, a help and a path: they may quote what is written.
const WORDS_CHARS_MAX: usize = 500;

/// Collects errors until all is checked.
pub(super) struct Report<'b> {
    files: &'b [File],
    found: Vec<(Place, PolicyError)>,
    untold: usize,
    /// Lines (file, line) that hold a secret and are never shown.
    hidden: HashSet<(usize, usize)>,
}

impl<'b> Report<'b> {
    /// No errors yet.
    pub(super) fn new(files: &'b [File]) -> Self {
        Self {
            files,
            found: Vec::new(),
            untold: 0,
            hidden: HashSet::new(),
        }
    }

    /// Adds an error.
    pub(super) fn add(&mut self, place: Place, path: String, flaw: Flaw) {
        if self.found.len() >= ERRORS_MAX {
            self.untold += 1;
            return;
        }
        let error = PolicyError {
            file: self.file_name(place.file).to_owned(),
            line: place.line,
            column: place.column,
            path: shorten(&path, WORDS_CHARS_MAX),
            message: shorten(&flaw.message, WORDS_CHARS_MAX),
            help: flaw.help.map(|help| shorten(&help, WORDS_CHARS_MAX)),
            snippet: None,
        };
        self.found.push((place, error));
    }

    /// Adds an error of a node.
    pub(super) fn add_at(&mut self, tree: &Tree, id: NodeId, flaw: Flaw) {
        self.add(tree.node(id).place, tree.path(id), flaw);
    }

    /// Keeps lines with a secret out of snippets.
    pub(super) fn hide(&mut self, file: usize, lines: RangeInclusive<usize>) {
        self.hidden.extend(lines.map(|line| (file, line)));
    }

    /// The name of a file.
    pub(super) fn file_name(&self, file: usize) -> &str {
        self.files.get(file).map_or("", |file| &file.name)
    }

    /// A place as other errors speak of it: `shop.yaml:3`.
    pub(super) fn name_place(&self, place: Place) -> String {
        format!("{}:{}", self.file_name(place.file), place.line)
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All errors in the order of files and lines, with their lines.
    pub(super) fn finish(mut self) -> Vec<PolicyError> {
        self.found
            .sort_by_key(|(place, _)| (place.file, place.line, place.column));
        let wanted: HashSet<(usize, usize)> = self
            .found
            .iter()
            .map(|(place, _)| (place.file, place.line))
            .collect();
        for (index, file) in self.files.iter().enumerate() {
            for (line, text) in (1..).zip(lines(&file.text)) {
                if !wanted.contains(&(index, line)) || self.hides(index, line, text) {
                    continue;
                }
                let first = self
                    .found
                    .partition_point(|(place, _)| (place.file, place.line) < (index, line));
                let same = self.found.iter_mut().skip(first);
                for (_, error) in
                    same.take_while(|(place, _)| (place.file, place.line) == (index, line))
                {
                    error.snippet = Some(shorten(text, SNIPPET_CHARS_MAX));
                }
            }
        }
        let mut errors: Vec<_> = self.found.into_iter().map(|(_, error)| error).collect();
        if let (true, Some(last)) = (self.untold > 0, errors.last()) {
            let message = format!("and {} more errors", self.untold);
            errors.push(PolicyError {
                message,
                help: None,
                snippet: None,
                ..last.clone()
            });
        }
        errors
    }

    fn hides(&self, file: usize, line: usize, text: &str) -> bool {
        // A file that is not YAML has no keys to go by.
        self.hidden.contains(&(file, line))
            || text.contains("secret:")
            || text.contains("PRIVATE KEY")
    }
}

/// The errors as text for people, as compilers show them: message, place, line with a caret, help.
///
/// ```text
/// error: unknown key `originss`
///   --> shop.yaml:7:5 (sites.shop.originss)
///    |
///  7 |     originss: [paris]
///    |     ^
///    = help: did you mean `origins`?
/// ```
pub fn render(errors: &[PolicyError]) -> String {
    let mut out = String::new();
    for error in errors {
        // Writing to a String can't fail.
        let _ = render_one(&mut out, error);
    }
    let plural = if errors.len() == 1 { "" } else { "s" };
    let _ = writeln!(out, "{} error{plural}", errors.len());
    out
}

fn render_one(out: &mut String, error: &PolicyError) -> std::fmt::Result {
    writeln!(out, "error: {}", error.message)?;
    let gutter = error.line.to_string().len().max(2);
    let path = if error.path.is_empty() {
        String::new()
    } else {
        format!(" ({})", error.path)
    };
    match error.line {
        0 if error.file.is_empty() => {}
        0 => writeln!(out, "{:gutter$}--> {}{path}", "", error.file)?,
        line => writeln!(
            out,
            "{:gutter$}--> {}:{line}:{}{path}",
            "", error.file, error.column
        )?,
    }
    if let Some(snippet) = &error.snippet {
        writeln!(out, "{:gutter$} |", "")?;
        writeln!(
            out,
            "{:>gutter$} | {}",
            error.line,
            snippet.replace('\t', " ")
        )?;
        if error.column <= snippet.chars().count().max(1) {
            writeln!(
                out,
                "{:gutter$} | {:>column$}",
                "",
                "^",
                column = error.column
            )?;
        }
    }
    if let Some(help) = &error.help {
        writeln!(out, "{:gutter$} = help: {help}", "")?;
    }
    writeln!(out)
}

/// The lines of a text by YAML's line breaks (YAML 1.2.2 §5.4).
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

fn shorten(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
