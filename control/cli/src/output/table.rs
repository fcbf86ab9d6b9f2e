//! Tables: ruled on a terminal, plain columns when piped.

use super::printable;
use comfy_table::{ContentArrangement, presets};
use std::fmt;

/// A table under construction.
pub struct Table(comfy_table::Table);

impl Table {
    /// A table with this header.
    pub fn new(header: &[&str], terminal: bool) -> Self {
        let mut table = comfy_table::Table::new();
        table
            .load_preset(if terminal {
                presets::UTF8_HORIZONTAL_ONLY
            } else {
                presets::NOTHING
            })
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(header.iter().map(|title| title.to_uppercase()));
        if !terminal {
            // No space before the first column, two between columns.
            table.column_iter_mut().for_each(|column| {
                column.set_padding((0, 2));
            });
        }
        Self(table)
    }

    /// One more row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.add_row(
            cells
                .iter()
                .map(|cell| printable(cell).replace(['\n', '\t'], " ")),
        );
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .trim_fmt()
            .lines()
            .try_for_each(|line| writeln!(f, "{}", line.trim_end()))
    }
}
