//! The Airflow releases that MWAA has offered, and the commands of each of them: which of them MWAA
//! runs, what they do to the environment, and what they were called before. Read from `commands.csv`
//! and `successors.csv`.

use super::arguments::{CommandArguments, read_arguments};
use super::read_rows;
use mwaa_model::AirflowVersion;
use std::sync::LazyLock;

/// The effect of a command on the environment. The built-in policies grant commands by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandClass {
    /// Changes roles, users, services or the database itself.
    Admin,
    /// Only reads.
    Read,
    /// Runs, pauses or clears work.
    Run,
    /// Reads values that may be secrets: variables, connections, configuration, rendered
    /// templates.
    Secret,
    /// Changes or removes variables, connections, pools or DAG records.
    Write,
}

/// Returns the commands of all releases, sorted by name.
pub fn command_names() -> impl Iterator<Item = &'static str> {
    command_table().entries().map(|entry| entry.command)
}

/// Returns the table. It is read at the first call.
pub(crate) fn command_table() -> &'static CommandTable {
    &TABLE
}

/// The commands, by their first words.
#[derive(Debug)]
pub(crate) struct CommandTable {
    /// Sorted.
    first_words: Vec<FirstWord>,
    /// Old name and new name of each renamed command, sorted.
    successors: Vec<(&'static str, &'static str)>,
}

/// The first word of one or more commands. `variables` is a command at one release and a group at
/// the others.
#[derive(Debug)]
pub(crate) struct FirstWord {
    word: &'static str,
    /// The command that is this word alone.
    pub(crate) single: Option<CommandEntry>,
    /// The commands of two words, sorted, each with its second word. A word that has any is a
    /// group.
    pairs: Vec<(&'static str, CommandEntry)>,
}

impl FirstWord {
    /// Returns the command of two words with this second word.
    pub(crate) fn get_pair(&self, second: &str) -> Option<&CommandEntry> {
        let mut pairs = self.pairs.iter();
        pairs
            .find(|(word, _)| *word == second)
            .map(|(_, entry)| entry)
    }

    /// Returns the name of the group, if the word is a group at any release.
    pub(crate) fn as_group(&self) -> Option<&'static str> {
        (!self.pairs.is_empty()).then_some(self.word)
    }
}

impl CommandTable {
    fn read() -> Self {
        let mut arguments = read_arguments();
        let mut first_words: Vec<FirstWord> = Vec::new();
        // The rows are sorted, so those with the same first word are together.
        for row in read_rows(include_str!("commands.csv")) {
            let Some(mut entry) = CommandEntry::from_row(row) else {
                continue;
            };
            entry.arguments = arguments.remove(entry.command).unwrap_or_default();

            let (word, second) = entry.command.split_once(' ').unwrap_or((entry.command, ""));
            let known = first_words.pop_if(|last| last.word == word);
            let mut first_word = known.unwrap_or_else(|| FirstWord {
                word,
                single: None,
                pairs: Vec::new(),
            });
            if second.is_empty() {
                first_word.single = Some(entry);
            } else {
                first_word.pairs.push((second, entry));
            }
            first_words.push(first_word);
        }

        let successors = read_rows(include_str!("successors.csv"))
            .map(|[old, new]| (old, new))
            .collect();
        Self {
            first_words,
            successors,
        }
    }

