//! The command table: which command exists, which MWAA runs, at which releases, and what
//! kind of command it is. The data is `commands.csv`.

use super::release::Release;
use crate::names::AirflowVersion;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// What a command does to the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Changes roles, users, services or the database itself.
    Admin,
    /// Only reads.
    Read,
    /// Runs, pauses or clears work.
    Run,
    /// Changes or removes variables, connections, pools or DAG records.
    Write,
}

/// The releases of one major at which a row holds, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: AirflowVersion,
    pub(super) last: AirflowVersion,
}

/// Whether MWAA runs a command at a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It does.
    Runs,
    /// It does, unless a DAG needs what the web server of that release lacks (condition P).
    RunsUnlessPlugins,
    /// Not at this release, but at others.
    OtherReleases,
    /// At no release.
    Never,
}

/// One row of `commands.csv`.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) command: &'static str,
    /// On MWAA's list (the spans are MWAA's) or not (the spans are Airflow's).
    pub(super) listed: bool,
    pub(super) class: Class,
    /// For unlisted commands: the kind of command that MWAA keeps to itself.
    pub(super) why: &'static str,
    pub(super) spans: Vec<Span>,
    pub(super) condition: &'static str,
    pub(super) note: &'static str,
}

impl Entry {
    /// The span within a major.
    pub(super) fn span(&self, major: u16) -> Option<Span> {
        self.spans
            .iter()
            .copied()
            .find(|span| span.first.major == major)
    }

    /// Whether the release lies in one of the spans.
    pub(super) fn covers(&self, release: &Release) -> bool {
        let version = release.version();
        self.spans
            .iter()
            .any(|span| span.first <= version && version <= span.last)
    }

    /// Whether MWAA runs the command at the release.
    pub(super) fn standing(&self, release: &Release) -> Standing {
        let plugins = self.condition.contains('P');
        let old = release.version() <= AirflowVersion::new(2, 0, 2);
        if !self.listed {
            Standing::Never
        } else if self.covers(release) {
            if plugins && old {
                Standing::RunsUnlessPlugins
            } else {
                Standing::Runs
            }
        } else if plugins && old && self.span(release.version().major).is_some() {
            Standing::RunsUnlessPlugins
        } else {
            Standing::OtherReleases
        }
    }

    /// Whether MWAA runs the command at the release, if only under a condition.
    pub(super) fn runs(&self, release: &Release) -> bool {
        match self.standing(release) {
            Standing::Runs | Standing::RunsUnlessPlugins => true,
            Standing::OtherReleases | Standing::Never => false,
        }
    }

    /// Whether the row repeats another one under a second spelling.
    #[cfg(test)]
    pub(super) fn is_alias(&self) -> bool {
        self.condition.contains('A')
    }
}

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

    /// Earlier spellings of a command.
    pub(super) fn predecessors(&self, command: &str) -> impl Iterator<Item = &'static str> {
        self.successors
            .iter()
            .filter(move |(_, new)| *new == command)
            .map(|(old, _)| *old)
    }
}

/// Reads one line of `commands.csv`; the note is the rest of the line.
fn read_row(line: &'static str) -> Option<Entry> {
    let mut fields = line.splitn(12, ',');
    let command = fields.next()?;
    let listed = match fields.next()? {
        "supported" => true,
        "unsupported" => false,
        _ => return None,
    };
    let class = match fields.next()? {
        "read" => Class::Read,
        "run" => Class::Run,
        "write" => Class::Write,
        "admin" => Class::Admin,
        _ => return None,
    };
    let why = fields.next()?;
    let mut spans = Vec::new();
    for _major in 1..=3 {
        let (first, last) = (fields.next()?, fields.next()?);
        if first != "-" {
            spans.push(Span {
                first: first.parse().ok()?,
                last: last.parse().ok()?,
            });
        }
    }
    Some(Entry {
        command,
        listed,
        class,
        why,
        spans,
        condition: fields.next()?,
        note: fields.next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::release::release_for;
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
