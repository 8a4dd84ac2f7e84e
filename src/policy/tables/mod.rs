//! The tables that the policy decides by: CSV files that are compiled into the program. The
//! submodules are those tables that several parts of the policy read.
//!
//! | file | one row for each | read by |
//! | --- | --- | --- |
//! | `commands.csv` | command of any Airflow | [`commands`] |
//! | `successors.csv` | command that got another name | [`commands`] |
//! | `options.csv` | argument of a command | [`arguments`] |
//! | `alternatives.csv` | command or option that is about a file | this module |
//! | `option_rules.csv` | option, whether it may be given | [`arguments`] |
//! | `confirmations.csv` | command that asks before it acts | `options/mod.rs` |
//! | `flag_style.csv` | option that named a command in Airflow 1.10 | `command/hints.rs` |
//! | `paths.csv` | path of the REST API or the UI | `web/paths.rs` |

pub(crate) mod arguments;
pub(crate) mod commands;

/// Returns the rows of a table without its header, each as its `N` columns.
///
/// Nothing is quoted. The last column is the rest of the line, so it may contain commas. A row
/// with fewer columns is left out: the tests of each table check that there is none.
pub(crate) fn read_rows<const N: usize>(
    csv: &'static str,
) -> impl Iterator<Item = [&'static str; N]> {
    csv.lines().skip(1).filter_map(|line| {
        // The text lives as long as the program, so the columns are slices of it and no copies.
        let mut columns = line.splitn(N, ',');
        let mut row = [""; N];
        for column in &mut row {
            *column = columns.next()?;
        }
        Some(row)
    })
}

/// Returns what to do instead of a command, or of one with an option (`pool --export`), that
/// would read or write a file on the web server. `None` if nothing better is known.
pub(crate) fn find_alternative(command: &str) -> Option<&'static str> {
    // A dozen rows, and only for an error: an index would cost more than it saves.
    read_rows(include_str!("alternatives.csv"))
        .find_map(|[name, alternative]| (name == command).then_some(alternative))
}