    /// Returns all commands, sorted by name.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &CommandEntry> {
        let words = self.first_words.iter();
        words.flat_map(|word| {
            word.single
                .iter()
                .chain(word.pairs.iter().map(|(_, pair)| pair))
        })
    }

    /// Returns the command with this name, of one or two words.
    pub(crate) fn get(&self, command: &str) -> Option<&CommandEntry> {
        match command.split_once(' ') {
            Some((first, second)) => self.find_first_word(first)?.get_pair(second),
            None => self.find_first_word(command)?.single.as_ref(),
        }
    }

    /// Returns the entry of a word, if any command begins with it.
    pub(crate) fn find_first_word(&self, word: &str) -> Option<&FirstWord> {
        let words = &self.first_words;
        let found = words.binary_search_by(|entry| entry.word.cmp(word)).ok();
        words.get(found?)
    }

    /// Returns the group with this name, if it is a group at any release.
    pub(crate) fn get_group(&self, word: &str) -> Option<&'static str> {
        self.find_first_word(word)?.as_group()
    }

    /// Returns the commands of a group.
    pub(crate) fn group_entries(&self, group: &str) -> impl Iterator<Item = &CommandEntry> {
        let group = self.find_first_word(group).into_iter();
        group.flat_map(|word| word.pairs.iter().map(|(_, pair)| pair))
    }

    /// Returns the next name of a command that was renamed.
    pub(crate) fn find_successor(&self, command: &str) -> Option<&'static str> {
        let found = self.successors.iter().find(|(old, _)| *old == command);
        found.map(|(_, new)| *new)
    }

    /// Returns the names that a command had directly before this one.
    pub(crate) fn find_predecessors(
        &self,
        command: &str,
    ) -> impl Iterator<Item = &'static str> {
        self.successors
            .iter()
            .filter(move |(_, new)| *new == command)
            .map(|(old, _)| *old)
    }

    /// Returns every name that a command has had in any Airflow, this one included.
    pub(crate) fn find_all_names(&self, command: &'static str) -> Vec<&'static str> {
        // Commands were renamed more than once: `backfill`, `dags backfill`, `backfill create`.
        let mut newest = command;
        while let Some(next) = self.find_successor(newest) {
            newest = next;
        }

        // From the newest name back to all older ones. The list grows while it is walked.
        let mut names = vec![newest];
        let mut index = 0;
        while let Some(name) = names.get(index).copied() {
            names.extend(self.find_predecessors(name));
            index += 1;
        }
        names
    }
}

/// One command: a row of `commands.csv`.
#[derive(Debug)]
pub(crate) struct CommandEntry {
    /// The name, of one or two words.
    pub(crate) command: &'static str,
    /// True if MWAA lists the command. The spans are then MWAA's, else Airflow's.
    pub(crate) listed: bool,
    pub(crate) class: CommandClass,
    /// The kind of command that MWAA does not run for its users; empty for a listed command.
    pub(crate) unlisted_kind: &'static str,
    pub(crate) spans: Vec<ReleaseSpan>,
    /// `P`: see [`CommandStatus::SupportedWithoutPlugins`]. `A`: the row repeats another one
    /// under a second name. `N`: no Airflow has the name, though MWAA's list does.
    pub(crate) condition: &'static str,
    pub(crate) note: &'static str,
    /// Its arguments at all releases.
    pub(crate) arguments: CommandArguments,
}

/// The releases of one major at which a row applies, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReleaseSpan {
    pub(crate) first: AirflowVersion,
    pub(crate) last: AirflowVersion,
}

/// The relation of a command to MWAA's list at one release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommandStatus {
    /// MWAA runs it.
    Supported,
    /// MWAA runs it, unless a DAG needs a plugin or package: the web server of that release has
    /// none (condition `P`).
    SupportedWithoutPlugins,
    /// MWAA runs it at other releases only.
    OtherReleases,
    /// MWAA runs it at no release.
    Unlisted,
}

