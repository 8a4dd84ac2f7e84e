//! `options.csv` as rows: which arguments each command takes, from the parsers of each MWAA
//! release. `tests/real/airflow_options.py` writes the file.

use super::release::Release;
use crate::names::AirflowVersion;
use std::collections::HashMap;
use std::sync::LazyLock;

/// How many values an argument takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Takes {
    /// None.
    Flag,
    /// One or none.
    Optional,
    /// One or more.
    Several,
    /// One.
    Value,
}

/// One row of `options.csv`.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) command: &'static str,
    /// All spellings of an option; none of a positional argument.
    pub(super) spellings: Vec<&'static str>,
    /// The last spelling, which is the longest; of a positional argument its name.
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    pub(super) required: bool,
    pub(super) first: AirflowVersion,
    pub(super) last: AirflowVersion,
}

impl Row {
    /// `-h/--help`, which the file leaves out: every command has it.
    pub(super) fn help() -> Self {
        Self {
            command: "",
            spellings: vec!["-h", "--help"],
            name: "--help",
            takes: Takes::Flag,
            required: false,
            first: AirflowVersion::new(0, 0, 0),
            last: AirflowVersion::new(u16::MAX, 0, 0),
        }
    }

    /// Whether the release's parser has it.
    pub(super) fn covers(&self, release: &Release) -> bool {
        let version = release.version();
        self.first <= version && version <= self.last
    }

    /// Whether this is the option's spelling, or one of them.
    pub(super) fn is_spelled(&self, word: &str) -> bool {
        self.spellings.contains(&word)
    }
}

/// The rows of one command.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) options: Vec<Row>,
    pub(super) positional: Vec<Row>,
}

static BY_COMMAND: LazyLock<HashMap<&'static str, Arguments>> = LazyLock::new(|| {
    let mut commands: HashMap<_, Arguments> = HashMap::new();
    for row in rows() {
        let arguments = commands.entry(row.command).or_default();
        if row.spellings.is_empty() {
            arguments.positional.push(row);
        } else {
            arguments.options.push(row);
        }
    }
    commands
});

static NONE: Arguments = Arguments {
    options: Vec::new(),
    positional: Vec::new(),
};

/// The arguments of one command, of all releases; none of a command that takes none.
pub(super) fn arguments_of(command: &str) -> &'static Arguments {
    BY_COMMAND.get(command).unwrap_or(&NONE)
}

fn rows() -> impl Iterator<Item = Row> {
    include_str!("options.csv")
        .lines()
        .skip(1)
        .filter_map(read_row)
}

fn read_row(line: &'static str) -> Option<Row> {
    let mut fields = line.splitn(6, ',');
    let command = fields.next()?;
    let spellings: Vec<_> = fields.next()?.split('/').collect();
    let name = *spellings.last()?;
    Some(Row {
        command,
        spellings: if name.starts_with('-') {
            spellings
        } else {
            Vec::new()
        },
        name,
        takes: match fields.next()? {
            "flag" => Takes::Flag,
            "optional" => Takes::Optional,
            "several" => Takes::Several,
            "value" => Takes::Value,
            _ => return None,
        },
        required: match fields.next()? {
            "required" => true,
            "" => false,
            _ => return None,
        },
        first: fields.next()?.parse().ok()?,
        last: fields.next()?.parse().ok()?,
    })
}

/// Every option of every command.
#[cfg(test)]
pub(super) fn all_rows() -> impl Iterator<Item = &'static Row> {
    BY_COMMAND.values().flat_map(|arguments| &arguments.options)
}

#[cfg(test)]
mod tests {
    use super::super::table::table;
    use super::*;

    #[test]
    fn every_row_is_read_and_belongs_to_a_release() {
        assert_eq!(
            rows().count() + 1,
            include_str!("options.csv").lines().count()
        );
        for row in rows() {
            for version in [row.first, row.last] {
                let known = Release::all().iter().any(|r| r.version() == version);
                assert!(known, "{row:?}");
            }
            assert!(row.first <= row.last, "{row:?}");
            assert!(
                row.spellings
                    .iter()
                    .all(|s| s.starts_with('-') && s.len() > 1),
                "{row:?}"
            );
            // the reader takes no option for a negative number
            let digit = |s: &&str| s.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
            assert!(!row.spellings.iter().any(digit), "{row:?}");
            assert!(table().entry(row.command).is_some(), "{row:?}");
        }
    }

    #[test]
    fn every_command_that_mwaa_runs_has_its_arguments() {
        // These take none.
        let bare = ["version"];
        for entry in table()
            .entries()
            .filter(|entry| entry.listed && !entry.condition.contains('N'))
        {
            let arguments = arguments_of(entry.command);
            let has = !arguments.options.is_empty() || !arguments.positional.is_empty();
            assert!(has || bare.contains(&entry.command), "{}", entry.command);
        }
    }
}
