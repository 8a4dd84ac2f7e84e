//! The layout of tables: Airflow's boxed one (rich) and its plain one (tabulate).

use serde_json::Value;

use super::python;

/// The width Airflow's console takes when there is no terminal.
const WIDTH: usize = 200;

/// Draws a table with ` | ` between columns and `=+=` under the header.
///
/// A table wider than 200 columns is wrapped the way rich does it: the widest columns shrink first.
pub(super) fn boxed(columns: &[&str], rows: &[Vec<String>]) -> String {
    let count = columns.len();
    // the padding belongs to a column's width, the bar does not
    let padding = |at: usize| usize::from(at > 0) + usize::from(at + 1 < count);
    let mut widths: Vec<usize> = Vec::with_capacity(count);
    for (at, column) in columns.iter().enumerate() {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(at))
            .flat_map(|cell| cell.lines());
        let widest = cells.map(length).fold(length(column), usize::max);
        widths.push(widest + padding(at));
    }
    shrink(&mut widths, WIDTH.saturating_sub(count.saturating_sub(1)));

    let inner: Vec<usize> = widths
        .iter()
        .enumerate()
        .map(|(at, width)| width.saturating_sub(padding(at)).max(1))
        .collect();
    let mut out = String::new();
    let header: Vec<Vec<String>> = columns
        .iter()
        .zip(&inner)
        .map(|(column, width)| wrap(column, *width))
        .collect();
    draw(&mut out, &header, &inner, true);
    let rule: Vec<String> = inner
        .iter()
        .enumerate()
        .map(|(at, width)| "=".repeat(width + padding(at)))
        .collect();
    out.push_str(&rule.join("+"));
    out.push('\n');
    for row in rows {
        let cells: Vec<Vec<String>> = row
            .iter()
            .zip(&inner)
            .map(|(cell, width)| wrap(cell, *width))
            .collect();
        draw(&mut out, &cells, &inner, false);
    }
    // the caption: one blank line as wide as the table
    out.push_str(
        &" ".repeat(rule.iter().map(String::len).sum::<usize>() + rule.len().saturating_sub(1)),
    );
    out.push('\n');
    out
}

/// Draws one row of cells, each of one or more lines; a header is at the bottom of its row.
fn draw(out: &mut String, cells: &[Vec<String>], widths: &[usize], bottom: bool) {
    let height = cells.iter().map(Vec::len).max().unwrap_or(1);
    for line in 0..height {
        let parts: Vec<String> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| {
                let skipped = if bottom { height - cell.len() } else { 0 };
                let text = line.checked_sub(skipped).and_then(|at| cell.get(at));
                pad(text.map_or("", String::as_str), *width)
            })
            .collect();
        out.push_str(&parts.join(" | "));
        out.push('\n');
    }
}

/// Takes width from the widest columns until the sum fits.
fn shrink(widths: &mut [usize], limit: usize) {
    loop {
        let excess = widths.iter().sum::<usize>().saturating_sub(limit);
        let widest = widths.iter().copied().max().unwrap_or(0);
        let second = widths
            .iter()
            .copied()
            .filter(|width| *width != widest)
            .max()
            .unwrap_or(0);
        if excess == 0 || widest <= 1 || widest == second {
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
    if rest * 2 > parts || (rest * 2 == parts && whole % 2 == 1) {
        whole + 1
    } else {
        whole
    }
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
    lines
        .into_iter()
        .map(|line| line.chars().take(width).collect())
        .collect()
}

/// Lays rows out under headers with two spaces between columns; whole numbers are aligned to the right.
pub(super) fn plain(columns: &[&str], rows: &[Vec<Value>]) -> String {
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        other => python::str(other),
    };
    let layout: Vec<(usize, bool)> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let cells: Vec<String> = rows
                .iter()
                .filter_map(|row| row.get(at))
                .map(cell)
                .collect();
            let filled = || cells.iter().filter(|text| !text.is_empty());
            let numeric =
                filled().count() > 0 && filled().all(|text| text.parse::<i64>().is_ok());
            // tabulate gives every header two columns to spare
            let width = cells
                .iter()
                .map(|text| length(text))
                .fold(length(column) + 2, usize::max);
            (width, numeric)
        })
        .collect();
    let header = columns.iter().map(|column| (*column).to_owned()).collect();
    let body = rows.iter().map(|row| row.iter().map(cell).collect());
    let mut out = String::new();
    for line in std::iter::once::<Vec<String>>(header).chain(body) {
        let parts: Vec<String> = line
            .iter()
            .zip(&layout)
            .map(|(text, (width, numeric))| {
                if *numeric {
                    format!("{}{text}", " ".repeat(width.saturating_sub(length(text))))
                } else {
                    pad(text, *width)
                }
            })
            .collect();
        out.push_str(parts.join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(length(text))))
}
