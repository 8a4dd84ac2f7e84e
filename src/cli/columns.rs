//! Lines of cells, aligned for people.

use std::fmt::Write as _;

/// Each column as wide as its widest cell.
pub(super) fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in lines {
        let cells = line
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        let joined = cells.collect::<Vec<_>>().join("  ");
        // writing to a String does not fail
        let _infallible = writeln!(text, "{}", joined.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::aligned;

    #[test]
    fn columns_are_as_wide_as_what_they_hold() {
        let lines = [["A", "LONG", "C"], ["é😀", "x", ""]];
        let lines = lines.map(|line| line.map(str::to_owned));
        assert_eq!(aligned(&lines), "A   LONG  C\né😀  x\n");
    }
}