impl CommandEntry {
    fn from_row(row: [&'static str; 12]) -> Option<Self> {
        let [
            command,
            status,
            class,
            unlisted_kind,
            first_1,
            last_1,
            first_2,
            last_2,
            first_3,
            last_3,
            condition,
            note,
        ] = row;

        // One pair of columns for each major; `-` means that the major has no such command.
        let mut spans = Vec::new();
        for (first, last) in [(first_1, last_1), (first_2, last_2), (first_3, last_3)] {
            if first != "-" {
                spans.push(ReleaseSpan {
                    first: first.parse().ok()?,
                    last: last.parse().ok()?,
                });
            }
        }

        Some(Self {
            command,
            listed: match status {
                "supported" => true,
                "unsupported" => false,
                _ => return None,
            },
            class: match class {
                "read" => CommandClass::Read,
                "run" => CommandClass::Run,
                "secret" => CommandClass::Secret,
                "write" => CommandClass::Write,
                "admin" => CommandClass::Admin,
                _ => return None,
            },
            unlisted_kind,
            spans,
            condition,
            note,
            arguments: CommandArguments::default(),
        })
    }

    /// Returns the span within a major.
    pub(crate) fn get_span(&self, major: u16) -> Option<ReleaseSpan> {
        self.spans
            .iter()
            .copied()
            .find(|span| span.first.major == major)
    }

    /// Returns true if the release is in one of the spans.
    pub(crate) fn is_in(&self, release: &Release) -> bool {
        let version = release.version();
        self.spans
            .iter()
            .any(|span| span.first <= version && version <= span.last)
    }

    /// Returns true if MWAA runs the command at the release, even if only without plugins.
    pub(crate) fn is_supported(&self, release: &Release) -> bool {
        match self.status(release) {
            CommandStatus::Supported | CommandStatus::SupportedWithoutPlugins => true,
            CommandStatus::OtherReleases | CommandStatus::Unlisted => false,
        }
    }

    /// Returns the relation of the command to MWAA's list at the release.
    pub(crate) fn status(&self, release: &Release) -> CommandStatus {
        if !self.listed {
            return CommandStatus::Unlisted;
        }

        // Since 2.2.2 MWAA installs plugins and requirements on the web server too. At older
        // releases the commands that parse DAG files run only for DAGs without them.
        let is_old = release.version() <= AirflowVersion::new(2, 0, 2);
        let in_major = self.get_span(release.version().major).is_some();
        if is_old && in_major && self.condition.contains('P') {
            CommandStatus::SupportedWithoutPlugins
        } else if self.is_in(release) {
            CommandStatus::Supported
        } else {
            CommandStatus::OtherReleases
        }
    }

    /// Returns true if the row repeats another one under a second name.
    #[cfg(test)]
    pub(crate) fn is_alias(&self) -> bool {
        self.condition.contains('A')
    }
}

static TABLE: LazyLock<CommandTable> = LazyLock::new(CommandTable::read);

/// One Airflow release on MWAA. Every table has its rows for these releases only.
#[derive(Debug, PartialEq, Eq)]
pub struct Release {
    version: AirflowVersion,
}

impl Release {
    const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            version: AirflowVersion::new(major, minor, patch),
        }
    }

    /// Returns the Airflow version of this release.
    pub const fn version(&self) -> AirflowVersion {
        self.version
    }

    /// Returns every release, oldest first.
    pub fn all() -> &'static [Self] {
        &RELEASES
    }
}

/// Returns the release whose tables apply to a version: the release itself, otherwise the nearest
/// older one.
///
/// An older version never gets the release of an earlier major (2.0.0 gets 2.0.2, not 1.10.12),
/// because the commands got other names between them. A major that MWAA has not offered yet gets
/// the newest release.
pub fn find_release(version: AirflowVersion) -> &'static Release {
    let [first, ..] = &RELEASES;
    let older = RELEASES.iter().rfind(|release| release.version <= version);
    let oldest_of_major = RELEASES
        .iter()
        .find(|release| release.version.major == version.major);

    // The newer of the two: `older` is of an earlier major if the version is before its major's
    // oldest release.
    let found = older.into_iter().chain(oldest_of_major);
    found.max_by_key(|release| release.version).unwrap_or(first)
}

/// Returns what to say about a version that is in no list of MWAA's: its commands are checked as in
/// another release. `None` if the list has the version, or another patch of it.
pub fn explain_release(version: AirflowVersion) -> Option<String> {
    let release = find_release(version).version;
    let is_listed = (release.major, release.minor) == (version.major, version.minor);
    (!is_listed).then(|| {
        format!(
            "the gateway has no list of commands for Airflow {version}; it checks them as in \
             {release}"
        )
    })
}

