//! The rule for each option of every command: whether it may be given, and why. Read from
//! `option_rules.csv`.

use crate::tables::read_rows;
use crate::tables::releases::Release;
use mwaa_model::AirflowVersion;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The rule for one option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Returns the rule for an option of a command. A test checks that each option of the tables has
/// one.
pub(crate) fn find_option_rule(
    command: &str,
    option: &str,
    release: &Release,
) -> Option<OptionRule> {
    // Airflow 1.10 writes `--cfg_path`, the rules have `--cfg-path`.
    let rules = if option.contains('_') {
        RULES.get(option.replace('_', "-").as_str())
    } else {
        RULES.get(option)
    };

    // A rule for the command is before the one for all, so the first that applies counts.
    let applies = |rule: &&OptionRule| {
        (rule.command == command || rule.command == "*")
            && rule.until.is_none_or(|until| release.version() <= until)
    };
    rules?.iter().find(applies).copied()
}

/// Returns the option that is forbidden for all commands and begins with these characters, with
/// its rule.
///
/// For words of two dashes that no table has: the web server may be newer than the tables.
pub(super) fn find_universal_rule(prefix: &str) -> Option<(&'static str, OptionRule)> {
    // argparse accepts abbreviations. One that fits several options is refused for the first.
    let prefix = prefix.replace('_', "-");
    let option = FORBIDDEN_FOR_ALL
        .iter()
        .find(|option| option.starts_with(&prefix))?;
    Some((option, *RULES.get(option)?.first()?))
}

fn read_rules() -> impl Iterator<Item = (&'static str, OptionRule)> {
    read_rows(include_str!("../tables/option_rules.csv")).filter_map(OptionRule::from_row)
}

/// The rules by the option's name. Rules for one command are before the rule for all.
static RULES: LazyLock<HashMap<&'static str, Vec<OptionRule>>> = LazyLock::new(|| {
    let mut rules: HashMap<_, Vec<_>> = HashMap::new();
    for (options, rule) in read_rules() {
        for option in options.split('/') {
            rules.entry(option).or_default().push(rule);
        }
    }
    rules
});

/// The options that no command may be given, sorted.
static FORBIDDEN_FOR_ALL: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let is_universal = |rule: &OptionRule| rule.forbidden && rule.command == "*";
    let mut names: Vec<_> = RULES
        .iter()
        .filter(|(_, rules)| rules.iter().all(is_universal))
        .map(|(name, _)| *name)
        .collect();
    names.sort_unstable();
    names
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::arguments::all_options;
    use crate::tables::releases::find_release;

    #[test]
    fn every_option_has_a_rule_and_every_rule_an_option() {
        let lines = include_str!("../tables/option_rules.csv").lines();
        assert_eq!(read_rules().count() + 1, lines.count());
        for row in all_options() {
            let release = find_release(row.first);
            let found = find_option_rule(row.command, row.name, release);
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
