//! The arguments that each command takes at each release, as Airflow's own parsers have them.
//! `tests/real/airflow_options.py` writes the file, `options.csv`.

use super::commands::Release;
use super::read_rows;
use mwaa_model::AirflowVersion;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The number of values that an argument takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueKind {
    /// No value.
    Flag,
    /// One value or none.
    Optional,
    /// One value or more.
    Several,
    /// One value.
    Value,
}

/// Returns the arguments of one command at all releases; none for a command that takes none.
pub(crate) fn find_arguments(command: &str) -> &'static CommandArguments {
    BY_COMMAND.get(command).unwrap_or(&NONE)
}

/// The arguments of one command.
#[derive(Debug, Default)]
pub(crate) struct CommandArguments {
    pub(crate) options: Vec<ArgumentEntry>,
    pub(crate) positional: Vec<ArgumentEntry>,
}

/// One argument of one command: a row of `options.csv`.
#[derive(Debug)]
pub(crate) struct ArgumentEntry {
    pub(crate) command: &'static str,
    /// All spellings of an option; empty for a positional argument.
    pub(crate) spellings: Vec<&'static str>,
    /// The last spelling, which is the longest; for a positional argument its name.
    pub(crate) name: &'static str,
    pub(crate) takes: ValueKind,
    pub(crate) required: bool,
    pub(crate) first: AirflowVersion,
    pub(crate) last: AirflowVersion,
}

impl ArgumentEntry {
    fn from_row(row: [&'static str; 6]) -> Option<Self> {
        let [command, argument, takes, required, first, last] = row;
        // `-o/--output` is an option with two spellings, `DAG_ID` is positional.
        let spellings: Vec<_> = argument.split('/').collect();
        let name = *spellings.last()?;

        Some(Self {
            command,
            spellings: if name.starts_with('-') {
                spellings
            } else {
                Vec::new()
            },
            name,
            takes: match takes {
                "flag" => ValueKind::Flag,
                "optional" => ValueKind::Optional,
                "several" => ValueKind::Several,
                "value" => ValueKind::Value,
                _ => return None,
            },
            required: match required {
                "required" => true,
                "" => false,
                _ => return None,
            },
            first: first.parse().ok()?,
            last: last.parse().ok()?,
        })
    }

    /// Returns `-h/--help`, which every command takes and the file leaves out.
    pub(crate) fn help() -> Self {
        Self {
            command: "",
            spellings: vec!["-h", "--help"],
            name: "--help",
            takes: ValueKind::Flag,
            required: false,
            first: AirflowVersion::new(0, 0, 0),
            last: AirflowVersion::new(u16::MAX, 0, 0),
        }
    }

    /// Returns true if the command takes the argument at the release.
    pub(crate) fn is_in(&self, release: &Release) -> bool {
        let version = release.version();
        self.first <= version && version <= self.last
    }

    /// Returns true if the word is one of the option's spellings.
    pub(crate) fn is_spelled(&self, word: &str) -> bool {
        self.spellings.contains(&word)
    }
}

/// Returns every option of every command.
#[cfg(test)]
pub(crate) fn all_options() -> impl Iterator<Item = &'static ArgumentEntry> {
    BY_COMMAND.values().flat_map(|arguments| &arguments.options)
}

fn read_entries() -> impl Iterator<Item = ArgumentEntry> {
    read_rows(include_str!("options.csv")).filter_map(ArgumentEntry::from_row)
}

// Most commands come without options, so the largest table is read at the first that has one.
static BY_COMMAND: LazyLock<HashMap<&'static str, CommandArguments>> = LazyLock::new(|| {
    let mut commands: HashMap<_, CommandArguments> = HashMap::new();
    for entry in read_entries() {
        let arguments = commands.entry(entry.command).or_default();
        if entry.spellings.is_empty() {
            arguments.positional.push(entry);
        } else {
            arguments.options.push(entry);
        }
    }
    commands
});

static NONE: CommandArguments = CommandArguments {
    options: Vec::new(),
    positional: Vec::new(),
};

#[cfg(test)]
mod tests {
    use super::super::commands::command_table;
    use super::*;

    #[test]
    fn every_row_is_read_and_belongs_to_a_release() {
        assert_eq!(
            read_entries().count() + 1,
            include_str!("options.csv").lines().count()
        );
        for row in read_entries() {
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
            // the parser takes no option for a negative number
            let digit = |s: &&str| s.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
            assert!(!row.spellings.iter().any(digit), "{row:?}");
            assert!(command_table().get(row.command).is_some(), "{row:?}");
        }
    }

    #[test]
    fn every_command_that_mwaa_runs_has_its_arguments() {
        // These take none.
        let bare = ["version"];
        for entry in command_table()
            .entries()
            .filter(|entry| entry.listed && !entry.condition.contains('N'))
        {
            let arguments = find_arguments(entry.command);
            let has = !arguments.options.is_empty() || !arguments.positional.is_empty();
            assert!(has || bare.contains(&entry.command), "{}", entry.command);
        }
    }
}