/// All releases, oldest first (MWAA User Guide, "Apache Airflow versions").
static RELEASES: [Release; 16] = [
    Release::new(1, 10, 12),
    Release::new(2, 0, 2),
    Release::new(2, 2, 2),
    Release::new(2, 4, 3),
    Release::new(2, 5, 1),
    Release::new(2, 6, 3),
    Release::new(2, 7, 2),
    Release::new(2, 8, 1),
    Release::new(2, 9, 2),
    Release::new(2, 10, 1),
    Release::new(2, 10, 3),
    Release::new(2, 11, 0),
    Release::new(2, 11, 2),
    Release::new(3, 0, 6),
    Release::new(3, 2, 1),
    Release::new(3, 3, 1),
];

#[cfg(test)]
mod tests {
    use super::super::commands::{Release, find_release};
    use super::*;

    #[test]
    fn every_row_is_parsed_and_valid() {
        let lines = include_str!("commands.csv").lines().skip(1);
        let names: Vec<_> = lines.filter_map(|line| line.split(',').next()).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "sorted, no duplicates");
        let first_words = &command_table().first_words;
        assert!(first_words.is_sorted_by(|a, b| a.word < b.word));
        assert_eq!(command_table().entries().count(), names.len());
        let known = |version| Release::all().iter().any(|r| r.version() == version);
        for entry in command_table().entries() {
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
            assert_eq!(
                entry.listed,
                entry.unlisted_kind.is_empty(),
                "{}",
                entry.command
            );
        }
    }

    #[test]
    fn the_number_of_commands_per_release_equals_mwaa_s_list() {
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
            let release = find_release(version.parse().expect("a version"));
            let count = |status| {
                let rows = command_table().entries().filter(|entry| !entry.is_alias());
                rows.filter(|entry| entry.status(release) == status).count()
            };
            assert_eq!(count(CommandStatus::Supported), runs, "{version}");
            assert_eq!(
                count(CommandStatus::SupportedWithoutPlugins),
                unless_plugins,
                "{version}"
            );
        }
    }

    #[test]
    fn successors_are_sorted_and_have_no_cycle() {
        assert!(command_table().successors.is_sorted_by(|a, b| a.0 < b.0));
        let lines = include_str!("successors.csv").lines().count();
        assert_eq!(command_table().successors.len() + 1, lines);
        for (old, new) in &command_table().successors {
            assert!(
                command_table().get(new).is_some() || command_table().get_group(new).is_some(),
                "{old} -> {new}"
            );
            let mut at = *old;
            for _ in 0..4 {
                match command_table().find_successor(at) {
                    Some(next) => at = next,
                    None => break,
                }
            }
            assert!(
                command_table().find_successor(at).is_none(),
                "{old} runs in a circle"
            );
        }
    }
}

#[cfg(test)]
mod releases_tests {
    use super::*;

    #[test]
    fn an_unknown_version_uses_the_nearest_older_release() {
        let cases = [
            ("2.10.3", "2.10.3"),
            ("2.10.5", "2.10.3"),
            ("2.99.0", "2.11.2"),
            ("3.1.0", "3.0.6"),
            ("9.0.0", "3.3.1"),
            ("2.0.0", "2.0.2"),
            ("3.0.0", "3.0.6"),
            ("1.10.15", "1.10.12"),
            ("1.8.0", "1.10.12"),
            ("0.1.0", "1.10.12"),
        ];
        for (asked, expected) in cases {
            let release = find_release(asked.parse().expect("a version"));
            assert_eq!(release.version().to_string(), expected, "{asked}");
        }
    }

    #[test]
    fn releases_are_in_order() {
        assert!(RELEASES.is_sorted_by(|a, b| a.version < b.version));
    }
}
