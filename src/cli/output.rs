//! The `--output` option of commands that list something, and their table.

use clap::{Args, ValueEnum};
use std::fmt::Write as _;

/// The option, the same for every command.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// The output format
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: OutputFormat,
}

/// A form of output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Text for people
    #[default]
    Table,
    /// JSON, for programs
    Json,
}

/// Formats rows as lines below their headings.
pub(crate) fn format_with_headings<const N: usize>(
    headings: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let headings = [headings.map(str::to_owned)].into_iter();
    format_table(&headings.chain(rows).collect::<Vec<_>>())
}

/// Formats rows as lines; each column is as wide as its widest cell.
pub(crate) fn format_table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }

    let mut text = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        // the last column may be long, and needs no padding
        let line = cells.collect::<Vec<_>>().join("  ");
        // writing to a String does not fail
        let _infallible = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::format_table;

    #[test]
    fn table_columns_fit_their_widest_cell() {
        let rows = [["A", "LONG", "C"], ["é😀", "x", ""]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(format_table(&rows), "A   LONG  C\né😀  x\n");
    }
}
