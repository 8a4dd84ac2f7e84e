//! The arguments that each command takes at each release, as Airflow's own parsers have them
//! (`tests/real/airflow_options.py` writes `options.csv`), and the rule for each option
//! (`option_rules.csv`).

use super::commands::Release;
use super::read_rows;
use mwaa_model::AirflowVersion;
use std::collections::BTreeMap;
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
    /// The rules for options of this name, of all commands.
    rules: &'static [OptionRule],
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
            // Airflow 1.10 writes `--cfg_path`, the rules have `--cfg-path`.
            rules: RULES
                .get(name.replace('_', "-").as_str())
                .map_or(&[], Vec::as_slice),
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
            rules: &[],
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

    /// Returns the rule for the option at the release. A test checks that each option of the tables
    /// has one.
    pub(crate) fn find_rule(&self, release: &Release) -> Option<&'static OptionRule> {
        // A rule for the command is before the one for all, so the first that applies counts.
        self.rules.iter().find(|rule| {
            (rule.command == "*" || rule.command == self.command)
                && rule.until.is_none_or(|until| release.version() <= until)
        })
    }
}

/// Returns every option of every command.
#[cfg(test)]
pub(crate) fn all_options() -> impl Iterator<Item = &'static ArgumentEntry> {
    let entries = super::commands::command_table().entries();
    entries.flat_map(|entry| &entry.arguments.options)
}

fn read_entries() -> impl Iterator<Item = ArgumentEntry> {
    read_rows(include_str!("options.csv")).filter_map(ArgumentEntry::from_row)
}

/// Returns the arguments by command.
pub(super) fn read_arguments() -> BTreeMap<&'static str, CommandArguments> {
    let mut commands: BTreeMap<_, CommandArguments> = BTreeMap::new();
    for entry in read_entries() {
        let arguments = commands.entry(entry.command).or_default();
        if entry.spellings.is_empty() {
            arguments.positional.push(entry);
        } else {
            arguments.options.push(entry);
        }
    }
    commands
}

/// The rule for one option.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) struct OptionRule {
    /// The command that it applies to; `*` for all commands without a rule of their own.
    command: &'static str,
    /// The last release at which it applies; `None` if it applies at all.
    until: Option<AirflowVersion>,
    pub(crate) forbidden: bool,
    /// A description of what the option does. For a forbidden option the rest of a sentence:
    /// `it reads ...`.
    pub(crate) reason: &'static str,
}

impl OptionRule {
    /// Reads a row. Returns the rule and the names of its options, separated by `/`.
    fn from_row(row: [&'static str; 5]) -> Option<(&'static str, Self)> {
        let [options, command, until, verdict, reason] = row;
        let rule = Self {
            command,
            until: match until {
                "" => None,
                version => Some(version.parse().ok()?),
            },
            forbidden: match verdict {
                "forbidden" => true,
                "passes" => false,
                _ => return None,
            },
            reason,
        };
        Some((options, rule))
    }
}

/// Returns the option that is forbidden for all commands and begins with these characters, with
/// the reason.
///
/// For words of two dashes that no table has: the web server may be newer than the tables.
pub(crate) fn find_universal_rule(prefix: &str) -> Option<(&'static str, &'static str)> {
    // argparse accepts abbreviations. One that fits several options is refused for the first.
    let prefix = prefix.replace('_', "-");
    let is_universal = |rule: &OptionRule| rule.forbidden && rule.command == "*";
    RULES
        .iter()
        .filter(|(option, _)| option.starts_with(&prefix))
        .find(|(_, rules)| rules.iter().all(is_universal))
        .and_then(|(option, rules)| Some((*option, rules.first()?.reason)))
}

fn read_rules() -> impl Iterator<Item = (&'static str, OptionRule)> {
    read_rows(include_str!("../tables/option_rules.csv")).filter_map(OptionRule::from_row)
}

/// The rules by the option's name. Rules for one command are before the rule for all.
static RULES: LazyLock<BTreeMap<&'static str, Vec<OptionRule>>> = LazyLock::new(|| {
    let mut rules: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (options, rule) in read_rules() {
        for option in options.split('/') {
            rules.entry(option).or_default().push(rule);
        }
    }
    rules
});

#[cfg(test)]
mod tests {
    use super::super::commands::{command_table, find_release};
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
            let arguments = &entry.arguments;
            let has = !arguments.options.is_empty() || !arguments.positional.is_empty();
            assert!(has || bare.contains(&entry.command), "{}", entry.command);
        }
    }
    #[test]
    fn every_option_has_a_rule_and_every_rule_an_option() {
        let lines = include_str!("option_rules.csv").lines();
        assert_eq!(read_rules().count() + 1, lines.count());
        for row in all_options() {
            let found = row.find_rule(find_release(row.first));
            assert!(found.is_some(), "{} {} has no rule", row.command, row.name);
        }
        for (option, rules) in RULES.iter() {
            let named = all_options().filter(|row| row.name.replace('_', "-") == *option);
            let rows: Vec<_> = named.collect();
            assert!(!rows.is_empty(), "{option} is no command's");
            for rule in rules {
                let has = rows.iter().any(|row| row.command == rule.command);
                assert!(rule.command == "*" || has, "{option} {rule:?}");
                assert_eq!(
                    rule.forbidden,
                    rule.reason.starts_with("it ") || rule.until.is_some()
                );
            }
            let general = rules.iter().position(|rule| rule.command == "*");
            assert!(general.is_none_or(|at| at + 1 == rules.len()), "{option}");
        }
    }
}
