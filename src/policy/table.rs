//! The command table: its rows by name, groups, and renamed commands. The data is `commands.csv`
//! and `successors.csv`.

use super::entry::{Entry, read_row};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// The table and what is looked up in it often.
#[derive(Debug)]
pub(super) struct Table {
    entries: BTreeMap<&'static str, Entry>,
    /// Names such as `dags` that only hold further commands.
    groups: BTreeSet<&'static str>,
    /// Old spelling and new spelling, sorted.
    successors: Vec<(&'static str, &'static str)>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let entries: BTreeMap<_, _> = include_str!("commands.csv")
        .lines()
        .skip(1)
        .filter_map(read_row)
        .map(|entry| (entry.command, entry))
        .collect();
    let groups = entries
        .keys()
        .filter_map(|command| Some(command.split_once(' ')?.0))
        .collect();
    let successors = include_str!("successors.csv")
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(','))
        .collect();
    Table {
        entries,
        groups,
        successors,
    }
});

/// The commands of all releases, in the order of their names.
pub fn command_names() -> impl Iterator<Item = &'static str> {
    table().entries.keys().copied()
}

/// The one table.
pub(super) fn table() -> &'static Table {
    &TABLE
}

impl Table {
    /// All rows, in the order of their names.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The row of a command.
    pub(super) fn entry(&self, command: &str) -> Option<&Entry> {
        self.entries.get(command)
    }

    /// The row of a command of one word, such as `version`.
    pub(super) fn single(&self, word: &str) -> Option<&Entry> {
        // One quoted word "dags list" is not the command of two words.
        self.entry(word).filter(|_| !word.contains(' '))
    }

    /// The group's own, everlasting name, if it is a group at any release.
    pub(super) fn group(&self, word: &str) -> Option<&'static str> {
        self.groups.get(word).copied()
    }

    /// The rows of a group.
    pub(super) fn members(&self, group: &'static str) -> impl Iterator<Item = &Entry> {
        self.entries().filter(move |entry| {
            entry
                .command
                .split_once(' ')
                .is_some_and(|(g, _)| g == group)
        })
    }

    /// The next spelling of a command that was renamed.
    pub(super) fn successor(&self, command: &str) -> Option<&'static str> {
        let found = self.successors.iter().find(|(old, _)| *old == command);
        found.map(|(_, new)| *new)
    }

    /// Every spelling that a command has had in any Airflow, this one among them.
    pub(super) fn spellings(&self, command: &'static str) -> Vec<&'static str> {
        let mut newest = command;
        while let Some(next) = self.successor(newest) {
            newest = next;
        }
        let mut all = vec![newest];
        let mut at = 0;
        while let Some(spelling) = all.get(at).copied() {
            all.extend(self.predecessors(spelling));
            at += 1;
        }
        all
    }

    /// Earlier spellings of a command.
    pub(super) fn predecessors(&self, command: &str) -> impl Iterator<Item = &'static str> {
        self.successors
            .iter()
            .filter(move |(_, new)| *new == command)
            .map(|(old, _)| *old)
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Standing;
    use super::super::release::{Release, release_for};
    use super::*;

    #[test]
    fn every_row_is_read_and_sound() {
        let lines = include_str!("commands.csv").lines().skip(1);
        let names: Vec<_> = lines.filter_map(|line| line.split(',').next()).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "sorted, no duplicates");
        assert_eq!(table().entries().count(), names.len());
        let known = |version| Release::all().iter().any(|r| r.version() == version);
        for entry in table().entries() {
            assert!(!entry.spans.is_empty(), "{}", entry.command);
            assert!(entry.command.split(' ').count() <= 2, "{}", entry.command);
            for span in &entry.spans {
                assert!(known(span.first) && known(span.last), "{}", entry.command);
                assert!(
                    span.first <= span.last && span.first.major == span.last.major,
                    "{}",
                    entry.command
                );
            }
            assert_eq!(entry.listed, entry.why.is_empty(), "{}", entry.command);
        }
    }

    #[test]
    fn each_release_runs_as_many_commands_as_mwaa_lists() {
        let counts = [
            ("1.10.12", 12, 8),
            ("2.0.2", 32, 4),
            ("2.2.2", 36, 0),
            ("2.4.3", 38, 0),
            ("2.5.1", 38, 0),
            ("2.6.3", 43, 0),
            ("2.7.2", 44, 0),
            ("2.8.1", 45, 0),
            ("2.9.2", 45, 0),
            ("2.10.1", 45, 0),
            ("2.10.3", 45, 0),
            ("2.11.0", 45, 0),
            ("2.11.2", 45, 0),
            ("3.0.6", 47, 0),
            ("3.2.1", 47, 0),
            ("3.3.1", 47, 0),
        ];
        assert_eq!(counts.len(), Release::all().len());
        for (version, runs, unless_plugins) in counts {
            let (release, _) = release_for(version.parse().expect("a version"));
            let count = |standing| {
                let rows = table().entries().filter(|entry| !entry.is_alias());
                rows.filter(|entry| entry.standing(release) == standing)
                    .count()
            };
            assert_eq!(count(Standing::Runs), runs, "{version}");
            assert_eq!(
                count(Standing::RunsUnlessPlugins),
                unless_plugins,
                "{version}"
            );
        }
    }

    #[test]
    fn successors_are_sorted_and_end() {
        assert!(table().successors.is_sorted_by(|a, b| a.0 < b.0));
        let lines = include_str!("successors.csv").lines().count();
        assert_eq!(table().successors.len() + 1, lines);
        for (old, new) in &table().successors {
            assert!(
                table().entry(new).is_some() || table().group(new).is_some(),
                "{old} -> {new}"
            );
            let mut at = *old;
            for _ in 0..4 {
                match table().successor(at) {
                    Some(next) => at = next,
                    None => break,
                }
            }
            assert!(table().successor(at).is_none(), "{old} runs in a circle");
        }
    }
}
