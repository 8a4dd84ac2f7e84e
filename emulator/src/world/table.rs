//! The layout of tables: Airflow's boxed one (rich) and its plain one (tabulate).

use serde_json::Value;

use super::python;

/// The width Airflow's console takes when there is no terminal.
const WIDTH: usize = 200;

/// Draws a table with ` | ` between columns and `=+=` under the header.
///
/// A table wider than 200 columns is wrapped the way rich does it: the widest columns shrink first.
pub(super) fn boxed(columns: &[&str], rows: &[Vec<Value>]) -> String {
    let bars = columns.len().saturating_sub(1);
    let cells = rows.iter().map(|row| row.iter().map(python::str).collect());
    let cells: Vec<Vec<String>> = cells.collect();
    // the padding belongs to a column's width, the bar does not
    let padding = |at: usize| usize::from(at > 0) + usize::from(at < bars);
    let mut widths: Vec<usize> = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let cells = cells.iter().filter_map(|row| row.get(at));
        let lengths = cells.flat_map(|cell| cell.lines()).map(length);
        widths.push(lengths.fold(length(column), usize::max) + padding(at));
    }
    shrink(&mut widths, WIDTH.saturating_sub(bars));

    let inner = widths.iter().enumerate();
    let inner = inner.map(|(at, width)| width.saturating_sub(padding(at)).max(1));
    let inner: Vec<usize> = inner.collect();
    let rule = inner.iter().enumerate();
    let rule: Vec<String> = rule
        .map(|(at, width)| "=".repeat(width + padding(at)))
        .collect();
    let rule = rule.join("+");
    let mut out = draw(columns.iter().copied(), &inner, true);
    out.push_str(&rule);
    out.push('\n');
    for row in &cells {
        out.push_str(&draw(row.iter().map(String::as_str), &inner, false));
    }
    // the caption: one blank line as wide as the table
    out.push_str(&" ".repeat(rule.len()));
    out.push('\n');
    out
}

/// Draws one row of cells, each of one or more lines; a header is at the bottom of its row.
fn draw<'a>(cells: impl Iterator<Item = &'a str>, widths: &[usize], bottom: bool) -> String {
    let cells = cells.zip(widths).map(|(cell, width)| wrap(cell, *width));
    let cells: Vec<Vec<String>> = cells.collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(1);
    let mut out = String::new();
    for line in 0..height {
        let parts = cells.iter().zip(widths).map(|(cell, width)| {
            let skipped = if bottom { height - cell.len() } else { 0 };
            let text = line.checked_sub(skipped).and_then(|at| cell.get(at));
            format!("{:width$}", text.map_or("", String::as_str))
        });
        let parts: Vec<String> = parts.collect();
        out.push_str(&parts.join(" | "));
        out.push('\n');
    }
    out
}

/// Takes width from the widest columns until the sum fits.
fn shrink(widths: &mut [usize], limit: usize) {
    loop {
        let excess = widths.iter().sum::<usize>().saturating_sub(limit);
        let widest = widths.iter().copied().max().unwrap_or(0);
        let others = widths.iter().copied().filter(|width| *width != widest);
        let second = others.max().unwrap_or(0);
        if excess == 0 || widest <= 1 {
            return;
        }
        let step = excess.min(widest - second);
        let mut sharing = widths.iter().filter(|width| **width == widest).count();
        let mut remaining = excess;
        for width in widths.iter_mut().filter(|width| **width == widest) {
            let share = step.min(round_half_even(remaining, sharing));
            *width -= share;
            remaining -= share;
            sharing -= 1;
        }
    }
}

/// `round(total / parts)` as Python rounds: halves to the even neighbour.
const fn round_half_even(total: usize, parts: usize) -> usize {
    let (whole, rest) = (total / parts, total % parts);
    let up = rest * 2 > parts || (rest * 2 == parts && whole % 2 == 1);
    whole + up as usize
}

/// Breaks a text into lines no wider than `width`: between words, within a word only if it must.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for source in text.split('\n') {
        let mut line = String::new();
        for word in source.split_inclusive(' ') {
            if length(&line) + length(word.trim_end()) <= width {
                line.push_str(word);
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for letter in word.chars() {
                if length(&line) == width && letter != ' ' {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(letter);
            }
        }
        lines.push(line);
    }
    let lines = lines.into_iter();
    lines
        .map(|line| line.chars().take(width).collect())
        .collect()
}

/// Lays rows out under headers with two spaces between columns; whole numbers are aligned to the right.
pub(super) fn plain(columns: &[&str], rows: &[Vec<Value>]) -> String {
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        other => python::str(other),
    };
    let header = columns.iter().map(|column| (*column).to_owned()).collect();
    let body = rows.iter().map(|row| row.iter().map(cell).collect());
    let lines: Vec<Vec<String>> = std::iter::once(header).chain(body).collect();
    let mut out = vec![String::new(); lines.len()];
    for (at, column) in columns.iter().enumerate() {
        let cells: Vec<&str> = lines
            .iter()
            .filter_map(|line| line.get(at))
            .map(String::as_str)
            .collect();
        let mut filled = cells
            .iter()
            .skip(1)
            .filter(|text| !text.is_empty())
            .peekable();
        let numeric = filled.peek().is_some() && filled.all(|text| text.parse::<i64>().is_ok());
        // tabulate gives every header two columns to spare
        let width = cells
            .iter()
            .map(|text| length(text))
            .fold(length(column) + 2, usize::max);
        for (line, text) in out.iter_mut().zip(cells) {
            let gap = if at == 0 { "" } else { "  " };
            // not by the formatter, whose widths end at 65535
            let pad = " ".repeat(width - length(text));
            let (before, after) = if numeric { (&*pad, "") } else { ("", &*pad) };
            line.extend([gap, before, text, after]);
        }
    }
    let lines = out.iter().map(|line| line.trim_end());
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn length(text: &str) -> usize {
    text.chars().count()
}
