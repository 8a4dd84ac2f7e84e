//! `options.csv` as rows: which options each command takes, from the parsers of each MWAA release,
//! and which of them reach into the web server's files.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::names::AirflowVersion;

/// Why an option may not pass.
pub(super) const FILES: &str = "it reaches into the web server's files or process";
const UNLISTED: &str = "MWAA does not run this option at the environment's version";

/// An option that does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Forbidden {
    /// The longest spelling.
    pub(super) option: &'static str,
    pub(super) reason: &'static str,
}

/// One row of `options.csv`.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) command: &'static str,
    /// All spellings, the longest last.
    pub(super) spellings: Vec<&'static str>,
    pub(super) takes_value: bool,
    pub(super) first: AirflowVersion,
    pub(super) last: AirflowVersion,
    pub(super) forbidden: Option<&'static str>,
}

impl Row {
    pub(super) fn verdict(&self) -> Option<Forbidden> {
        let option = self.spellings.last()?;
        self.forbidden.map(|reason| Forbidden { option, reason })
    }
}

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    include_str!("options.csv")
        .lines()
        .skip(1)
        .filter_map(read_row)
        .collect()
});

/// The rows of each command: every request looks here.
static BY_COMMAND: LazyLock<HashMap<&'static str, Vec<&'static Row>>> = LazyLock::new(|| {
    let mut rows: HashMap<_, Vec<_>> = HashMap::new();
    for row in ROWS.iter() {
        rows.entry(row.command).or_default().push(row);
    }
    rows
});

/// The rows of one command, of all releases.
pub(super) fn rows_of(command: &str) -> &'static [&'static Row] {
    BY_COMMAND.get(command).map_or(&[], Vec::as_slice)
}

fn read_row(line: &'static str) -> Option<Row> {
    let mut fields = line.splitn(6, ',');
    Some(Row {
        command: fields.next()?,
        spellings: fields.next()?.split('/').collect(),
        takes_value: match fields.next()? {
            "value" => true,
            "flag" => false,
            _ => return None,
        },
        first: fields.next()?.parse().ok()?,
        last: fields.next()?.parse().ok()?,
        forbidden: match fields.next()? {
            "" => None,
            "file" => Some(FILES),
            "unlisted" => Some(UNLISTED),
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::release::Release;
    use super::super::table::table;
    use super::*;

    #[test]
    fn every_row_is_read_and_belongs_to_a_release() {
        assert_eq!(ROWS.len() + 1, include_str!("options.csv").lines().count());
        for row in ROWS.iter() {
            for version in [row.first, row.last] {
                assert!(
                    Release::all().iter().any(|r| r.version() == version),
                    "{row:?}"
                );
            }
            assert!(row.first <= row.last, "{row:?}");
            assert!(
                row.spellings
                    .iter()
                    .all(|s| s.starts_with('-') && s.len() > 1),
                "{row:?}"
            );
        }
    }

    #[test]
    fn every_command_that_mwaa_runs_has_its_options() {
        // These take none, or none of their own.
        let bare = ["version"];
        for entry in table()
            .entries()
            .filter(|entry| entry.listed && !entry.condition.contains('N'))
        {
            let has = ROWS.iter().any(|row| row.command == entry.command);
            assert!(has || bare.contains(&entry.command), "{}", entry.command);
        }
    }
}
